"""What a person names where streams are concerned: a stream, and the database that its ledger lies in."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from waycairn.cli.output import BAD_USE, Refused, wrong_use
from waycairn.errors import WaycairnError

if TYPE_CHECKING:
    from waycairn.model.stream_settings import StreamSettings
    from waycairn.store import StoreCore
    from waycairn.upkeep.letters import Wanted
    from waycairn.upkeep.streams import KnownStream, StreamStanding


def offered_streams(context: typer.Context, incomplete: str) -> list[str]:
    """For shell completion: names of streams. A shell that waits for it wants no error."""
    from waycairn.upkeep.configuration import registered_streams
    from waycairn.upkeep.streams import known_streams
    from waycairn.work.store import open_store

    names: dict[str, None] = {}
    with suppress(WaycairnError, ValueError, OSError):
        names.update(dict.fromkeys(registered_streams()))
    with suppress(WaycairnError, ValueError, OSError):
        where = context.params.get("store") or (context.parent.obj if context.parent else None)
        with open_store(where, create=False) as store:
            names.update(dict.fromkeys(stream.name for stream in known_streams(store.core, {})))
    return [name for name in names if name.startswith(incomplete)]


SinkUrl = Annotated[
    str | None,
    typer.Option("--sink", metavar="URL", help="The database of the sink: sqlite:///FILE or postgresql://…"),
]
StreamName = Annotated[
    str, typer.Argument(metavar="NAME", help="Name of a stream.", show_default=False, autocompletion=offered_streams)
]


def kinds() -> tuple[str, ...]:
    """Of dead letters."""
    from waycairn.streams.records import DeadKind

    return typing.get_args(DeadKind)


def offered_kinds(incomplete: str) -> list[str]:
    """For shell completion."""
    return [word for word in kinds() if word.startswith(incomplete)]


Kind = Annotated[
    list[str] | None, typer.Option(help="Only of this kind; may be repeated.", autocompletion=offered_kinds)
]
OfPath = Annotated[str | None, typer.Option("--path", help="Only of files seen last at this path.")]


def wanted_letters(kind: Sequence[str] | None, path: str | None, **more: Any) -> Wanted:
    """Raises Refused for a kind that there is not."""
    from waycairn.upkeep.letters import Wanted

    unknown = [word for word in kind or () if word not in kinds()]
    if unknown:
        raise Refused(f"{unknown[0]!r} is no kind of dead letter; these are: {', '.join(kinds())}", BAD_USE)
    return Wanted(kinds=tuple(kind or ()), path=path, **more)


def streams_here(core: StoreCore, sink: str | None) -> Sequence[KnownStream]:
    """All that the store knows, or all that lie in that database. Raises errors of the store, Refused."""
    from waycairn.upkeep.streams import streams_of

    settings = _settings()
    with wrong_use():
        return streams_of(core, settings, sink)


def stream_named(core: StoreCore, name: str, sink: str | None) -> KnownStream:
    """The one that was followed last of that name. Raises StreamError, errors of the store, Refused."""
    from waycairn.upkeep.streams import find_stream

    with wrong_use():
        return find_stream(core, name, sink, _settings())


def standing_here(core: StoreCore, name: str, sink: str | None) -> StreamStanding:
    """How the stream of that name stands. Raises Refused if its database does not tell."""
    from waycairn.upkeep.streams import AWAY, GONE, stand

    found = next(stand(core, [stream_named(core, name, sink)]))
    if found.word == AWAY:
        raise Refused(f"{found.error} If the password is what is missing, name the sink with it: --sink")
    if found.word == GONE:
        raise Refused(
            f"the database of its sink, {found.known.sink}, knows no stream {name!r}: it was made anew, or is another one. "
            "If it is elsewhere, name it: --sink. A run that follows would read everything from the beginning."
        )
    return found


def _settings() -> Mapping[str, StreamSettings]:
    """They only help here: what is wrong in them is told by the commands that need them."""
    from waycairn.upkeep.configuration import registered_streams

    try:
        return registered_streams()
    except (ValueError, OSError):
        return {}
