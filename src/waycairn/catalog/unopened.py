"""Salvaged rows of an encrypted store that were not sealed for the place where they are: nothing can be made of them.

One of them would keep the whole list that it stands in from being read, so they are left out, as nonsense is in a plain store.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from waycairn.catalog.database import Session
from waycairn.catalog.plan import names_of_row
from waycairn.catalog.protection import Protection, protection_of
from waycairn.catalog.salvaging import SalvagedRows, drop_orphans
from waycairn.catalog.sealed_values import name_of, seal_of
from waycairn.catalog.sql import Column, Table, bindparam, delete, select
from waycairn.catalog.statement import Statement, sqlite_texts
from waycairn.catalog.tables import meta, metadata, runs
from waycairn.errors import Damaged
from waycairn.ports import Vault

_TEXTS = sqlite_texts()
_OPENED = (Protection.MATCHED, Protection.SEALED)
NUMBERS = Statement(
    "numbers_of_runs", "Runs, and what rows that hang on them are known by.", select(runs.c.num, runs.c.id)
)

Ids = Mapping[int, str]
"""Of runs, by number."""


def drop_unopened(catalog: Path, vault: Vault, found: SalvagedRows) -> None:
    """In one transaction, and what hangs on runs that go with them."""
    with closing(sqlite3.connect(catalog, isolation_level=None)) as connection:
        for word in ("PRAGMA synchronous = FULL", "PRAGMA foreign_keys = OFF", "BEGIN IMMEDIATE"):
            connection.execute(word)
        session = Session(connection.cursor(), _TEXTS)
        ids: Ids = dict(session.all(NUMBERS))
        for table in metadata.sorted_tables:
            columns = [column for column in table.c if protection_of(column) in _OPENED]
            if columns and table is not meta:  # whose secret was opened already
                gone = _drop(session, table, list(_unopened(session, table, columns, vault, ids)))
                found.tables[table.name].rows -= gone
                found.tables[table.name].nonsense += gone
        drop_orphans(session, found)
        connection.execute("COMMIT")


def _unopened(
    session: Session, table: Table, columns: Sequence[Column[Any]], vault: Vault, ids: Ids
) -> Iterator[Mapping[str, Any]]:
    """Their keys."""
    # Those that name rows first: a row is known by what they are in the clear.
    touched = sorted(columns, key=lambda column: _OPENED.index(protection_of(column)))
    rest = [column for column in table.c if column.primary_key or column.name in names_of_row(table)]
    asked = list(dict.fromkeys([*rest, *touched]))
    every = Statement(f"sealed_of_{table.name}", "What is sealed in each row.", select(*asked))
    for row in session.each(every, {}):
        values = dict(zip((column.name for column in asked), row, strict=True))
        key = {f"of_{column.name}": values[column.name] for column in table.primary_key}
        try:
            _open(table, touched, values, vault, ids)
        except (Damaged, ValueError, LookupError, TypeError):
            yield key


def _open(table: Table, touched: Sequence[Column[Any]], values: dict[str, Any], vault: Vault, ids: Ids) -> None:
    for column in touched:
        if values[column.name] is not None:
            name = b"" if protection_of(column) is Protection.MATCHED else _name(table, values, ids)
            values[column.name] = seal_of(column).open(vault, name, values[column.name])


def _name(table: Table, values: Mapping[str, Any], ids: Ids) -> bytes:
    return name_of([ids[values[name]] if name == "run" else values[name] for name in names_of_row(table)])


def _drop(session: Session, table: Table, keys: Sequence[Mapping[str, Any]]) -> int:
    named = [column == bindparam(f"of_{column.name}") for column in table.primary_key]
    return sum(
        session.change(
            Statement(f"drop_from_{table.name}", "A row that cannot be opened.", delete(table).where(*named)), key
        )
        for key in keys
    )
