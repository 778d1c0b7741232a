"""Rows out of a damaged SQLite file, table by table, row by row, around what cannot be read.

SQLite finds damage where it meets it and gives nothing from there on. So a table is read in the order of its row numbers up
to the damage, the next readable row is searched for behind it (in steps that double, then halve), and so on. Tables that are
clustered by their key are read run by run, from both ends. Only the file as a whole must still be one: its first page, and
the pages that lead from there to the tables.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from waycairn.catalog.database import Row, Session
from waycairn.catalog.shapes import kinds_of
from waycairn.catalog.sql import (
    Column,
    ColumnElement,
    Integer,
    String,
    Table,
    bindparam,
    delete,
    func,
    insert,
    literal,
    literal_column,
    null,
    select,
    update,
)
from waycairn.catalog.statement import Statement, sqlite_texts
from waycairn.catalog.tables import FORMAT, Json, checkpoints, counters, keys, meta, metadata, runs
from waycairn.errors import Damaged
from waycairn.model.states import CheckpointStatus, RunStatus

_LAST = (1 << 62) - 1
_BAD = (sqlite3.DatabaseError, sqlite3.OperationalError)
_STATUSES = {
    runs.c.status: frozenset(status.value for status in RunStatus),
    checkpoints.c.status: frozenset(status.value for status in CheckpointStatus),
}
_NUMBER: ColumnElement[int] = literal_column("rowid", Integer)
_TEXTS = sqlite_texts()
_SECRETS = {32, 71}
"""Bytes; the longer one is sealed, of an encrypted store."""
_IDENTITY = (meta.c.id, meta.c.secret, meta.c.created)

IDENTITY = Statement("identity", "Which store this is.", select(*_IDENTITY))
RENAME = Statement(
    "rename",
    "A new store takes the name and the secret of another.",
    update(meta).values({name: bindparam(name) for name in ("id", "format", "secret", "created")}),
)
COLUMNS = Statement(
    "columns",
    "The columns of a table.",
    select(func.pragma_table_info(bindparam("table", type_=String)).table_valued("name").c.name),
)
EMPTY = Statement("empty", "The counters of the new store.", delete(counters))
COUNT = Statement(
    "count",
    "A store without a sweep epoch has the first one. The number of the next chunk is told by a repair.",
    lambda build: (
        build.insert(counters)
        .from_select(["name", "value"], select(literal("sweep"), literal(0)))
        .on_conflict_do_nothing(index_elements=["name"])
    ),
)
LOOK_AGAIN = Statement(
    "look_again",
    "Whoever remembers chunks of the damaged store must look again.",
    update(counters).where(counters.c.name == "sweep").values(value=counters.c.value + 1),
)
_others = runs.alias("others")
ADOPT = Statement(
    "adopt",
    "A phase whose parent is lost is a run of its own.",
    update(runs)
    .where(runs.c.parent.is_not(None), runs.c.parent.not_in(select(_others.c.id)))
    .values(parent=null(), root=runs.c.id),
)


@dataclass(slots=True)
class SalvagedTable:
    """What came out of one table."""

    rows: int = 0
    nonsense: int = 0
    """Rows that could be read and hold what no writer wrote, or hang on a run that is lost."""
    gaps: int = 0
    """Places at which nothing could be read."""


@dataclass(slots=True)
class SalvagedRows:
    tables: dict[str, SalvagedTable] = field(default_factory=dict)


def salvage_rows(damaged: Path, fresh: Path, others: Sequence[Path] = ()) -> SalvagedRows:
    """Every readable row of one catalog into a new and empty one, in one transaction. `others` are older copies of the catalog
    that may tell what the store is, if the damaged one cannot. Raises Damaged if nobody can: without the secret of the store
    nothing in it can be told from nonsense."""
    found = SalvagedRows()
    with closing(_opened(damaged)) as source, closing(sqlite3.connect(fresh, isolation_level=None)) as target:
        identity = _identity(damaged, others)
        for word in ("PRAGMA synchronous = FULL", "PRAGMA foreign_keys = OFF", "BEGIN IMMEDIATE"):
            target.execute(word)
        old, new = Session(source.cursor(), _TEXTS), Session(target.cursor(), _TEXTS)
        new.run(EMPTY)
        new.change(RENAME, {**identity, "format": FORMAT})
        for table in metadata.sorted_tables:
            if table is not meta:
                found.tables[table.name] = _salvage(old, new, table)
        if len(identity["secret"]) > min(_SECRETS) and not found.tables[keys.name].rows:
            found.tables[keys.name] = _keys_of_another(new, others)
        drop_orphans(new, found)
        new.run(COUNT)
        new.run(LOOK_AGAIN)
        target.execute("COMMIT")
    return found


def _opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.text_factory = _text
    return connection


def _text(raw: bytes) -> str | bytes:
    """Bytes where it is no text: no column takes that."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def _identity(damaged: Path, others: Sequence[Path]) -> dict[str, Any]:
    for path in (damaged, *others):
        try:
            with closing(_opened(path)) as connection:
                row = Session(connection.cursor(), _TEXTS).one(IDENTITY)
        except _BAD:
            continue
        if row is not None and _makes_sense(_IDENTITY, row) and len(row[1]) in _SECRETS:
            return {column.name: value for column, value in zip(_IDENTITY, row, strict=True)}
    raise Damaged(
        "the row that says which store this is cannot be read, neither in the catalog nor in a copy of it: without the secret "
        "in it no checkpoint can be told from nonsense. Nothing was written. Restore a copy of catalog.db, then repair."
    )


def _keys_of_another(new: Session, others: Sequence[Path]) -> SalvagedTable:
    """Keys may have been replaced since the copy was made: then the passphrase or key of that time opens it, if any does."""
    for path in others:
        with suppress(*_BAD), closing(_opened(path)) as connection:
            found = _salvage(Session(connection.cursor(), _TEXTS), new, keys)
            if found.rows:
                return found
    raise Damaged(
        "the store is encrypted, and the rows with its wrapped keys cannot be read, neither in the catalog nor in a copy of it: "
        "without them no passphrase and no key file opens it. Nothing was written. Restore a copy of catalog.db, then repair."
    )


# -- rows ----------------------------------------------------------------------------------------------------------


def _salvage(old: Session, new: Session, table: Table) -> SalvagedTable:
    found = SalvagedTable()
    columns = _columns(old, table)
    if not columns:
        found.gaps += 1
        return found
    put = Statement(
        "put_row",
        "A row that could be read.",
        insert(table).values({column.name: bindparam(column.name) for column in columns}),
    )
    for row in _Reading(old, table, columns, found).rows():
        if not _makes_sense(columns, row):
            found.nonsense += 1
            continue
        try:
            new.change(put, {column.name: value for column, value in zip(columns, row, strict=True)})
            found.rows += 1
        except sqlite3.IntegrityError:
            found.nonsense += 1
    return found


def _columns(old: Session, table: Table) -> list[Column[Any]]:
    """Those that the damaged store has: it may be of an older format."""
    try:
        there = {name for (name,) in old.all(COLUMNS, {"table": table.name})}
    except _BAD:
        return []
    return [column for column in table.c if column.name in there]


class _Reading:
    """One table, around its damage."""

    def __init__(self, old: Session, table: Table, columns: Sequence[Column[Any]], found: SalvagedTable) -> None:
        self._old = old
        self._table = table
        self._found = found
        self._columns = columns
        self._key = list(table.primary_key.columns)
        self._first = Statement(
            "first_from",
            "The first row from this number on.",
            select(_NUMBER, *columns)
            .select_from(table)
            .where(bindparam("first") <= _NUMBER)
            .order_by(_NUMBER)
            .limit(1),
        )

    def rows(self) -> Iterator[Row]:
        if self._table.dialect_options["sqlite"]["with_rowid"]:
            yield from self._by_number()
        elif self._key[0].name == "run":
            for num in self._runs():
                yield from self._from_both_ends(num)
        else:
            yield from self._from_both_ends(None)

    def _by_number(self) -> Iterator[Row]:
        behind = Statement(
            "rows_behind",
            "Rows in the order of their numbers.",
            select(_NUMBER, *self._columns).where(bindparam("after") < _NUMBER).order_by(_NUMBER),
        )
        after: int | None = -1
        while after is not None:
            try:
                for number, *row in self._old.each(behind, {"after": after}, at_once=1):
                    after = number
                    yield tuple(row)
                return
            except _BAD:
                # The driver looks one row ahead: the one before the damage comes if it is asked for alone.
                last = self._alone(after + 1)
                if last is not None:
                    after = last[0]
                    yield tuple(last[1:])
                    continue
                self._found.gaps += 1
                after = self._before_next(after + 1)

    def _before_next(self, bad: int) -> int | None:
        """The highest row number behind which something can be read again."""
        step, low = 1, bad
        while not self._is_readable(bad + step):
            low = bad + step
            step *= 2
            if bad + step > _LAST:
                return None
        high = bad + step
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._is_readable(middle) else (middle, high)
        return high - 1

    def _is_readable(self, number: int) -> bool:
        try:
            self._old.one(self._first, {"first": number})
        except _BAD:
            return False
        return True

    def _alone(self, number: int) -> Row | None:
        """The first row from this number on, if it can be read."""
        try:
            return self._old.one(self._first, {"first": number})
        except _BAD:
            return None

    def _runs(self) -> list[int]:
        numbers = _Reading(self._old, runs, [runs.c.num], SalvagedTable())
        return [num for (num,) in list(numbers.rows()) if isinstance(num, int)]

    def _from_both_ends(self, num: int | None) -> Iterator[Row]:
        seen: set[Row] = set()
        for is_first in (True, False):
            try:
                for row in self._from_an_end(num, is_first=is_first):
                    if row not in seen:
                        seen.add(row)
                        yield row
                return
            except _BAD:
                self._found.gaps += is_first

    def _from_an_end(self, num: int | None, *, is_first: bool) -> Iterator[Row]:
        order = [column.asc() if is_first else column.desc() for column in self._key]
        rows = select(*self._columns).order_by(*order)
        rows = rows if num is None else rows.where(self._key[0] == bindparam("of"))
        count = 0
        try:
            for row in self._old.each(Statement("rows_from_an_end", "In order.", rows), {"of": num}, at_once=1):
                count += 1
                yield row
        except _BAD:
            alone = Statement("row_alone", "The row before the damage.", rows.limit(1).offset(count))
            last = self._old.one(alone, {"of": num})
            if last is not None:
                yield last
            raise


def _makes_sense(columns: Sequence[Column[Any]], row: Sequence[Any]) -> bool:
    """Whether each column may hold that: a single row that is nonsense would keep a whole list from being read."""
    return all(_fits(column, value) for column, value in zip(columns, row, strict=True))


def _fits(column: Column[Any], value: Any) -> bool:
    if type(value) not in kinds_of(column):
        return False
    if value is None:
        return True
    if column in _STATUSES:
        return value in _STATUSES[column]
    if column.type is Json:
        try:
            json.loads(value)
        except ValueError:
            return False
    return True


def drop_orphans(new: Session, found: SalvagedRows) -> None:
    """What hangs on a run that is lost; a phase whose parent is lost becomes a run of its own."""
    new.run(ADOPT)
    for table in metadata.sorted_tables:
        if "run" in table.c and table.c.run.foreign_keys:
            orphans = delete(table).where(table.c.run.not_in(select(runs.c.num)))
            gone = new.change(Statement("drop_orphans", "Rows of runs that are lost.", orphans), {})
            found.tables[table.name].rows -= gone
            found.tables[table.name].nonsense += gone
