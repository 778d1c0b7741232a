"""What upkeep did last, and who may begin now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import bindparam, or_, select
from sqlalchemy.sql.elements import ClauseElement

from waycairn.catalog.columns import decode_json, encode_json
from waycairn.catalog.database import Row
from waycairn.catalog.parts import Part
from waycairn.catalog.shapes import reads
from waycairn.catalog.statement import Build, Statement
from waycairn.catalog.tables import upkeep

_COLUMNS = (upkeep.c.name, upkeep.c.at, upkeep.c.facts)
WORKS = Statement("works", "All works.", select(*_COLUMNS))


def _claim(build: Build) -> ClauseElement:
    claimed = build.insert(upkeep).values(name=bindparam("work"), at=bindparam("now"), facts=bindparam("facts"))
    # A time in the future is of a clock that was set back since then: it must not keep work away.
    is_due = or_(upkeep.c.at <= bindparam("due"), upkeep.c.at > bindparam("now"))
    claimed = claimed.on_conflict_do_update(index_elements=["name"], set_={"at": bindparam("now")}, where=is_due)
    assert isinstance(claimed, ClauseElement)
    return claimed


def _note(build: Build) -> ClauseElement:
    noted = build.insert(upkeep).values(name=bindparam("work"), at=bindparam("now"), facts=bindparam("facts"))
    noted = noted.on_conflict_do_update(index_elements=["name"], set_={"facts": bindparam("facts")})
    assert isinstance(noted, ClauseElement)
    return noted


CLAIM_WORK = Statement("claim_work", "Note the time of a work, unless one was noted lately.", _claim)
NOTE_WORK = Statement("note_work", "Note what came of it.", _note)


class WorkPart(Part):
    """Implements `ports.WorkRows`."""

    def claim_work(self, name: str, now: float, pause: float) -> bool:
        values = {"work": name, "now": now, "due": now - pause, "facts": encode_json({})}
        return self._database.write(lambda session: session.change(CLAIM_WORK, values)) == 1

    def note_work(self, name: str, facts: Mapping[str, Any]) -> None:
        values = {"work": name, "now": self._clock.now(), "facts": encode_json(dict(facts))}
        self._database.write(lambda session: session.change(NOTE_WORK, values))

    def works(self) -> Mapping[str, tuple[float, Mapping[str, Any]]]:
        return dict(map(_work_of, self._database.read(lambda session: session.all(WORKS))))


@reads(_COLUMNS)
def _work_of(row: Row) -> tuple[str, tuple[float, Mapping[str, Any]]]:
    name, at, facts = row
    return name, (at, decode_json(facts))
