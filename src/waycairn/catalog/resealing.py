"""Rows sealed again, with the data key in use. What is read is opened with whatever key it was sealed with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, partial
from typing import Any

from waycairn.catalog.database import Session
from waycairn.catalog.filters import behind
from waycairn.catalog.parts import RUN_ID, Part
from waycairn.catalog.plan import names_of_row
from waycairn.catalog.protection import Protection, is_touched, protection_of
from waycairn.catalog.sql import ClauseElement, Column, Integer, Table, bindparam, select, update
from waycairn.catalog.statement import Build, Statement
from waycairn.catalog.tables import metadata, runs


def _sealed_columns(table: Table) -> list[Column[Any]]:
    return [column for column in table.c if protection_of(column) is Protection.SEALED]


SEALED = {table.name: table for table in metadata.sorted_tables if _sealed_columns(table)}
"""Every table with sealed columns in it, so that none is ever forgotten here."""


def _key_of(table: Table) -> list[Column[Any]]:
    """What names a row inside of this database."""
    return [table.c.id] if table is runs else list(table.primary_key.columns)


def _rows(build: Build, table: Table, *, is_first: bool) -> ClauseElement:
    key = _key_of(table)
    hangs = "run" in names_of_row(table)
    chosen: list[Any] = [*key, *_sealed_columns(table), *([runs.c.id] if hangs else [])]
    rows = select(*chosen).order_by(*key).limit(bindparam("most", type_=Integer))
    if hangs:
        rows = rows.select_from(table.join(runs, table.c.run == runs.c.num))
    if not is_first:
        rows = rows.where(behind(key))
    return rows if build.is_sqlite else rows.with_for_update(of=table)


@cache
def _read(table: Table, *, is_first: bool) -> Statement:
    return Statement(
        f"sealed_rows_of_{table.name}",
        "Rows with what is sealed in them; nobody else changes them before they are sealed again.",
        partial(_rows, table=table, is_first=is_first),
    )


@cache
def _write(table: Table) -> Statement:
    return Statement(
        f"seal_again_{table.name}",
        "The same values, sealed with the key in use.",
        update(table)
        .where(*(column == bindparam(f"of_{column.name}") for column in _key_of(table)))
        .values({column.name: bindparam(column.name) for column in _sealed_columns(table)}),
    )


class ResealPart(Part):
    """Implements the rest of `ports.KeyRows`."""

    def sealed_tables(self) -> Mapping[str, bool]:
        return {name: not any(map(is_touched, _key_of(table))) for name, table in SEALED.items()}

    def reseal(self, table: str, behind: Sequence[Any] | None, most: int) -> Sequence[Any] | None:
        return self._database.write(lambda session: _reseal(session, SEALED[table], behind, most))


def _reseal(session: Session, table: Table, behind: Sequence[Any] | None, most: int) -> Sequence[Any] | None:
    key, sealed = _key_of(table), _sealed_columns(table)
    values: dict[str, Any] = {"most": most}
    values |= {f"key_{column.name}": value for column, value in zip(key, behind or (), strict=False)}
    rows = session.all(_read(table, is_first=behind is None), values)
    for row in rows:
        named = {f"of_{column.name}": value for column, value in zip(key, row, strict=False)}
        opened = {column.name: value for column, value in zip(sealed, row[len(key) :], strict=False)}
        session.change(_write(table), {**named, **opened, RUN_ID: row[-1]})
    return None if len(rows) < most else rows[-1][: len(key)]
