"""Entries into runs: a row when one begins, changed when it ends; nothing on the way of the commits between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from waycairn.catalog.database import Row, Session
from waycairn.catalog.parts import NUM, Part
from waycairn.catalog.rows import decode_owner
from waycairn.catalog.shapes import reads
from waycairn.catalog.sql import bindparam, select, update
from waycairn.catalog.statement import Statement
from waycairn.catalog.tables import entries
from waycairn.model.entries import Ending, RunEntry
from waycairn.model.ids import RunId

ADD_ENTRY = Statement(
    "add_entry",
    "An entry begins. A row that is there already (of a catalog put together from what could be saved) keeps nobody out.",
    lambda build: (
        build.insert(entries)
        .values(**{column.name: bindparam(column.name) for column in entries.c})
        .on_conflict_do_nothing()
    ),
)
LEAVE_ENTRY = Statement(
    "leave_entry",
    "Its run is left. A phase has none: nothing is changed then.",
    update(entries)
    .where(entries.c.run == bindparam("num"), entries.c.epoch == bindparam("was"))
    .values(ended=bindparam("now"), ending=bindparam("status")),
)
LOSE_ENTRY = Statement(
    "lose_entry",
    "It never left its run, and the next one begins.",
    update(entries)
    .where(entries.c.run == bindparam("num"), entries.c.epoch == bindparam("was"), entries.c.ended.is_(None))
    .values(ended=bindparam("seen"), ending=bindparam("ending")),
)
_ENTRY = tuple(column for column in entries.c if column.name != "run")
ENTRIES = Statement(
    "entries", "Those of a run, in order.", select(*_ENTRY).where(entries.c.run == NUM).order_by(entries.c.epoch)
)


class EntryPart(Part):
    """Implements `ports.EntryRows`."""

    def entries(self, run: RunId) -> Sequence[RunEntry]:
        return [_entry_of(row) for row in self._database.read(lambda session: session.all(ENTRIES, {"id": run}))]


def begin_entry(session: Session, num: int, epoch: int, *, owner: str, sequence: int, now: float) -> None:
    values: dict[str, Any] = {"run": num, "epoch": epoch, "owner": owner, "sequence": sequence, "begun": now}
    session.change(ADD_ENTRY, {**values, "ended": None, "ending": None})


def lose_entry(session: Session, num: int, epoch: int, seen: float, ending: Ending) -> None:
    """`seen` is the last that is known of it."""
    session.change(LOSE_ENTRY, {"num": num, "was": epoch, "seen": seen, "ending": ending.value})


@reads(_ENTRY)
def _entry_of(row: Row) -> RunEntry:
    epoch, begun, owner, sequence, ended, ending = row
    found = decode_owner(owner)
    if found is None:
        raise ValueError("an entry of nobody")
    return RunEntry(
        epoch=epoch,
        begun=float(begun),
        owner=found,
        sequence=sequence,
        ended=None if ended is None else float(ended),
        ending=ending,
    )
