"""Dead letters in the ledger: listing them, and what became of each.

`settle` is called in the transaction in which the event of a repaired line is written: exactly once, whoever else
tries the same line.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, delete, func, select, update

from waycairn.streams import rows, sealing
from waycairn.streams.records import DeadKind, DeadLetter
from waycairn.streams.tables import dead_letters


class KeptLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter as the ledger has it."""

    id: int
    stream: str
    letter: DeadLetter
    tries: int = 0
    """To read it again, that failed."""
    tried: float | None = None
    tried_error: str | None = None
    settled: float | None = None
    """When it was read after all; None while it is open."""


class LetterFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which dead letters; what is None or empty does not narrow."""

    stream: str | None = None
    kinds: Collection[DeadKind] = ()
    path: bytes | None = None
    generation: int | None = None
    is_settled: bool | None = None
    ids: Collection[int] = ()


def listed(connection: Connection, which: LetterFilter, *, after: int = 0, limit: int = 100) -> list[KeptLetter]:
    """A page in the order in which they were met; the next one is after the id of its last."""
    statement = _narrowed(select(dead_letters), which).where(dead_letters.c.id > after)
    found = connection.execute(statement.order_by(dead_letters.c.id).limit(limit))
    return [_kept(connection, row) for row in found]


def counted(connection: Connection, which: LetterFilter) -> dict[str, int]:
    """How many of each kind."""
    statement = select(dead_letters.c.kind, func.count().label("number")).group_by(dead_letters.c.kind)
    return {row.kind: row.number for row in connection.execute(_narrowed(statement, which))}


def settle(connection: Connection, number: int, now: float) -> bool:
    """It was read after all. False: somebody settled or deleted it before, so do not write its event."""
    statement = update(dead_letters).where(dead_letters.c.id == number, dead_letters.c.settled.is_(None))
    return connection.execute(statement.values(settled=now)).rowcount == 1


def failed_again(connection: Connection, kept: KeptLetter, error: str, now: float) -> None:
    """It could still not be used."""
    place = (kept.stream, kept.letter.generation, kept.letter.offset)
    connection.execute(
        update(dead_letters)
        .where(dead_letters.c.id == kept.id)
        .values(
            tries=dead_letters.c.tries + 1,
            tried=now,
            tried_error=sealing.seal_text(connection, rows.storable(error), "tried", *place),
        )
    )


def forget(connection: Connection, which: LetterFilter) -> int:
    """Delete them from the ledger, for good; how many. Their lines stay in their files."""
    return connection.execute(delete(dead_letters).where(*_conditions(which))).rowcount


def _narrowed(statement: Select[Any], which: LetterFilter) -> Select[Any]:
    return statement.where(*_conditions(which))


def _conditions(which: LetterFilter) -> Sequence[Any]:
    c = dead_letters.c
    conditions = [
        column == value
        for column, value in ((c.stream, which.stream), (c.path, which.path), (c.generation, which.generation))
        if value is not None
    ]
    if which.kinds:
        conditions.append(c.kind.in_(which.kinds))
    if which.ids:
        conditions.append(c.id.in_(which.ids))
    if which.is_settled is not None:
        conditions.append(c.settled.is_not(None) if which.is_settled else c.settled.is_(None))
    return conditions


def _kept(connection: Connection, row: Any) -> KeptLetter:
    place = (row.stream, row.generation, row.offset)
    letter = rows.dead_letter_of(row)
    return KeptLetter(
        id=row.id,
        stream=row.stream,
        letter=msgspec.structs.replace(
            letter,
            head=sealing.open_bytes(connection, letter.head, "head", *place),
            error=sealing.open_text(connection, letter.error, "error", *place),
        ),
        tries=row.tries,
        tried=row.tried,
        tried_error=row.tried_error and sealing.open_text(connection, row.tried_error, "tried", *place),
        settled=row.settled,
    )
