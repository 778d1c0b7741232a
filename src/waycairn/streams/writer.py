"""What a batch gives its user to write with: statements of the transaction that its offsets are in, and no way to end
that transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, CursorResult, Executable, ScalarResult, Table

from waycairn.streams.insert_many import Inserts

Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None


class Writer:
    """Rows of one batch. Usable until its batch ends."""

    __slots__ = ("_connection", "_guard", "_inserts")

    def __init__(self, connection: Connection, inserts: Inserts, guard: Callable[[], object] = lambda: None) -> None:
        self._connection = connection
        self._inserts = inserts
        self._guard = guard

    @property
    def connection(self) -> Connection:
        """SQLAlchemy's own, for what is not here. Its commit() is refused."""
        self._guard()
        return self._connection

    def execute(self, statement: Executable, parameters: Parameters = None) -> CursorResult[Any]:
        """Run a statement, for many rows if `parameters` is a list."""
        return self._connection.execute(statement, parameters)

    def scalar(self, statement: Executable, parameters: Mapping[str, Any] | None = None) -> Any:
        """The first value of the first row; None without a row."""
        return self._connection.scalar(statement, parameters)

    def scalars(self, statement: Executable, parameters: Parameters = None) -> ScalarResult[Any]:
        """The first value of each row."""
        return self._connection.scalars(statement, parameters)

    def insert_many(self, table: Table, rows: Iterable[Any], columns: Sequence[str] | None = None) -> int:
        """Insert rows (tuples, mappings or msgspec Structs) at the speed of the driver; how many. See `insert_many`."""
        return self._inserts.insert(self._connection, table, rows, columns)
