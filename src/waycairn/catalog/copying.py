"""Whole tables, read and written: for a copy of a store, from either database to either.

Values travel opened and decoded, so that it does not matter which database they come from and whether it is encrypted; what
only the destination can know (a keyed hash of an identity) is made there anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import (
    Boolean,
    Column,
    Integer,
    LargeBinary,
    Table,
    and_,
    bindparam,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.sql.elements import ClauseElement

from waycairn.catalog.chunk_index import add_data
from waycairn.catalog.columns import as_text, decode_json, decode_maybe, decode_text, encode_json, identity
from waycairn.catalog.database import Session
from waycairn.catalog.parts import Part
from waycairn.catalog.shapes import nonsense_of
from waycairn.catalog.statement import Build, Statement
from waycairn.catalog.tables import (
    FORMAT,
    Json,
    blocks,
    chunks,
    keys,
    meta,
    metadata,
    packs,
    runs,
    upkeep,
)
from waycairn.model.records import NewData
from waycairn.ports.catalog_copying import CopiedRow, TableReader
from waycairn.world.crashpoints import crashpoint

T = TypeVar("T")
UNFINISHED = 1_000_000
"""Added to the format while a store is a copy that is being made: nothing else opens it, no older waycairn either."""
_OF_ITS_OWN = {meta, keys, packs, blocks, chunks}
COPIED = tuple(table for table in metadata.sorted_tables if table not in _OF_ITS_OWN)
_BY_NAME = {table.name: table for table in COPIED}
_PAGE = 500
_COPY = "copy"
"""Its name among what upkeep did."""


def _begin(build: Build) -> ClauseElement:
    return text("BEGIN" if build.is_sqlite else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")


BEGIN = Statement("begin_moment", "What is read from here on is of one moment.", _begin)
END = Statement("end_moment", "Done with that moment.", lambda _: text("COMMIT"))
NOTE_COPY = Statement(
    "note_copy",
    "Of which store this is a copy.",
    insert(upkeep).values(name=bindparam("name"), at=bindparam("at"), facts=bindparam("facts")),
)
COPY_OF = Statement(
    "copy_of", "What was noted.", select(upkeep.c.name, upkeep.c.facts).where(upkeep.c.name == bindparam("name"))
)
FINISH = Statement(
    "finish_copy", "The copy is a store.", update(meta).values(format=bindparam("finished", type_=Integer))
)
NEXT_RUN = Statement(
    "next_run",
    "The numbers of new runs go on behind those that were copied. SQLite does that by itself.",
    lambda build: (
        select(literal(1))
        if build.is_sqlite
        else select(
            func.setval(func.pg_get_serial_sequence("runs", "num"), func.coalesce(func.max(runs.c.num), 0) + 1, False)
        )
    ),
)


def _key_of(table: Table) -> list[Column[Any]]:
    return list(table.primary_key.columns)


def _is_hashed(column: Column[Any]) -> bool:
    """What cannot be read of an encrypted store, and is made anew."""
    return column is runs.c.identity


def _selected(table: Table) -> Any:
    """All columns that can be read, then the id of the run, or whether the row gave up its identity."""
    chosen: list[Any] = _readable(table)
    if table is runs:
        return select(*chosen, runs.c.identity.is_(None).label("is_replaced"))
    if _hangs_on_run(table):
        return select(*chosen, runs.c.id).select_from(table.join(runs, table.c.run == runs.c.num))
    return select(*chosen)


def _readable(table: Table) -> list[Column[Any]]:
    return [column for column in table.c if not _is_hashed(column)]


def _hangs_on_run(table: Table) -> bool:
    return "run" in table.c and bool(table.c.run.foreign_keys)


@cache
def _page(table: Table) -> Statement:
    key = _key_of(table)
    behind = or_(
        *(
            and_(*(one == bindparam(f"key_{one.name}") for one in key[:at]), column > bindparam(f"key_{column.name}"))
            for at, column in enumerate(key)
        )
    )
    return Statement(
        f"page_of_{table.name}",
        "Rows behind one of them, in the order of the key.",
        _selected(table).where(behind).order_by(*key).limit(bindparam("most", type_=Integer)),
    )


@cache
def _first_page(table: Table) -> Statement:
    return Statement(
        f"first_page_of_{table.name}",
        "The first rows in the order of the key.",
        _selected(table).order_by(*_key_of(table)).limit(bindparam("most", type_=Integer)),
    )


@cache
def _count(table: Table) -> Statement:
    return Statement(f"count_{table.name}", "How many rows.", select(func.count()).select_from(table))


@cache
def _put(table: Table) -> Statement:
    return Statement(
        f"put_{table.name}", "A row as it is.", insert(table).values({c.name: bindparam(c.name) for c in table.c})
    )


@cache
def _clear(table: Table) -> Statement:
    return Statement(f"clear_{table.name}", "All rows go.", delete(table))


class _Moment:
    """Implements `ports.TableReader`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def count(self, table: str) -> int:
        row = self._session.one(_count(_BY_NAME[table]))
        return 0 if row is None else int(row[0])

    def rows(self, table: str) -> Iterator[Sequence[CopiedRow]]:
        found = _BY_NAME[table]
        rows = self._session.all(_first_page(found), {"most": _PAGE})
        while rows:
            page = [_taken(found, row) for row in rows]
            yield page
            if len(rows) < _PAGE:
                return
            last = {f"key_{column.name}": page[-1][column.name] for column in _key_of(found)}
            rows = self._session.all(_page(found), {**last, "most": _PAGE})


class CopyPart(Part):
    """Implements `ports.CopyRows`."""

    def copied_tables(self) -> Sequence[str]:
        return list(_BY_NAME)

    def at_one_moment(self, work: Callable[[TableReader], T]) -> T:
        def within(session: Session) -> T:
            session.run(BEGIN)
            try:
                return work(_Moment(session))
            finally:
                session.run(END)

        return self._database.read(within)

    def put_rows(self, table: str, rows: Sequence[CopiedRow]) -> None:
        found = _BY_NAME[table]
        values = [_given(found, row) for row in rows]
        self._database.write(lambda session: session.many(_put(found), values))

    def clear_copied(self) -> None:
        def clear(session: Session) -> None:
            for table in reversed(COPIED):
                session.run(_clear(table))

        self._database.write(clear)

    def add_chunks(self, data: NewData, now: float) -> None:
        self._database.write(lambda session: add_data(session, data, now))

    def note_copy(self, source: str, now: float) -> None:
        values = {"name": _COPY, "at": now, "facts": encode_json({"source": source})}
        self._database.write(lambda session: session.change(NOTE_COPY, values))

    def copy_of(self) -> str | None:
        row = self._database.read(lambda session: session.one(COPY_OF, {"name": _COPY}))
        with nonsense_of(upkeep.name):
            return None if row is None else str(decode_json(row[1])["source"])

    def finish_copy(self) -> None:
        def finish(session: Session) -> None:
            session.run(NEXT_RUN)
            session.change(FINISH, {"finished": FORMAT})

        crashpoint("copy.finish")
        self._database.write(finish)


def _taken(table: Table, row: Sequence[Any]) -> dict[str, Any]:
    """A row on its way."""
    readable = _readable(table)
    with nonsense_of(table.name):
        values = {column.name: _decoded(column, value) for column, value in zip(readable, row, strict=False)}
    if table is runs:
        values["is_replaced"] = bool(row[len(readable)])
    elif _hangs_on_run(table):
        values["run_id"] = row[len(readable)]
    return values


def _decoded(column: Column[Any], value: Any) -> Any:
    if value is None:
        return None
    if column.type is Json:
        return decode_json(value)
    if isinstance(column.type, Boolean):
        return bool(value)
    return bytes(value) if isinstance(column.type, LargeBinary) else value


def _given(table: Table, row: CopiedRow) -> dict[str, Any]:
    """The values of a row for this database."""
    values = {column.name: _encoded(column, row[column.name]) for column in _readable(table)}
    if table is runs:
        whose = identity(row["parent"], decode_text(row["name"]), decode_maybe(row["key"]))
        return {**values, "identity": None if row["is_replaced"] else whose}
    return {**values, "run_id": row["run_id"]} if _hangs_on_run(table) else values


def _encoded(column: Column[Any], value: Any) -> Any:
    if column.type is not Json:
        return value
    encoded = encode_json(value)
    # JSONB knows no -0.0.
    return as_text(value) if encoded is not None and "-0.0" in encoded else encoded
