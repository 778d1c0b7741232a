"""One transaction on a database that rows are read from, deleted from or put back to. Each kind of database has its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, FromClause, Select

from waycairn.backups.rows_format import LineEncoder, Row
from waycairn.backups.rows_shape import ForeignKey, Shape, TableName

_FIRST, _ROWS = 16, 2_000
_BYTES = 1 << 20
"""Of a batch, about."""


class Session(ABC):
    """Belongs to one thread, and ends with the block that began it: what was not committed is undone."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    # -- what there is ------------------------------------------------------------------------------------------------

    @abstractmethod
    def shape(self, table: TableName) -> Shape:
        """Raises ValueError for what is no table, or has no primary key."""

    @abstractmethod
    def has(self, table: TableName) -> bool: ...

    @abstractmethod
    def referring(self, table: TableName) -> list[ForeignKey]:
        """The foreign keys of all tables that refer to it, its own among them."""

    @abstractmethod
    def column(self, shape: Shape, name: str) -> ColumnElement[Any]:
        """As it is read: its value, or its text form."""

    # -- reading ------------------------------------------------------------------------------------------------------

    def batches(self, select: Select[Any], encode: LineEncoder) -> Iterator[tuple[bytes, int]]:
        """Lines of rows and their number, as the database gives them: however many there are, they take little memory."""
        fetch = self.opened(select)
        number = _FIRST
        while rows := fetch(number):
            lines = encode(rows)
            yield lines, len(rows)
            number = max(1, min(_ROWS, number * 4, _BYTES * len(rows) // len(lines)))

    @abstractmethod
    def opened(self, select: Select[Any]) -> Callable[[int], Sequence[Row]]:
        """What fetches the next rows of it, by the driver's own cursor: no row is made twice."""

    def is_empty(self, name: TableName) -> bool:
        from sqlalchemy import select, table, text

        some = select(text("1")).select_from(table(name.name, schema=name.schema)).limit(1)
        return self.connection.execute(some).first() is None

    @abstractmethod
    def found(self, shape: Shape, keys: Sequence[Row]) -> list[Row]:
        """Those rows that are there, by their primary keys, in any order."""

    @abstractmethod
    def between(self, shape: Shape, first: Row, last: Row, most: int) -> Sequence[Row]:
        """The rows from one primary key to another, in their order; no more than `most`."""

    # -- writing ------------------------------------------------------------------------------------------------------

    @abstractmethod
    def lock(self, tables: Sequence[TableName]) -> None:
        """Nobody else changes these from now to the end."""

    @abstractmethod
    def keep(self, shape: Shape, select: Select[Any]) -> FromClause:
        """The primary keys that it selects now, as a table of this transaction."""

    @abstractmethod
    def forget(self) -> None:
        """Drop what was kept."""

    def delete(self, source: FromClause, chosen: ColumnElement[bool]) -> int:
        """How many there were."""
        from sqlalchemy import delete

        return self.connection.execute(delete(source).where(chosen)).rowcount  # type: ignore[arg-type]

    @abstractmethod
    def insert(self, shape: Shape, rows: Sequence[Row]) -> None: ...

    @abstractmethod
    def update(self, shape: Shape, rows: Sequence[Row]) -> None:
        """Those with the same primary keys."""

    @abstractmethod
    def settle(self, shape: Shape) -> None:
        """After the inserts of one table: what gives out its next numbers goes on behind those that are there."""

    @abstractmethod
    def dangling(self, shape: Shape) -> int:
        """Rows whose foreign keys lead nowhere; 0 where the database lets none in."""

    @abstractmethod
    def commit(self) -> None: ...


class Database(ABC):
    """Where the sessions come from."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @property
    def name(self) -> str:
        """Its address, without a password."""
        return self.engine.url.render_as_string(hide_password=True)

    @abstractmethod
    def reading(self) -> AbstractContextManager[Session]:
        """All that is read through it is of one moment."""

    @abstractmethod
    def changing(self) -> AbstractContextManager[Session]:
        """One transaction that writes."""
