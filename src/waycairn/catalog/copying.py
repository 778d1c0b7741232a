"""Whole tables, read and written: for a copy of a store, from either database to either.

Values travel opened and decoded, so that it does not matter which database they come from and whether it is encrypted; what
only the destination can know (a keyed hash of an identity) is made there anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, TypeVar

from waycairn.catalog.chunk_index import add_data
from waycairn.catalog.columns import as_text, decode_json, decode_maybe, decode_text, encode_json, identity
from waycairn.catalog.database import Session
from waycairn.catalog.filters import behind
from waycairn.catalog.moments import at_one_moment
from waycairn.catalog.parts import Part
from waycairn.catalog.shapes import kinds_of, nonsense_of
from waycairn.catalog.sql import (
    Column,
    Integer,
    Table,
    bindparam,
    delete,
    func,
    insert,
    literal,
    select,
    update,
)
from waycairn.catalog.statement import Statement
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
from waycairn.catalog.upkeep import NOTE_UPKEEP, UPKEEP_NOTE
from waycairn.model.records import NewData
from waycairn.ports.catalog_copying import CopiedRow, TableReader
from waycairn.world.crashpoints import crashpoint

T = TypeVar("T")
UNFINISHED = 1_000_000
"""Added to the format while a store is a copy that is being made: nothing else opens it, no older waycairn either."""
_OF_ITS_OWN = {meta, keys, packs, blocks, chunks}
COPIED = tuple(
    sorted((one for one in metadata.sorted_tables if one not in _OF_ITS_OWN), key=lambda table: table is upkeep)
)
"""`upkeep` last: a row of it notes what is in another table."""
_BY_NAME = {table.name: table for table in COPIED}
PAGE = 500
"""Rows that are brought at once."""
_COPY = "copy"
"""Its name among what upkeep did."""


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


def key_of(table: Table) -> list[Column[Any]]:
    return list(table.primary_key.columns)


def _is_hashed(column: Column[Any]) -> bool:
    """What cannot be read of an encrypted store, and is made anew."""
    return column is runs.c.identity


def selected(table: Table) -> Any:
    """All columns that can be read, then the id of the run, or whether the row gave up its identity."""
    chosen: list[Any] = readable(table)
    if table is runs:
        return select(*chosen, runs.c.identity.is_(None).label("is_replaced"))
    if hangs_on_run(table):
        return select(*chosen, runs.c.id).select_from(table.join(runs, table.c.run == runs.c.num))
    return select(*chosen)


def readable(table: Table) -> list[Column[Any]]:
    return [column for column in table.c if not _is_hashed(column)]


def hangs_on_run(table: Table) -> bool:
    return "run" in table.c and bool(table.c.run.foreign_keys)


@cache
def _page(table: Table) -> Statement:
    key = key_of(table)
    return Statement(
        f"page_of_{table.name}",
        "Rows behind one of them, in the order of the key.",
        selected(table).where(behind(key)).order_by(*key).limit(bindparam("most", type_=Integer)),
    )


@cache
def _first_page(table: Table) -> Statement:
    return Statement(
        f"first_page_of_{table.name}",
        "The first rows in the order of the key.",
        selected(table).order_by(*key_of(table)).limit(bindparam("most", type_=Integer)),
    )


@cache
def _count(table: Table) -> Statement:
    return Statement(f"count_{table.name}", "How many rows.", select(func.count()).select_from(table))


@cache
def put(table: Table) -> Statement:
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
        rows = self._session.all(_first_page(found), {"most": PAGE})
        while rows:
            page = [taken(found, row) for row in rows]
            yield page
            if len(rows) < PAGE:
                return
            last = {f"key_{column.name}": page[-1][column.name] for column in key_of(found)}
            rows = self._session.all(_page(found), {**last, "most": PAGE})


class CopyPart(Part):
    """Implements `ports.CopyRows`."""

    def copied_tables(self) -> Sequence[str]:
        return list(_BY_NAME)

    def at_one_moment(self, work: Callable[[TableReader], T]) -> T:
        return at_one_moment(self._database, lambda session: work(_Moment(session)))

    def put_rows(self, table: str, rows: Sequence[CopiedRow]) -> None:
        found = _BY_NAME[table]
        values = [given(found, row) for row in rows]
        self._database.write(lambda session: session.many(put(found), values))

    def clear_copied(self) -> None:
        def clear(session: Session) -> None:
            for table in reversed(COPIED):
                session.run(_clear(table))

        self._database.write(clear)

    def add_chunks(self, data: NewData, now: float) -> None:
        self._database.write(lambda session: add_data(session, data, now))

    def note_copy(self, source: str, now: float) -> None:
        values = {"name": _COPY, "at": now, "facts": encode_json({"source": source})}
        self._database.write(lambda session: session.change(NOTE_UPKEEP, values))

    def copy_of(self) -> str | None:
        row = self._database.read(lambda session: session.one(UPKEEP_NOTE, {"name": _COPY}))
        with nonsense_of(upkeep.name):
            return None if row is None else str(decode_json(row[1])["source"])

    def finish_copy(self) -> None:
        def finish(session: Session) -> None:
            session.run(NEXT_RUN)
            session.change(FINISH, {"finished": FORMAT})

        crashpoint("copy.finish")
        self._database.write(finish)


def taken(table: Table, row: Sequence[Any]) -> dict[str, Any]:
    """A row on its way."""
    columns = readable(table)
    with nonsense_of(table.name):
        values = {column.name: _decoded(column, value) for column, value in zip(columns, row, strict=False)}
    if table is runs:
        values["is_replaced"] = bool(row[len(columns)])
    elif hangs_on_run(table):
        values["run_id"] = row[len(columns)]
    return values


def _decoded(column: Column[Any], value: Any) -> Any:
    if value is None:
        return None
    if column.type is Json:
        return decode_json(value)
    if bool in kinds_of(column):
        return bool(value)
    return bytes(value) if bytes in kinds_of(column) else value


def given(table: Table, row: CopiedRow) -> dict[str, Any]:
    """The values of a row for this database."""
    values = {column.name: _encoded(column, row[column.name]) for column in readable(table)}
    if table is runs:
        whose = identity(row["parent"], decode_text(row["name"]), decode_maybe(row["key"]))
        return {**values, "identity": None if row["is_replaced"] else whose}
    return {**values, "run_id": row["run_id"]} if hangs_on_run(table) else values


def _encoded(column: Column[Any], value: Any) -> Any:
    if column.type is not Json:
        return value
    encoded = encode_json(value)
    # JSONB knows no -0.0.
    return as_text(value) if encoded is not None and "-0.0" in encoded else encoded
