"""What a table looks like: in the database, and in the facts of its member."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from waycairn.errors import SchemaChanged


class TableName(NamedTuple):
    """Of one table. Without a schema it is found as the database finds it."""

    schema: str | None
    name: str

    @classmethod
    def parse(cls, words: str) -> TableName:
        schema, _, name = words.rpartition(".")
        return cls(schema or None, name)

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name

    @property
    def sql(self) -> str:
        return ".".join(quoted(part) for part in self if part)

    @property
    def member(self) -> str:
        """Its member's name: what a file name cannot have, or `..` could be made of, as %2f."""
        return re.sub(r"[%/\\\x00-\x1f]|^\.", lambda found: f"%{ord(found[0]):02x}", str(self)) + ".jsonl"


class Column(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    type: str
    """As the database prints it."""
    nullable: bool
    form: str = ""
    """How a value that JSON has no type for is written; see `rows_format`."""
    generated: bool = False
    """The database computes it: it is exported for the reader, and not inserted."""
    defaulted: bool = False
    """It need not be given."""


class ForeignKey(msgspec.Struct, frozen=True, kw_only=True):
    table: TableName
    """The one that has the columns."""
    columns: tuple[str, ...]
    parent: TableName
    refers: tuple[str, ...]
    """Columns of the parent."""

    def __str__(self) -> str:
        return f"{self.table}({', '.join(self.columns)})"


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """A table as it was when it was exported, or as it is."""

    table: TableName
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    """Its primary key."""
    hangs_on: tuple[ForeignKey, ...] = ()
    """By which it was chosen as a child."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def places(self, names: Iterable[str]) -> tuple[int, ...]:
        return tuple(map(self.names.index, names))

    def column(self, name: str) -> Column:
        return self.columns[self.names.index(name)]

    def facts(self) -> dict[str, Any]:
        return dict(msgspec.to_builtins(self))

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Shape:
        return msgspec.convert(dict(facts), cls)


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def check_fits(was: Shape, now: Shape) -> None:
    """Raises SchemaChanged where the table cannot take the rows that were exported from it."""
    present = {column.name: column for column in now.columns}
    for column in was.columns:
        found = present.pop(column.name, None)
        if found is None:
            raise _changed(was, f"has no column {column.name!r} any more")
        if found.type != column.type:
            raise _changed(was, f"has {column.name!r} as {found.type} now, and it was {column.type}")
        if found.generated and not column.generated:
            raise _changed(was, f"computes {column.name!r} by itself now")
    if was.key != now.key:
        raise _changed(was, f"has another primary key: ({', '.join(now.key)}), and it was ({', '.join(was.key)})")
    for column in present.values():
        if not (column.nullable or column.defaulted or column.generated):
            raise _changed(was, f"wants a value for {column.name!r}, which was not there when it was exported")


def _changed(shape: Shape, how: str) -> SchemaChanged:
    return SchemaChanged(
        f"the table {shape.table} {how}. Nothing was changed. Make it as it was, or extract the backup and convert it.",
        table=str(shape.table),
    )
