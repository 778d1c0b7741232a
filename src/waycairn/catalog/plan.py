"""What an encrypted store does around one statement, and what its rows are known by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from waycairn.catalog.sql import Column, Table
from waycairn.catalog.tables import runs

Source = str | int
"""Where a part of the name of a row is found: in a value of the statement, or at a place in the row."""


class Field(Struct, frozen=True):
    """A value that is sealed or opened."""

    column: Column[Any]
    row: Sequence[Source] | None
    """What names its row; None: it cannot be told, and the value must be NULL."""


class Plan(Struct, frozen=True):
    """What has to be done around one statement."""

    values: Mapping[str, Field]
    results: Mapping[int, Field]
    """Those that name rows first."""


def names_of_row(table: Table) -> tuple[str, ...]:
    """The columns that name a row, outside of one database: `run` is the id of a run."""
    return ("id",) if table.name == runs.name else tuple(column.name for column in table.primary_key)
