"""What upkeep did last."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from waycairn.catalog.columns import decode_json, encode_json
from waycairn.catalog.database import Row
from waycairn.catalog.parts import Part
from waycairn.catalog.shapes import reads
from waycairn.catalog.sql import ClauseElement, Double, bindparam, or_, select
from waycairn.catalog.statement import Build, Statement
from waycairn.catalog.tables import Json, upkeep
from waycairn.ports.catalog_upkeep import UpkeepNote

UPKEEP_NOTE = Statement(
    "upkeep_note",
    "What some work of upkeep did last.",
    select(upkeep.c.at, upkeep.c.facts).where(upkeep.c.name == bindparam("name")),
)


def _note(build: Build) -> ClauseElement:
    at, facts = bindparam("at", type_=Double), bindparam("facts", type_=Json)
    noted = build.insert(upkeep).values(name=bindparam("name"), at=at, facts=facts)
    noted = noted.on_conflict_do_update(
        index_elements=["name"], set_={"at": noted.excluded.at, "facts": noted.excluded.facts}
    )
    element: ClauseElement = noted
    return element


NOTE_UPKEEP = Statement("note_upkeep", "Note what was done, in place of the time before.", _note)


def _claim(build: Build) -> ClauseElement:
    now = bindparam("now", type_=Double)
    claimed = build.insert(upkeep).values(name=bindparam("name"), at=now, facts=bindparam("facts", type_=Json))
    # A time far in the future is of a clock that was set back since then: it must not keep work away. One that is a little
    # later is of somebody who began while this one looked at its clock.
    is_due = or_(upkeep.c.at <= bindparam("due", type_=Double), upkeep.c.at > bindparam("until", type_=Double))
    claimed = claimed.on_conflict_do_update(index_elements=["name"], set_={"at": now}, where=is_due)
    element: ClauseElement = claimed
    return element


CLAIM_UPKEEP = Statement("claim_upkeep", "Note that a work begins, unless it began lately.", _claim)


class UpkeepPart(Part):
    """Implements `ports.UpkeepRows`."""

    def upkeep_note(self, name: str) -> UpkeepNote | None:
        row = self._database.read(lambda session: session.one(UPKEEP_NOTE, {"name": name}))
        return None if row is None else _note_of(row)

    def claim_upkeep(self, name: str, now: float, pause: float) -> bool:
        values = {"name": name, "now": now, "due": now - pause, "until": now + pause, "facts": encode_json({})}
        return self._database.write(lambda session: session.change(CLAIM_UPKEEP, values)) == 1

    def note_upkeep(self, name: str, at: float, facts: Mapping[str, Any]) -> None:
        values = {"name": name, "at": at, "facts": encode_json(dict(facts))}
        self._database.write(lambda session: session.change(NOTE_UPKEEP, values))


@reads((upkeep.c.at, upkeep.c.facts))
def _note_of(row: Row) -> UpkeepNote:
    return UpkeepNote(float(row[0]), decode_json(row[1]))
