"""`waycairn stream list`, `show`, `lag`, `dead` and `verify`: what streams are there, where each stands, what could not be used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from waycairn.cli.command import Command
from waycairn.cli.output import FOUND_BAD, Face, without_passwords
from waycairn.cli.stream_naming import (
    Kind,
    OfPath,
    SinkUrl,
    StreamName,
    offered_streams,
    standing_here,
    stream_named,
    streams_here,
    wanted_letters,
)

if TYPE_CHECKING:
    from waycairn.upkeep.streams import StreamStanding


def list_streams(face: Face, *, sink: SinkUrl = None) -> None:
    """List streams: who follows them, how far they came, how far they are behind."""
    from waycairn.cli import stream_picture
    from waycairn.documents import streams as stream_facts
    from waycairn.upkeep.streams import stand

    with face.open() as store:
        found = list(stand(store.core, streams_here(store.core, sink)))
        now = store.core.clock.now()
    if face.as_json:
        face.document({"streams": [stream_facts.stream_facts(one) for one in found]})
        return
    if not found and face.is_terminal:
        face.line("no streams: no run of this store follows files")
        return
    rows = [stream_picture.stream_row(one, now) for one in found]
    face.table(
        stream_picture.STREAM_COLUMNS, rows, right=stream_picture.STREAM_RIGHT, spare=stream_picture.STREAM_SPARE
    )
    for one in found:
        if one.error:
            face.aside(f"{one.known.name}: {without_passwords(one.error)}")


def show_stream(face: Face, name: StreamName, *, sink: SinkUrl = None) -> None:
    """Show everything of one stream: its files and where each stands, what was met, who follows it."""
    from waycairn.cli import stream_picture
    from waycairn.documents import streams as stream_facts

    with face.open() as store:
        found = standing_here(store.core, name, sink)
        now = store.core.clock.now()
    if face.as_json:
        face.document({"stream": stream_facts.whole_stream_facts(found)})
        return
    for label, said in stream_picture.stream_lines(found, now):
        face.line(f"{label:<9}{said}")
    face.line()
    rows = [stream_picture.file_row(one, now) for one in stream_picture.generations(found)]
    face.table(stream_picture.FILE_COLUMNS, rows, right=stream_picture.FILE_RIGHT, spare=stream_picture.FILE_SPARE)


def lag(
    face: Face,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Only this stream.", autocompletion=offered_streams)
    ] = None,
    *,
    most_bytes: Annotated[int | None, typer.Option(min=0, help="Exit code 3 if more bytes are not read.")] = None,
    most_seconds: Annotated[
        float | None, typer.Option(min=0, help="Exit code 3 if what is not read is there for longer.")
    ] = None,
    sink: SinkUrl = None,
) -> int:
    """Tell how far streams are behind their files. For monitoring: a limit that is exceeded is exit code 3."""
    from waycairn.cli import stream_picture
    from waycairn.documents import streams as stream_facts
    from waycairn.upkeep.streams import stand

    with face.open() as store:
        core = store.core
        wanted = streams_here(core, sink) if name is None else [stream_named(core, name, sink)]
        found = list(stand(core, wanted))
    is_behind = [_is_behind(one, most_bytes, most_seconds) for one in found]
    if face.as_json:
        listed = [{**stream_facts.lag_facts(one), "exceeded": late} for one, late in zip(found, is_behind, strict=True)]
        face.document({"streams": listed})
    else:
        rows = [stream_picture.lag_row(one, late) for one, late in zip(found, is_behind, strict=True)]
        face.table(stream_picture.LAG_COLUMNS, rows, right=stream_picture.LAG_RIGHT)
    return FOUND_BAD if any(is_behind) else 0


def _is_behind(one: StreamStanding, most_bytes: int | None, most_seconds: float | None) -> bool:
    """Where a limit was given, not to know is to exceed it."""
    if most_bytes is None and most_seconds is None:
        return False
    if one.lag is None:
        return True
    too_much = most_bytes is not None and one.lag.bytes > most_bytes
    return too_much or (most_seconds is not None and one.lag.seconds > most_seconds)


def dead(
    face: Face,
    name: StreamName,
    *,
    kind: Kind = None,
    path: OfPath = None,
    settled: Annotated[bool, typer.Option("--all", help="Also those that were read after all.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 100,
    sink: SinkUrl = None,
) -> None:
    """List dead letters: lines that could not be used, where they stand and why."""
    from waycairn.cli import stream_picture
    from waycairn.documents import streams as stream_facts
    from waycairn.upkeep.letters import letters

    wanted = wanted_letters(kind, path, with_settled=settled, limit=limit)
    with face.open() as store:
        stream = stream_named(store.core, name, sink)
        found = list(letters(stream, wanted))
    if face.as_json:
        face.document({"stream": name, "dead": [stream_facts.letter_facts(one) for one in found]})
        return
    if not found and face.is_terminal:
        face.line("no dead letters like that")
        return
    rows = [stream_picture.letter_row(one) for one in found]
    face.table(
        stream_picture.LETTER_COLUMNS, rows, right=stream_picture.LETTER_RIGHT, spare=stream_picture.LETTER_SPARE
    )


def verify(face: Face, name: StreamName, *, sink: SinkUrl = None) -> int:
    """Compare files with what was consumed of them, at the places that were marked. A difference is exit code 3."""
    from waycairn.cli import stream_picture
    from waycairn.documents import streams as stream_facts
    from waycairn.upkeep.streams import check_files

    with face.open() as store:
        checked = list(check_files(stream_named(store.core, name, sink)))
    is_bad = any(one.changed or one.error for one in checked)
    if face.as_json:
        face.document({"stream": name, "files": [stream_facts.checked_facts(one) for one in checked]})
    else:
        rows = [stream_picture.checked_row(one) for one in checked]
        face.table(stream_picture.CHECKED_COLUMNS, rows, right=stream_picture.CHECKED_RIGHT)
    if is_bad and not face.as_json:
        face.aside(
            "rows that were made of these bytes stay as they are. To read such a file again: waycairn stream reset "
            f"{name} --path FILE"
        )
    return FOUND_BAD if is_bad else 0


COMMANDS = (
    Command("list", list_streams),
    Command("show", show_stream),
    Command("lag", lag),
    Command("dead", dead),
    Command("verify", verify),
)
