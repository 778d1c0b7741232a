"""The audit log: appended under a lock, so that numbers and hashes make one chain."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from waycairn.catalog.columns import (
    ESCAPE,
    decode_json,
    decode_maybe,
    decode_text,
    encode_json,
    encode_maybe,
    encode_text,
)
from waycairn.catalog.database import Row, Session
from waycairn.catalog.parts import Part
from waycairn.catalog.riding import Rider, riding
from waycairn.catalog.shapes import reads
from waycairn.catalog.sql import ColumnElement, Integer, bindparam, delete, insert, or_, select, update
from waycairn.catalog.statement import Statement
from waycairn.catalog.tables import audit, upkeep
from waycairn.errors import Damaged
from waycairn.model.audit import BEGINNING, AuditEntry, AuditFilter, AuditRow, Outcome, chain_hash
from waycairn.model.ids import RunId
from waycairn.model.records import StoreInfo

HOLD_CHAIN = Statement(
    "hold_chain",
    "Let one transaction at a time append; what was noted of the newest row.",
    lambda build: (
        build.insert(upkeep)
        .values(name=bindparam("whose"), at=bindparam("now"), facts=bindparam("none"))
        .on_conflict_do_update(index_elements=["name"], set_={"at": bindparam("now")})
        .returning(upkeep.c.facts)
    ),
)
NOTE_NEWEST = Statement(
    "note_newest",
    "Note the newest row apart from the rows, so that a missing end is seen.",
    update(upkeep).where(upkeep.c.name == bindparam("whose")).values(facts=bindparam("noted")),
)
NEWEST_NOTED = Statement(
    "newest_noted", "What was noted of it.", select(upkeep.c.facts).where(upkeep.c.name == bindparam("whose"))
)
NEWEST_LINK = Statement(
    "newest_link",
    "Number and hash of the row with the highest number.",
    select(audit.c.number, audit.c.hash).order_by(audit.c.number.desc()).limit(1),
)
ADD_AUDIT = Statement(
    "add_audit",
    "One row of the log.",
    insert(audit).values(**{column.name: bindparam(column.name) for column in audit.c}),
)
_ROW = tuple(audit.c)
AUDIT_AFTER = Statement(
    "audit_after",
    "A bounded number of rows, in order.",
    select(*_ROW)
    .where(audit.c.number > bindparam("after"))
    .order_by(audit.c.number)
    .limit(bindparam("limit", type_=Integer)),
)
AUDIT_OF = Statement(
    "audit_of",
    "What was done to something, or to what its id begins with, the newest first.",
    select(*_ROW)
    .where(or_(audit.c.object == bindparam("what"), audit.c.object.like(bindparam("below"))))
    .order_by(audit.c.number.desc())
    .limit(bindparam("limit", type_=Integer)),
)

_WANTED: Mapping[str, ColumnElement[bool]] = {
    "since": audit.c.at >= bindparam("since"),
    "until": audit.c.at < bindparam("until"),
    # A little more than `AuditFilter.admits`, which looks once more: names are parts of a text, which may be escaped.
    "actor": or_(
        audit.c.actor.like(bindparam("actor"), escape="\\"), audit.c.actor.like(bindparam("escaped"), escape="\\")
    ),
    "act": or_(audit.c.act == bindparam("act"), audit.c.act.like(bindparam("family"), escape="\\")),
    "object": audit.c.object == bindparam("object"),
    "outcome": audit.c.outcome == bindparam("outcome"),
}


@cache
def _audit_before(narrowed: tuple[str, ...]) -> Statement:
    return Statement(
        "audit_before",
        "A bounded number of rows that match, the newest first.",
        select(*_ROW)
        .where(audit.c.number < bindparam("before"), *(_WANTED[name] for name in narrowed))
        .order_by(audit.c.number.desc())
        .limit(bindparam("limit", type_=Integer)),
    )


AUDIT_BEFORE = _audit_before(())
GET_AUDIT = Statement(
    "get_audit",
    "The row with the highest number up to one.",
    select(*_ROW).where(audit.c.number <= bindparam("through")).order_by(audit.c.number.desc()).limit(1),
)
CUT_AUDIT = Statement(
    "cut_audit", "Remove the oldest rows.", delete(audit).where(audit.c.number <= bindparam("through"))
)

_NOTED = "audit"
"""The row of `upkeep` that notes the newest one."""
_PAGE = 256
_LAST = 2**62
_ALL = AuditFilter()


class AuditPart(Part):
    """Implements `ports.AuditRows`."""

    _info: StoreInfo

    def add_audit(self, entry: AuditEntry) -> AuditRow:
        secret = self._info.secret
        return self._database.write(lambda session: append(session, secret, entry))

    def riding(self, entry_of: Callable[[Any], AuditEntry | None]) -> AbstractContextManager[Rider]:
        def join(session: Session, result: Any) -> bool:
            entry = entry_of(result)
            if entry is not None:
                append(session, self._info.secret, entry)
            return entry is not None

        return riding(join)

    def audit_after(self, number: int) -> Iterator[AuditRow]:
        values: dict[str, Any] = {"after": number, "limit": _PAGE}
        while rows := self._database.read(lambda session: session.all(AUDIT_AFTER, values)):
            yield from map(_row_of, rows)
            values["after"] = rows[-1][0]

    def audit_before(self, number: int | None, which: AuditFilter = _ALL) -> Iterator[AuditRow]:
        wanted = _wanted(which)
        values: dict[str, Any] = {**wanted, "before": _LAST if number is None else number, "limit": _PAGE}
        statement = _audit_before(tuple(name for name in _WANTED if name in wanted))
        while rows := self._database.read(lambda session: session.all(statement, values)):
            yield from filter(which.admits, map(_row_of, rows))
            values["before"] = rows[-1][0]

    def audit_of_run(self, run: RunId, limit: int) -> Sequence[AuditRow]:
        values = {"what": run, "below": f"{run}.%", "limit": limit}
        return [_row_of(row) for row in self._database.read(lambda session: session.all(AUDIT_OF, values))]

    def newest_audit(self) -> tuple[int, bytes] | None:
        row = self._database.read(lambda session: session.one(NEWEST_NOTED, {"whose": _NOTED}))
        return None if row is None else _noted_of(row)

    def cut_audit(self, through: int, entry_of: Callable[[AuditRow, int], AuditEntry]) -> int:
        secret = self._info.secret
        return self._database.write(lambda session: _cut(session, secret, through, entry_of))


def append(session: Session, secret: bytes, entry: AuditEntry) -> AuditRow:
    """In the transaction of the session. The lock comes first: a number is given out once."""
    held = session.one(HOLD_CHAIN, {"whose": _NOTED, "now": entry.at, "none": encode_json({})})
    assert held is not None
    number, previous = _end_of(session, _noted_of(held))
    row = AuditRow(number=number + 1, entry=entry, hash=chain_hash(secret, previous, number + 1, entry))
    session.change(ADD_AUDIT, _values_of(row))
    session.change(NOTE_NEWEST, {"whose": _NOTED, "noted": encode_json({"number": row.number, "hash": row.hash.hex()})})
    return row


def _end_of(session: Session, noted: tuple[int, bytes] | None) -> tuple[int, bytes]:
    """Where the chain goes on: also behind rows that somebody removed at its end, which leaves the gap to be seen."""
    newest = session.one(NEWEST_LINK)
    there = (0, BEGINNING) if newest is None else (int(newest[0]), bytes(newest[1]))
    return there if noted is None or noted[0] < there[0] else noted


def _cut(session: Session, secret: bytes, through: int, entry_of: Callable[[AuditRow, int], AuditEntry]) -> int:
    found = session.one(GET_AUDIT, {"through": through})
    if found is None:
        return 0
    last = _row_of(found)
    removed = session.change(CUT_AUDIT, {"through": last.number})
    append(session, secret, entry_of(last, removed))
    return removed


def _wanted(which: AuditFilter) -> dict[str, Any]:
    """Parameters of `_WANTED`: those that narrow."""
    values: dict[str, Any] = {
        "since": which.since,
        "until": which.until,
        "actor": None if which.actor is None else f"%{_literal(encode_text(which.actor))}%",
        "escaped": None if which.actor is None else f"{_literal(ESCAPE)}%",
        "act": which.act,
        "family": None if which.act is None else f"{_literal(which.act)}.%",
        "object": encode_maybe(which.object),
        "outcome": None if which.outcome is None else which.outcome.value,
    }
    return {name: value for name, value in values.items() if value is not None}


def _literal(text: str) -> str:
    """In a pattern of LIKE."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _values_of(row: AuditRow) -> dict[str, Any]:
    entry = row.entry
    return {
        "number": row.number,
        "at": entry.at,
        "actor": encode_text(entry.actor),
        "act": entry.act,
        "object": encode_maybe(entry.object),
        "outcome": entry.outcome.value,
        "facts": encode_json(dict(entry.facts)),
        "hash": row.hash,
    }


def _row_of(row: Row) -> AuditRow:
    """Also of a row in which somebody wrote nonsense: it is to be shown, with its number."""
    try:
        return _sound(row)
    except Damaged as error:
        nothing = AuditEntry(at=0.0, actor="", act="")
        return AuditRow(number=row[0], entry=nothing, hash=b"", damage=str(error))


@reads(_ROW)
def _sound(row: Row) -> AuditRow:
    number, at, actor, act, object_, outcome, facts, digest = row
    entry = AuditEntry(
        at=float(at),
        actor=decode_text(actor),
        act=act,
        object=decode_maybe(object_),
        outcome=Outcome(outcome),
        facts=decode_json(facts),
    )
    return AuditRow(number=number, entry=entry, hash=bytes(digest))


@reads((upkeep.c.facts,))
def _noted_of(row: Row) -> tuple[int, bytes] | None:
    noted = decode_json(row[0])
    return (int(noted["number"]), bytes.fromhex(noted["hash"])) if noted else None
