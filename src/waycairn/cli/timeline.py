"""`waycairn timeline`: each time a run was entered, and what happened to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from waycairn.cli.command import Command
from waycairn.cli.naming import Key, RunName
from waycairn.cli.output import Face, text

if TYPE_CHECKING:
    from rich.text import Text

    from waycairn.upkeep.timeline import Attempt

_COLUMNS = ("epoch", "owner", "begun", "ended", "lasted", "commits", "end")


def show_timeline(
    face: Face,
    run: RunName,
    key: Key = None,
    *,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many events.")] = None,
) -> None:
    """Show who entered a run, how each entry ended, and what happened to it since: newest first."""
    from waycairn.documents.timeline import timeline_facts
    from waycairn.upkeep.sizes import iso
    from waycairn.upkeep.timeline import timeline_of

    with face.open() as store:
        found = timeline_of(store.core, store.find(run, key))
    events = found.events[:limit]
    if face.as_json:
        facts = timeline_facts(found)
        face.document({**facts, "events": facts["events"][:limit]})
        return
    if found.attempts:
        rows: list[list[str | Text]] = [[*_cells(attempt)] for attempt in found.attempts]
        face.table(_COLUMNS, rows, right=("epoch", "lasted", "commits"), spare=("ended",))
        face.line()
    told: list[list[str | Text]] = [
        [iso(event.at) or "", text(event.text), text(event.actor or "")] for event in events
    ]
    face.table(("time", "event", "by"), told, spare=("by",))


def _cells(attempt: Attempt) -> Iterator[str]:
    from waycairn.upkeep.sizes import duration_text, iso
    from waycairn.upkeep.standing import owner_words

    yield str(attempt.epoch)
    yield owner_words(attempt.owner)
    yield iso(attempt.begun) or ""
    yield iso(attempt.ended) or ""
    yield "" if attempt.seconds is None else duration_text(attempt.seconds)
    yield "" if attempt.commits is None else f"{attempt.commits:,}"
    yield attempt.end or "running"


COMMANDS = (Command("timeline", show_timeline),)
