"""`waycairn stream reset`: acts on streams."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from waycairn.cli.command import Command
from waycairn.cli.naming import Yes
from waycairn.cli.output import Face, Refused, ask
from waycairn.cli.stream_naming import SinkUrl, StreamName, standing_here

if TYPE_CHECKING:
    from waycairn.streams.records import Generation
    from waycairn.upkeep.streams import StreamStanding


def reset(
    face: Face,
    name: StreamName,
    *,
    path: Annotated[
        list[str] | None, typer.Option(help="Only the files seen last at this path; may be repeated.")
    ] = None,
    sink: SinkUrl = None,
    yes: Yes = False,
) -> None:
    """Read the files of a stream from their beginning again. Rows that were written stay: see to them first."""
    from waycairn.upkeep.streams import holder_in, reset_stream
    from waycairn.work.entering import held

    with face.open() as store:
        found = standing_here(store.core, name, sink)
        assert found.standing is not None
        living = holder_in(store.core, found.standing)
        if living is not None:
            raise held(*living)
        paths = [os.fsencode(Path(one).absolute()) for one in path or ()]
        chosen = _chosen(found, paths)
        ask(_question(found, chosen), yes=yes)
        numbers = reset_stream(found.known, paths, store.core.clock.now())
    if face.as_json:
        face.document({"stream": name, "reset": [os.fsdecode(one.path) for one in chosen], "generations": numbers})
    face.done(f"{len(chosen)} files of stream {name!r} will be read from their beginning; rows that are there stay")


def _chosen(found: StreamStanding, paths: Sequence[bytes]) -> Sequence[Generation]:
    assert found.standing is not None
    for path in paths:
        if all(one.path != path for one in found.standing.generations):
            raise Refused(
                f"stream {found.known.name!r} knows no file at {os.fsdecode(path)}. Nothing was changed. See: waycairn "
                f"stream show {found.known.name}"
            )
    return [one for one in found.standing.generations if not paths or one.path in paths]


def _question(found: StreamStanding, chosen: Sequence[Generation]) -> str:
    standing = found.standing
    assert standing is not None
    consumed = sum(one.offset for one in chosen)
    state = " The state beside the stream stays as it is, too." if standing.state is not None else ""
    return (
        f"Read {len(chosen)} files of stream {found.known.name!r} again, of which {consumed:,} bytes are consumed? Rows "
        f"that were written to {found.known.sink} stay: what is read again will be there twice, unless you remove it "
        f"first.{state}"
    )


COMMANDS = (Command("reset", reset, has_quiet=True),)
