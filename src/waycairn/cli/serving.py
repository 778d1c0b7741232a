"""`waycairn serve`: the REST API and the page of a store."""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING, Annotated, Any

import typer

from waycairn.cli.command import Command
from waycairn.cli.output import BAD_USE, Face, Refused

if TYPE_CHECKING:
    from waycairn.server.serving import Options, Serving

_NEEDED = {"fastapi", "starlette", "uvicorn", "pydantic", "anyio"}


def serve(
    face: Face,
    *,
    host: Annotated[
        str | None, typer.Option(help="The address to listen at; by default that of the settings, else 127.0.0.1.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            help="The port; 0: one that is free; by default that of the settings, else 8642.", min=0, max=65535
        ),
    ] = None,
    allow_launch: Annotated[
        bool, typer.Option("--allow-launch", help="Operators may start recorded commands from the page: resume a run.")
    ] = False,
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", metavar="NAME", help="A name under which browsers reach it. May be repeated."),
    ] = None,
    secure: Annotated[
        bool, typer.Option("--secure", help="Browsers reach it by https, through a proxy in front.")
    ] = False,
    insecure: Annotated[
        bool,
        typer.Option("--insecure", help="Others may reach it without https: whoever is between can read passwords."),
    ] = False,
    open_metrics: Annotated[
        bool, typer.Option("--open-metrics", help="Processes of this host read /metrics without a token.")
    ] = False,
    create: Annotated[bool, typer.Option("--create", help="Make the store if there is none.")] = False,
    upkeep: Annotated[
        bool, typer.Option("--upkeep/--no-upkeep", help="Care for the store in the background, as settings say.")
    ] = True,
) -> None:
    """Serve the page and the REST API of a store, until Ctrl-C or SIGTERM. At the first start it prints a link that makes the
    first admin, once; later accounts are made on the page, or by `waycairn user add`."""
    with face.open(create=create) as store:
        settings = store.core.settings.server
        address = host or settings.host, settings.port if port is None else port
        with _socket(*address, others_may=secure or insecure) as where:
            running = _running()
            from waycairn.server.serving import Options

            options = Options(
                allow_launch=allow_launch, hosts=tuple(allow_host or ()), secure=secure, open_metrics=open_metrics
            )
            _set_up_logging()
            if upkeep:
                store.start_upkeep()
            running.run(store, options, where, lambda serving: _tell(face, serving, where))


def _socket(host: str, port: int, *, others_may: bool) -> socket.socket:
    from waycairn.server.listening import is_loopback, listen

    if not others_may and host != "localhost" and not is_loopback(host):
        raise Refused(
            f"{host} is not of loopback: others would reach the server, and without https whoever is between reads their "
            "passwords. Nothing was started. With a proxy in front that speaks https add --secure, and leave --host alone if it "
            "runs on this machine; where the net is trusted add --insecure.",
            BAD_USE,
        )
    try:
        found = listen(host, port)
    except OSError as error:
        raise Refused(
            f"cannot listen at {host}, port {port}: {error.strerror or error}. Nothing was started. Give another --port, or 0 "
            "for one that is free."
        ) from None
    return found


def _tell(face: Face, serving: Serving, where: socket.socket) -> None:
    host, port = where.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    secret = serving.setup.begin()
    link = None if secret is None else f"{_public(serving.options, url)}/setup#{secret}"
    if face.as_json:
        face.event({"url": url, "setup": link})
        return
    from waycairn.cli.output import without_passwords

    face.line_now(f"waycairn serves {without_passwords(serving.store.url)} at {url}")
    if link is not None:
        face.line_now(f"no account is there yet. This link makes the first one, an admin; it works once:\n{link}")


def _public(options: Options, url: str) -> str:
    """Where a browser finds it."""
    return f"https://{options.hosts[0]}" if options.secure and options.hosts else url


def _set_up_logging() -> None:
    """What goes wrong while it serves is told on stderr, unless settings send the lines of waycairn elsewhere."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")


def _running() -> Any:
    try:
        from waycairn.server import running
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _NEEDED:
            raise
        raise Refused(
            f"the server needs {error.name}, which is not installed. Nothing was started. Run: pip install 'waycairn[server]'",
            BAD_USE,
        ) from None
    return running


COMMANDS = (Command("serve", serve),)
