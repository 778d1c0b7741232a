"""Many rows at once, past SQLAlchemy's work per row: sqlite3's executemany, psycopg's COPY.

Values go to the driver as they are unless their column's type converts them (dates in SQLite, JSON, enums, your own
TypeDecorators); rows are tuples in the order of the columns, mappings or msgspec Structs. A table that needs more than
that, a default made in Python or an expression in SQL around a value, goes through SQLAlchemy as it would by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import msgspec
from sqlalchemy import Column, Connection, Float, LargeBinary, Table, bindparam, exc, insert
from sqlalchemy.engine.interfaces import Dialect

Process = Callable[[Any], Any]


class Inserts:
    """Compiled inserts, kept by table and columns. `insert` returns how many rows went in."""

    def __init__(self) -> None:
        self._plans: dict[tuple[Table, tuple[str, ...]], _Plan] = {}

    def insert(
        self, connection: Connection, table: Table, rows: Iterable[Any], columns: Sequence[str] | None = None
    ) -> int:
        """Insert the rows within the transaction that is open. `columns` names those of rows that are plain sequences;
        without it they have a value for each column of the table. Raises ValueError for rows that do not fit."""
        rows = rows if isinstance(rows, list | tuple) else list(rows)
        if not rows:
            return 0
        names = _columns_of(table, rows[0], columns)
        plan = self._plans.get((table, names))
        if plan is None:
            plan = self._plans[table, names] = _Plan(table, names, connection.dialect)
        try:
            plan.run(connection, plan.converted(_as_sequences(rows, names)))
        except (exc.DBAPIError, TypeError):
            # That all are of one type is not looked at beforehand, which would cost a twentieth of the insert.
            if len(set(map(type, rows))) > 1:
                raise _misfit(rows, names) from None
            raise
        return len(rows)


def _columns_of(table: Table, row: Any, columns: Sequence[str] | None) -> tuple[str, ...]:
    if isinstance(row, Mapping):
        names = tuple(row)
    elif isinstance(row, msgspec.Struct):
        names = row.__struct_fields__
    elif _is_sequence(type(row)):
        names = tuple(table.c.keys() if columns is None else columns)
    else:
        raise TypeError(
            f"a row for {table.name} is a {type(row).__name__}: rows are sequences, mappings or msgspec Structs"
        )
    unknown = [name for name in names if name not in table.c]
    if unknown:
        raise ValueError(f"the table {table.name} has no column {', '.join(map(repr, unknown))}. No row was inserted.")
    lacking = [column.key for column in table.c if column.key not in names and _is_needed(column)]
    if lacking:
        raise ValueError(
            f"the rows for {table.name} have no value for {', '.join(map(repr, lacking))}, which may not be NULL and "
            "has no default. No row was inserted."
        )
    return names


def _is_needed(column: Column[Any]) -> bool:
    if column.nullable or column.default is not None or column.server_default is not None:
        return False
    return column.computed is None and column.identity is None and column is not column.table.autoincrement_column


def _as_sequences(rows: Sequence[Any], names: tuple[str, ...]) -> Sequence[Sequence[Any]]:
    """Rows as the driver takes them. All are of one kind and have the same columns: a value that is left out for some
    rows, or is there for some only, would be lost without a word."""
    try:
        if isinstance(rows[0], msgspec.Struct):
            if set(map(type, rows)) != {type(rows[0])}:
                raise _misfit(rows, names)
            return list(map(msgspec.structs.astuple, rows))
        if set(map(len, rows)) != {len(names)}:  # beforehand: the driver would notice after it inserted some
            raise _misfit(rows, names)
        if isinstance(rows[0], Mapping):
            return list(map(_taker_of(names), rows))
    except (TypeError, KeyError):  # of a row that is something else than the first one
        raise _misfit(rows, names) from None
    return rows if type(rows[0]) is tuple else list(map(tuple, rows))


def _is_sequence(kind: type) -> bool:
    return issubclass(kind, Sequence) and not issubclass(kind, str | bytes | bytearray)


def _taker_of(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    return itemgetter(*names) if len(names) > 1 else lambda row: (row[names[0]],)


def _misfit(rows: Sequence[Any], names: tuple[str, ...]) -> ValueError:
    """Which row does not look like the first one."""
    kind = type(rows[0])
    for number, row in enumerate(rows):
        if isinstance(row, Mapping) and set(row) != set(names):
            return ValueError(
                f"row {number} has the columns {sorted(map(str, row))}, the first one {sorted(names)}. No row was "
                "inserted. Give every row the same ones, None for NULL."
            )
        if _is_sequence(type(row)) and len(row) != len(names):
            return ValueError(
                f"row {number} has {len(row)} values for the {len(names)} columns {', '.join(names)}. No row was "
                "inserted. Name the columns with columns=[...] if the rows do not have all of the table's."
            )
        if type(row) is not kind:
            return ValueError(
                f"row {number} is a {type(row).__name__}, the first one a {kind.__name__}: rows of one call are of one "
                "type. Those before it may be inserted: roll back."
            )
    raise AssertionError("all rows fit")


class _Plan:
    """How rows with these columns get into that table through this driver."""

    def __init__(self, table: Table, names: tuple[str, ...], dialect: Dialect) -> None:
        columns = [table.c[name] for name in names]
        self._names = names
        self._insert = insert(table)
        self._sql = ""
        self._processes: Sequence[Process | None] = ()
        """What SQLAlchemy does to the values of each column on the way to the driver."""
        self.run = self._run_core
        if _needs_core(table, columns, dialect):
            return
        if dialect.name == "sqlite":
            self.run, self._sql = self._run_driver, _insert_of(table, names, dialect)
        elif dialect.driver == "psycopg":
            self.run, self._sql = self._run_copy, _copy_of(table, columns, dialect)
        else:
            return
        self._processes = [_process_of(column, dialect) for column in columns]

    def converted(self, rows: Sequence[Sequence[Any]]) -> Sequence[Sequence[Any]]:
        """Column by column, so that plain columns cost nothing."""
        if not any(self._processes):
            return rows
        by_column = zip(zip(*rows, strict=True), self._processes, strict=True)
        return list(
            zip(*(values if process is None else map(process, values) for values, process in by_column), strict=True)
        )

    def _run_driver(self, connection: Connection, rows: Sequence[Sequence[Any]]) -> None:
        connection.exec_driver_sql(self._sql, rows)

    def _run_core(self, connection: Connection, rows: Sequence[Sequence[Any]]) -> None:
        connection.execute(self._insert, [dict(zip(self._names, row, strict=True)) for row in rows])

    def _run_copy(self, connection: Connection, rows: Sequence[Sequence[Any]]) -> None:
        dialect = connection.dialect
        if not connection.in_transaction():
            connection.begin()  # as SQLAlchemy does by itself for what goes through it
        adapted: Any = connection.connection.dbapi_connection
        try:
            if dialect.is_async:
                adapted.run_async(lambda driver: _copy_async(driver, self._sql, rows))
            else:
                with adapted.cursor() as cursor, cursor.copy(self._sql) as copy:
                    for row in rows:
                        copy.write_row(row)
        except dialect.loaded_dbapi.Error as error:
            is_lost = dialect.is_disconnect(error, adapted, None)
            raise exc.DBAPIError.instance(
                self._sql, None, error, dialect.loaded_dbapi.Error, dialect=dialect, connection_invalidated=is_lost
            ) from error


async def _copy_async(driver: Any, sql: str, rows: Sequence[Sequence[Any]]) -> None:
    async with driver.cursor() as cursor, cursor.copy(sql) as copy:
        for row in rows:
            await copy.write_row(row)


def _insert_of(table: Table, names: Sequence[str], dialect: Dialect) -> str:
    return str(insert(table).values({name: bindparam(name) for name in names}).compile(dialect=dialect))


def _copy_of(table: Table, columns: Sequence[Column[Any]], dialect: Dialect) -> str:
    quote = dialect.identifier_preparer
    names = ", ".join(quote.format_column(column) for column in columns)
    sql = f"COPY {quote.format_table(table)} ({names}) FROM STDIN"
    return sql.replace("%%", "%")  # doubled for statements with parameters, which this one is not


def _process_of(column: Column[Any], dialect: Dialect) -> Process | None:
    if type(column.type) is LargeBinary or isinstance(column.type, Float):
        # SQLAlchemy would wrap each in a memoryview, or call float() on it: a fifth of the insert for nothing. A Decimal
        # in a column of floats is refused by sqlite3.
        return None
    return column.type.dialect_impl(dialect).bind_processor(dialect)


def _needs_core(table: Table, columns: Sequence[Column[Any]], dialect: Dialect) -> bool:
    """A default that Python makes, or SQL around a value."""
    given = set(columns)
    if any(column.default is not None and column not in given for column in table.c):
        return True
    value: Any = bindparam("value")
    return any(column.type.dialect_impl(dialect).bind_expression(value) is not None for column in columns)
