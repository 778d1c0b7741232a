"""How streams look on a terminal and in a pipe."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from waycairn.cli.output import text
from waycairn.documents.runs import title_of
from waycairn.streams.records import FileState
from waycairn.upkeep.sizes import duration_text, iso, size_text
from waycairn.upkeep.standing import owner_words
from waycairn.upkeep.streams import AWAY, FOLLOWING, GONE

if TYPE_CHECKING:
    from rich.text import Text

    from waycairn.streams.dead_letters import KeptLetter
    from waycairn.streams.records import Generation
    from waycairn.streams.rereading import Checked
    from waycairn.upkeep.streams import StreamStanding

_STYLES = {FOLLOWING: "cyan", AWAY: "bold red", GONE: "bold red"}
_FILE_STYLES = {FileState.ACTIVE: "cyan", FileState.DONE: "green", FileState.MISSING: "yellow"}
_FORMER = 3
"""Runs that are named."""
_BEGINNING = 80
"""Bytes of a dead letter that are shown in a list."""

STREAM_COLUMNS = ("name", "run", "sink", "files", "events", "dead", "behind", "updated", "state")
STREAM_RIGHT = ("files", "events", "dead", "behind", "updated")
STREAM_SPARE = ("run", "files", "updated", "sink")
FILE_COLUMNS = ("file", "path", "state", "offset", "size", "lines", "unread", "updated")
FILE_RIGHT = ("file", "offset", "size", "lines", "unread", "updated")
FILE_SPARE = ("updated", "unread", "lines")
LAG_COLUMNS = ("name", "behind", "for", "files", "oldest unread", "")
LAG_RIGHT = ("behind", "for", "files")
CHECKED_COLUMNS = ("file", "path", "consumed", "marks", "")
CHECKED_RIGHT = ("file", "consumed", "marks")
LETTER_COLUMNS = ("id", "path", "offset", "line", "kind", "error", "beginning")
LETTER_RIGHT = ("id", "offset", "line")
LETTER_SPARE = ("id", "offset", "path")


def stream_row(one: StreamStanding, now: float) -> list[str | Text]:
    """Cells for STREAM_COLUMNS."""
    known, standing = one.known, one.standing
    numbers = ["", "", "", "", ""]
    if standing is not None:
        numbers = [
            f"{len(standing.generations):,}",
            f"{standing.counts.events:,}",
            f"{one.letters:,}",
            _behind(one),
            duration_text(now - standing.updated),
        ]
    return [
        text(known.name),
        text(known.run.name if known.run else ""),
        text(known.sink),
        *numbers,
        text(one.word, _STYLES.get(one.word, "")),
    ]


def stream_lines(one: StreamStanding, now: float) -> Iterator[tuple[str, str]]:
    """Labels and what is said of one stream."""
    known, standing = one.known, one.standing
    assert standing is not None
    held = f", held by {owner_words(one.holder)}" if one.holder else ""
    run = title_of(known.run) if known.run else standing.holder.run
    yield "stream", f"{known.name}, {one.word}"
    yield "run", f"{run}, epoch {standing.holder.epoch}{held}"
    for former in known.former[:_FORMER]:
        yield "before", f"{title_of(former)}, {duration_text(now - former.updated)} ago"
    yield "sink", known.sink + ("" if standing.sink_length is None else f", {standing.sink_length:,} bytes committed")
    yield "paths", ", ".join(known.paths)
    yield "parser", standing.parser
    for former in standing.facts.get("former_parsers", ()):
        yield "before", f"{former.get('parser')}, until {iso(former.get('until'))}"
    yield "met", _counts(one)
    yield "commits", f"{standing.commits:,}, the last one {duration_text(now - standing.updated)} ago"
    if standing.state is not None:
        yield "state", f"{size_text(len(standing.state))} beside the offsets"
    yield "behind", _behind_words(one)
    if one.outage is not None:
        away = f"away for {duration_text(now - one.outage.since)} for the one who follows, {one.outage.tries:,} tries"
        yield "sink", f"{away}: {one.outage.error}"


def _counts(one: StreamStanding) -> str:
    assert one.standing is not None
    counts = one.standing.counts
    told = [f"{counts.events:,} events", f"{counts.dead:,} dead letters ({one.letters:,} not settled)"]
    told += [f"{counts.skipped:,} skipped"] if counts.skipped else []
    told += [f"{counts.blank:,} blank lines"] if counts.blank else []
    told += [f"{counts.nuls:,} NULs"] if counts.nuls else []
    return ", ".join([*told, size_text(counts.bytes)])


def _behind(one: StreamStanding) -> str:
    return "" if one.lag is None else size_text(one.lag.bytes)


def _behind_words(one: StreamStanding) -> str:
    if one.lag is None or not one.lag.bytes:
        return "nothing"
    return f"{size_text(one.lag.bytes)} in {one.lag.files:,} file{'s' if one.lag.files > 1 else ''}, for {duration_text(one.lag.seconds)}"


def lag_row(one: StreamStanding, is_exceeded: bool) -> list[str | Text]:
    """Cells for LAG_COLUMNS."""
    from waycairn.documents.streams import lag_facts

    if one.lag is None:
        return [text(one.known.name), "", "", "", "", text(one.word, "bold red")]
    return [
        text(one.known.name),
        size_text(one.lag.bytes),
        duration_text(one.lag.seconds),
        f"{one.lag.files:,}",
        text(lag_facts(one)["oldest_unread"] or ""),
        text("too much", "bold red") if is_exceeded else "",
    ]


def generations(one: StreamStanding) -> Sequence[Generation]:
    """Of the stream, by path; at one path the oldest first."""
    assert one.standing is not None
    return sorted(one.standing.generations, key=lambda generation: (generation.path, generation.id))


def file_row(one: Generation, now: float) -> list[str | Text]:
    """Cells for FILE_COLUMNS."""
    copy = f" (copy of {one.copy_of})" if one.copy_of is not None else ""
    return [
        str(one.id),
        text(os.fsdecode(one.path) + copy),
        text(one.state.value, _FILE_STYLES.get(one.state, "")),
        f"{one.offset:,}",
        f"{one.size:,}" + (f" {one.compression}" if one.compression else ""),
        f"{one.lines:,}",
        f"{one.unread:,}" if one.unread else "",
        duration_text(now - one.updated),
    ]


def checked_row(one: Checked) -> list[str | Text]:
    """Cells for CHECKED_COLUMNS."""
    generation = one.generation
    if one.error:
        said = text(f"cannot be read: {one.error}", "bold red")
    elif not one.is_there:
        said = text("not there any more", "dim")
    elif one.changed:
        said = text("changed: " + ", ".join(f"bytes {begin:,}-{end:,}" for begin, end in one.changed), "bold red")
    else:
        said = text("as it was consumed", "green")
    return [str(generation.id), text(os.fsdecode(generation.path)), f"{generation.offset:,}", f"{one.marks:,}", said]


def letter_row(kept: KeptLetter) -> list[str | Text]:
    """Cells for LETTER_COLUMNS."""
    letter = kept.letter
    error = letter.error if kept.tried_error is None else f"{kept.tried_error} (try {kept.tries})"
    return [
        str(kept.id),
        text(os.fsdecode(letter.path)),
        str(letter.offset),
        str(letter.line),
        letter.kind + (" (settled)" if kept.settled else ""),
        text(error),
        text(letter.head[:_BEGINNING].decode("utf-8", "backslashreplace")),
    ]
