"""Rows in SQLite: values of any storage class in any column, as they are stored."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import chain, groupby
from typing import Any

from msgspec.structs import replace
from sqlalchemy import ColumnElement, FromClause, Select, column, insert, table

from waycairn.backups.rows_format import NotText, Row
from waycairn.backups.rows_session import Database, Session
from waycairn.backups.rows_shape import Column, ForeignKey, Shape, TableName, quoted

_KINDS = "SELECT type FROM {schema}sqlite_master WHERE name = ? AND type IN ('table', 'view')"
_TABLES = "SELECT name FROM {schema}sqlite_master WHERE type = 'table'"
_COLUMNS = 'SELECT name, type, "notnull", dflt_value, pk, hidden FROM pragma_table_xinfo(?, ?)'
_FOREIGN_KEYS = 'SELECT id, "table", "from", "to" FROM pragma_foreign_key_list(?, ?) ORDER BY id, seq'
_FOUND = "SELECT {columns} FROM {table} WHERE ({key}) IN (VALUES {keys})"
_BETWEEN = "SELECT {columns} FROM {table} WHERE ({key}) BETWEEN ({first}) AND ({last}) ORDER BY {key} LIMIT ?"
_INSERT = "INSERT INTO {table} ({columns}) VALUES ({values})"
_UPDATE = "UPDATE {table} SET {changes} WHERE {key}"
_KEEP = "CREATE TEMP TABLE {table} ({columns})"
_FORGET = "DROP TABLE temp.{table}"
_DANGLING = "SELECT count(*) FROM pragma_foreign_key_check(?, ?)"
_NULL_KEY = "SELECT 1 FROM {table} WHERE {nulls} LIMIT 1"
_PARAMETERS = 900
"""Builds of SQLite take at least 999 in a statement."""
_KEPT = "waycairn_kept"


class SqliteSession(Session):
    @property
    def _raw(self) -> sqlite3.Connection:
        raw = self.connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        return raw

    def shape(self, table: TableName) -> Shape:
        kind = self._raw.execute(_KINDS.format(schema=_schema(table)), (table.name,)).fetchone()
        _check_kind(table, kind and kind[0])
        columns, keyed = [], {}
        for name, type_, notnull, default, place, hidden in self._texts(_COLUMNS, table):
            # An INTEGER PRIMARY KEY that was not given is numbered, so it counts as one with a default.
            defaulted = default is not None or (place > 0 and type_.upper() == "INTEGER")
            nullable = not notnull
            columns.append(
                Column(name=name, type=type_, nullable=nullable, generated=hidden in {2, 3}, defaulted=defaulted)
            )
            if place:
                keyed[place] = name
        shape = Shape(table=table, columns=tuple(columns), key=tuple(name for _, name in sorted(keyed.items())))
        self._check_key(shape)
        return shape

    def _check_key(self, shape: Shape) -> None:
        """SQLite lets NULL into a primary key that is not declared NOT NULL."""
        if not shape.key:
            raise ValueError(
                f"the table {shape.table} has no primary key: its rows cannot be told apart, so a backup could not make "
                "sure that exactly those are deleted that were exported. Nothing was done. Give it one."
            )
        nulls = " OR ".join(f"{quoted(name)} IS NULL" for name in shape.key)
        if self._raw.execute(_NULL_KEY.format(table=shape.table.sql, nulls=nulls)).fetchone():
            raise ValueError(
                f"the table {shape.table} has rows whose primary key ({', '.join(shape.key)}) is NULL, which SQLite lets "
                "happen: they cannot be told apart. Nothing was done. Give them a key."
            )

    def has(self, table: TableName) -> bool:
        return self._raw.execute(_KINDS.format(schema=_schema(table)), (table.name,)).fetchone() is not None

    def referring(self, table: TableName) -> list[ForeignKey]:
        every = [name for (name,) in self._raw.execute(_TABLES.format(schema=_schema(table)))]
        keys = [key for name in every for key in self._foreign_keys(TableName(table.schema, name))]
        return [replace(key, parent=table) for key in keys if key.parent.name.lower() == table.name.lower()]

    def _foreign_keys(self, table: TableName) -> Iterator[ForeignKey]:
        for _, rows in groupby(self._texts(_FOREIGN_KEYS, table), key=lambda row: row[0]):
            parts = list(rows)
            parent = TableName(table.schema, parts[0][1])
            refers = [to for _, _, _, to in parts]
            if None in refers:  # the primary key is meant
                keyed = sorted((row[4], row[0]) for row in self._texts(_COLUMNS, parent) if row[4])
                refers = [name for _, name in keyed]
            columns = tuple(name for _, _, name, _ in parts)
            yield ForeignKey(table=table, columns=columns, parent=parent, refers=tuple(refers))

    def _texts(self, statement: str, table: TableName) -> list[tuple[Any, ...]]:
        return self._raw.execute(statement, (table.name, table.schema or "main")).fetchall()

    def column(self, shape: Shape, name: str) -> ColumnElement[Any]:  # noqa: ARG002 - the contract of Session
        return column(name)

    def opened(self, select: Select[Any]) -> Callable[[int], Sequence[Row]]:
        cursor = self.connection.execute(select).cursor
        assert cursor is not None
        return cursor.fetchmany

    def found(self, shape: Shape, keys: Sequence[Row]) -> list[Row]:
        width, template = len(shape.key), _template(shape)
        rows: list[Row] = []
        for start in range(0, len(keys), _PARAMETERS // width):
            some = keys[start : start + _PARAMETERS // width]
            parts = list(chain.from_iterable(some))
            marks = ["({})".format(", ".join("?" * width))] * len(some)
            if NotText in set(map(type, parts)):
                marks = ["({})".format(", ".join(map(_mark, key))) for key in some]
                parts = list(map(_parameter, parts))
            rows += self._raw.execute(_FOUND.format(keys=", ".join(marks), **template), parts).fetchall()
        return rows

    def between(self, shape: Shape, first: Row, last: Row, most: int) -> Sequence[Row]:
        marks = {"first": ", ".join(map(_mark, first)), "last": ", ".join(map(_mark, last))}
        parameters = [*map(_parameter, (*first, *last)), most]
        return self._raw.execute(_BETWEEN.format(**marks, **_template(shape)), parameters).fetchall()

    def lock(self, tables: Sequence[TableName]) -> None:
        """Nothing: the whole file is ours since BEGIN IMMEDIATE."""

    def keep(self, shape: Shape, select: Select[Any]) -> FromClause:
        self._raw.execute(_KEEP.format(table=_KEPT, columns=", ".join(map(quoted, shape.key))))
        kept = table(_KEPT, *map(column, shape.key))
        self.connection.execute(insert(kept).from_select(list(shape.key), select))
        return kept

    def forget(self) -> None:
        self._raw.execute(_FORGET.format(table=_KEPT))

    def insert(self, shape: Shape, rows: Sequence[Row]) -> None:
        names = [column.name for column in shape.columns if not column.generated]
        for marks, some in _by_marks(_picked(shape, names, rows)):
            statement = _INSERT.format(
                table=shape.table.sql, columns=", ".join(map(quoted, names)), values=", ".join(marks)
            )
            self.connection.exec_driver_sql(statement, some)

    def update(self, shape: Shape, rows: Sequence[Row]) -> None:
        names = [column.name for column in shape.columns if not column.generated and column.name not in shape.key]
        if not names:
            return
        for marks, some in _by_marks(_picked(shape, [*names, *shape.key], rows)):
            pairs = [f"{quoted(name)} = {mark}" for name, mark in zip([*names, *shape.key], marks, strict=True)]
            statement = _UPDATE.format(
                table=shape.table.sql, changes=", ".join(pairs[: len(names)]), key=" AND ".join(pairs[len(names) :])
            )
            self.connection.exec_driver_sql(statement, some)

    def settle(self, shape: Shape) -> None:
        """Nothing: AUTOINCREMENT notes every number that is inserted."""

    def dangling(self, shape: Shape) -> int:
        (number,) = self._raw.execute(_DANGLING, (shape.table.name, shape.table.schema or "main")).fetchone()
        return int(number)

    def commit(self) -> None:
        self._raw.execute("COMMIT")


class SqliteDatabase(Database):
    @contextmanager
    def reading(self) -> Iterator[SqliteSession]:
        """A read transaction: in WAL mode nobody waits for it, with a rollback journal those who write do."""
        with self._session("BEGIN") as session:
            session.has(TableName(None, ""))  # the snapshot is taken by the first statement that reads
            yield session

    @contextmanager
    def changing(self) -> Iterator[SqliteSession]:
        """Alone with the whole file, and durable when it is committed."""
        with self._session("BEGIN IMMEDIATE", is_durable=True) as session:
            session.connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
            yield session

    @contextmanager
    def _session(self, begin: str, *, is_durable: bool = False) -> Iterator[SqliteSession]:
        """By the driver's own connection: what the engine's user hangs on the events of SQLAlchemy is another BEGIN."""
        with self.engine.connect() as connection:
            connection.begin()
            raw = connection.connection.driver_connection
            if not isinstance(raw, sqlite3.Connection):
                raise TypeError(f"rows of SQLite are read through the module sqlite3, not {type(raw).__module__}")
            was = raw.text_factory
            raw.text_factory = _lenient
            try:
                raw.rollback()
                with _durable(raw) if is_durable else nullcontext():
                    raw.execute(begin)
                    yield SqliteSession(connection)
            finally:
                raw.rollback()
                raw.text_factory = was


@contextmanager
def _durable(raw: sqlite3.Connection) -> Iterator[None]:
    """Whatever its user chose. With a rollback journal a transaction is over when the journal is removed, and only EXTRA flushes
    that: else a power cut brings it back, and takes back what was committed."""
    was = {name: raw.execute(f"PRAGMA {quoted(name)}.synchronous").fetchone() for name in _databases(raw)}
    for name in was:
        raw.execute(f"PRAGMA {quoted(name)}.synchronous = EXTRA")
    try:
        yield
    finally:
        raw.rollback()  # within a transaction it cannot be set
        for name, (level,) in was.items():
            raw.execute(f"PRAGMA {quoted(name)}.synchronous = {level}")


def _databases(raw: sqlite3.Connection) -> list[str]:
    """The database itself and those that are attached to it."""
    return [name for _, name, _ in raw.execute("PRAGMA database_list") if name != "temp"]


def _lenient(data: bytes) -> str | NotText:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return NotText(data)


def _schema(table: TableName) -> str:
    return f"{quoted(table.schema)}." if table.schema else ""


def _check_kind(table: TableName, kind: str | None) -> None:
    if kind is None:
        raise ValueError(
            f"there is no table {table} in this database. Nothing was done. Check the name and the engine."
        )
    if kind != "table":
        raise ValueError(f"{table} is a {kind}, and rows are exported and deleted from tables. Name those behind it.")


def _template(shape: Shape) -> dict[str, str]:
    """What statements that read have in common."""
    columns, key = (", ".join(map(quoted, names)) for names in (shape.names, shape.key))
    return {"columns": columns, "table": shape.table.sql, "key": key}


def _picked(shape: Shape, names: Sequence[str], rows: Sequence[Row]) -> list[Row]:
    places = shape.places(names)
    if places == tuple(range(len(shape.columns))):
        return list(rows)
    return [tuple(row[place] for place in places) for row in rows]


def _by_marks(rows: list[Row]) -> Iterator[tuple[list[str], list[Row]]]:
    """Rows with the marks for their parameters."""
    plain, odd = rows, []
    if any(NotText in set(map(type, column)) for column in zip(*rows, strict=True)):
        plain = [row for row in rows if NotText not in set(map(type, row))]
        odd = [row for row in rows if NotText in set(map(type, row))]
    if plain:
        yield ["?"] * len(plain[0]), plain
    for row in odd:
        yield list(map(_mark, row)), [tuple(map(_parameter, row))]


def _mark(value: Any) -> str:
    """Text that is not UTF-8 reaches SQLite as bytes, to be taken for text."""
    return "CAST(? AS TEXT)" if type(value) is NotText else "?"


def _parameter(value: Any) -> Any:
    return value.data if type(value) is NotText else value
