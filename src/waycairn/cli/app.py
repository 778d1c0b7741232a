"""The commands, put together, and what becomes of the errors they end with."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from types import ModuleType
from typing import Annotated

import typer

from waycairn import __version__
from waycairn.cli import (
    audit,
    backup_acts,
    backup_listing,
    backup_making,
    backup_restoring,
    care,
    checkpoints,
    configuring,
    control,
    copying,
    crashing,
    exporting,
    health,
    importing,
    items,
    keys,
    listing,
    notifying,
    optimizing,
    repairing,
    report,
    results,
    serving,
    sessions,
    stream_acts,
    streams,
    sweeping,
    time_travel,
    timeline,
    tokens,
    users,
    verifying,
)
from waycairn.cli.command import flowing
from waycairn.cli.output import FAILED, HELD, Refused, without_passwords
from waycairn.errors import Interrupted, OwnershipLost, RunIsHeld, WaycairnError

_HELP = """See, resume, discard and examine what waycairn remembers.

Exit codes: 0 done; 1 it could not be done; 2 wrong use; 3 something bad was found (doctor, verify, audit verify, stream verify,
backup verify, backup search, repair, export --all, optimize, archive, stats, crashtest, config validate; show --watch: the owner died; stream lag: a limit
is exceeded; stream retry-dead: some are left; health: unhealthy); 4 the run is held by a living process; 5 health: degraded;
6 health: unknown; 130 Ctrl-C.
"""

app = typer.Typer(
    help=flowing(_HELP),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def start(
    context: typer.Context,
    store: Annotated[str | None, typer.Option(help="The store: a directory or postgresql://...")] = None,
    version: Annotated[bool, typer.Option("--version", help="Show the version and leave.")] = False,
) -> None:
    """What holds for all commands."""
    if version:
        typer.echo(f"waycairn {__version__}")
        raise typer.Exit
    context.obj = store


_FAMILIES = (
    *(listing, timeline, items, results, report, checkpoints, exporting, importing),
    *(control, time_travel, sweeping, copying, optimizing, care, health, verifying, repairing, crashing, serving),
)
_GROUPS = {
    "backup": (
        "Backups that are made before something is deleted.",
        (backup_making, backup_listing, backup_acts, backup_restoring),
    ),
    "stream": ("Growing files that are followed into a database.", (streams, stream_acts)),
    "key": ("The keys of an encrypted store, and the ways in.", (keys,)),
    "session": ("What training runs wrote down.", (sessions,)),
    "audit": ("Who did what: the audit log of the store.", (audit,)),
    "user": ("Who may use the server: accounts, their roles and passwords.", (users,)),
    "token": ("What programs sign in with at the server.", (tokens,)),
    "config": ("Settings: what holds here, and where it comes from.", (configuring,)),
    "notify": ("Whom health tells, by webhook, e-mail or command.", (notifying,)),
}


def _add(families: Iterable[ModuleType], to: typer.Typer) -> None:
    for family in families:
        for command in family.COMMANDS:
            command.add_to(to)


_add(_FAMILIES, app)
for _name, (_help, _families) in _GROUPS.items():
    _group = typer.Typer(help=_help, no_args_is_help=True)
    _add(_families, _group)
    app.add_typer(_group, name=_name)


def run() -> int:
    """The exit code. Our errors become one line on stderr, never a traceback."""
    _prepare_streams()
    try:
        app(prog_name="waycairn")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else FAILED
    except Refused as refused:
        return _tell(refused, refused.code)
    except RunIsHeld as error:
        return _tell(error, HELD)
    except Interrupted as stop:
        return _tell(stop, stop.code)
    except (OwnershipLost, WaycairnError, OSError) as error:
        return _tell(error, FAILED)
    return 0


def _tell(error: BaseException, code: int) -> int:
    said = [str(error), *getattr(error, "__notes__", ())]
    words = without_passwords(" ".join(" ".join(said).split()))
    sys.stderr.write(f"waycairn: {words}\n")
    return code


def _prepare_streams() -> None:
    """A name that the terminal cannot show is shown escaped; it is no reason to fail."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    # What the library warns of while it finds damage, the command says itself. A writer that waits for long in the
    # queue is the exception: nothing else would tell why nothing happens.
    logging.getLogger("waycairn").addHandler(logging.NullHandler())
    waiting = logging.StreamHandler()
    waiting.setFormatter(logging.Formatter("waycairn: %(message)s"))
    logging.getLogger("waycairn.catalog.queue").addHandler(waiting)
