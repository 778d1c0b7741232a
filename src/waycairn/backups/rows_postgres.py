"""Rows in PostgreSQL: what JSON has no type for as the server prints it, which it reads back exactly.

Values go to the server as arrays of texts, one a column, and it casts each to the type of its column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Select, Text, cast, column, insert, table, text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ClauseElement, Executable

from waycairn.backups.rows_format import Row
from waycairn.backups.rows_session import Database, Session
from waycairn.backups.rows_shape import Column, ForeignKey, Shape, TableName, quoted

_SETTINGS = (
    "SET LOCAL DateStyle = 'ISO, YMD'",
    "SET LOCAL TimeZone = 'UTC'",
    "SET LOCAL IntervalStyle = 'iso_8601'",
    "SET LOCAL extra_float_digits = 3",
    "SET LOCAL bytea_output = 'hex'",
    "SET LOCAL lock_timeout = '10s'",
)
_WAIT_FOR_FLUSH = (
    "SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'"
)
"""What was deleted or restored counts as such: a crash of the server must not undo it, whatever its user is set to."""
_KIND = text(
    """SELECT c.relkind::text, c.relhassubclass AND c.relkind = 'r' FROM pg_catalog.pg_class c
    WHERE c.oid = to_regclass(:name)"""
)
_COLUMNS = text(
    """SELECT a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull, a.attgenerated <> '',
        a.atthasdef OR a.attidentity <> '', format_type(coalesce(nullif(t.typbasetype, 0), t.oid), NULL)
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = to_regclass(:name) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"""
)
_KEY = text(
    """SELECT a.attname FROM pg_catalog.pg_constraint c, unnest(c.conkey) WITH ORDINALITY AS k(number, place),
        pg_catalog.pg_attribute a
    WHERE c.conrelid = to_regclass(:name) AND c.contype = 'p' AND a.attrelid = c.conrelid AND a.attnum = k.number
    ORDER BY k.place"""
)
_REFERRING = text(
    """SELECT n.nspname, r.relname, pg_table_is_visible(r.oid),
        (SELECT array_agg(a.attname::text ORDER BY k.place) FROM unnest(c.conkey) WITH ORDINALITY AS k(number, place)
            JOIN pg_catalog.pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.number),
        (SELECT array_agg(a.attname::text ORDER BY k.place) FROM unnest(c.confkey) WITH ORDINALITY AS k(number, place)
            JOIN pg_catalog.pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.number)
    FROM pg_catalog.pg_constraint c JOIN pg_catalog.pg_class r ON r.oid = c.conrelid
        JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace
    WHERE c.confrelid = to_regclass(:name) AND c.contype = 'f' AND c.conparentid = 0 ORDER BY c.oid"""
)
_SEQUENCES = text(
    """SELECT a.attname, s.oid::regclass::text FROM pg_catalog.pg_depend d
        JOIN pg_catalog.pg_class s ON s.relkind = 'S' AND (d.objid = s.oid OR d.refobjid = s.oid)
        LEFT JOIN pg_catalog.pg_attrdef f ON d.classid = 'pg_attrdef'::regclass AND f.oid = d.objid
        JOIN pg_catalog.pg_attribute a ON a.attrelid = to_regclass(:name)
            AND a.attnum = CASE WHEN f.oid IS NULL THEN d.refobjsubid ELSE f.adnum END
    WHERE coalesce(f.adrelid, d.refobjid) = to_regclass(:name) AND a.attnum > 0"""
)
_GO_ON = """SELECT setval(%(sequence)s, m.most) FROM (SELECT max({column}) AS most FROM {table}) m,
    (SELECT last_value, is_called FROM {sequence}) s
    WHERE m.most > s.last_value OR (m.most = s.last_value AND NOT s.is_called)"""
_LOCK = "LOCK TABLE {tables} IN SHARE ROW EXCLUSIVE MODE"
_DECLARE = "DECLARE waycairn_rows NO SCROLL CURSOR FOR "
_FETCH = "FETCH FORWARD {number} FROM waycairn_rows"
_CLOSE = "CLOSE ALL"
_WANTED = "unnest({arrays}) AS wanted({names})"
_FOUND = "SELECT {columns} FROM {table} AS t JOIN {wanted} ON {matches}"
_BETWEEN = "SELECT {columns} FROM {table} AS t WHERE ({key}) BETWEEN ({first}) AND ({last}) ORDER BY {key} LIMIT {most}"
_INSERT = "INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE SELECT {values} FROM {wanted}"
_UPDATE = "UPDATE {table} AS t SET {changes} FROM {wanted} WHERE {matches}"
_KEEP = "CREATE TEMP TABLE {kept} ON COMMIT DROP AS SELECT {columns} FROM {table} WITH NO DATA"
_UNSTAGE = "INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM {stage}"
_DROP = "DROP TABLE {stage}"
_KEPT, _STAGE = "waycairn_kept", "waycairn_stage"
_NATIVE = {"smallint", "integer", "bigint", "boolean", "text", "character varying", "character", "real"}
_NATIVE |= {"double precision", "bytea"}
"""Types whose values the driver gives as JSON, or as bytes, without loss."""
_FORMS = {
    "numeric": "decimal",
    "date": "date",
    "time without time zone": "time",
    "time with time zone": "time",
    "timestamp without time zone": "datetime",
    "timestamp with time zone": "datetime",
    "interval": "interval",
    "uuid": "uuid",
    "json": "json",
    "jsonb": "jsonb",
}
_KINDS = {"v": "view", "m": "materialized view", "f": "foreign table", "S": "sequence", "i": "index"}


class _Declared(Executable, ClauseElement):
    """A SELECT whose rows are fetched as they are wanted."""

    inherit_cache = False

    def __init__(self, select: Select[Any]) -> None:
        self.select = select


@compiles(_Declared)
def _declared(element: _Declared, compiler: SQLCompiler, **given: Any) -> str:
    return _DECLARE + compiler.process(element.select, **given)


class PostgresSession(Session):
    _stage: str | None = None
    """The statement that empties the stage."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._refers_to_itself: dict[TableName, bool] = {}

    def shape(self, table: TableName) -> Shape:
        self._check_kind(table)
        columns = tuple(
            Column(
                name=name,
                type=type_,
                nullable=nullable,
                generated=generated,
                defaulted=defaulted,
                form="" if base in _NATIVE else _FORMS.get(base, "text"),
            )
            for name, type_, nullable, generated, defaulted, base in self.connection.execute(_COLUMNS, _named(table))
        )
        key = tuple(self.connection.execute(_KEY, _named(table)).scalars())
        if not key:
            raise ValueError(
                f"the table {table} has no primary key: its rows cannot be told apart, so a backup could not make sure "
                "that exactly those are deleted that were exported. Nothing was done. Give it one."
            )
        return Shape(table=table, columns=columns, key=key)

    def _check_kind(self, table: TableName) -> None:
        found = self.connection.execute(_KIND, _named(table)).one_or_none()
        if found is None:
            raise ValueError(
                f"there is no table {table} in this database. Nothing was done. Check the name and the engine."
            )
        kind, is_inherited = found
        if kind not in {"r", "p"}:
            what = _KINDS.get(kind, "thing of another kind")
            raise ValueError(
                f"{table} is a {what}, and rows are exported and deleted from tables. Name those behind it."
            )
        if is_inherited:
            raise ValueError(
                f"other tables inherit from {table}: their rows would be read, deleted and put back as its own. Nothing "
                "was done. Name the tables that inherit."
            )

    def has(self, table: TableName) -> bool:
        return self.connection.execute(_KIND, _named(table)).one_or_none() is not None

    def referring(self, table: TableName) -> list[ForeignKey]:
        return [
            ForeignKey(
                table=TableName(None if visible and table.schema is None else schema, name),
                columns=tuple(columns),
                parent=table,
                refers=tuple(refers),
            )
            for schema, name, visible, columns, refers in self.connection.execute(_REFERRING, _named(table))
        ]

    def column(self, shape: Shape, name: str) -> ColumnElement[Any]:
        return cast(column(name), Text) if shape.column(name).form else column(name)

    def opened(self, select: Select[Any]) -> Callable[[int], Sequence[Row]]:
        """A cursor of the server. SQLAlchemy's (stream_results) would keep the first row for itself."""
        self.connection.exec_driver_sql(_CLOSE)
        self.connection.execute(_Declared(select))
        return self._fetch

    def _fetch(self, number: int) -> Sequence[Row]:
        cursor = self.connection.exec_driver_sql(_FETCH.format(number=number)).cursor
        assert cursor is not None
        return cursor.fetchall()

    def found(self, shape: Shape, keys: Sequence[Row]) -> list[Row]:
        wanted, _, matches = _wanted(shape, shape.key, shape.key)
        statement = _FOUND.format(columns=_read(shape), table=_sql(shape.table), wanted=wanted, matches=matches)
        return [tuple(row) for row in self._run(statement, _texts(keys))]

    def between(self, shape: Shape, first: Row, last: Row, most: int) -> Sequence[Row]:
        ends = {
            end: ", ".join(f"CAST(%({end}{number})s AS {_type(shape, name)})" for number, name in enumerate(shape.key))
            for end in ("first", "last")
        }
        key = ", ".join(f"t.{_quoted(name)}" for name in shape.key)
        statement = _BETWEEN.format(columns=_read(shape), table=_sql(shape.table), key=key, most=most, **ends)
        values = {"first": first, "last": last}.items()
        texts = {f"{end}{number}": _text(value) for end, row in values for number, value in enumerate(row)}
        cursor = self._run(statement, texts).cursor
        rows: Sequence[Row] = cursor.fetchall()
        return rows

    def lock(self, tables: Sequence[TableName]) -> None:
        self._run(_LOCK.format(tables=", ".join(map(_sql, tables))))

    def keep(self, shape: Shape, select: Select[Any]) -> FromClause:
        key = ", ".join(map(_quoted, shape.key))
        self._run(_KEEP.format(kept=_KEPT, columns=key, table=_sql(shape.table)))
        kept = table(_KEPT, *map(column, shape.key))
        self.connection.execute(insert(kept).from_select(list(shape.key), select))
        return kept

    def forget(self) -> None:
        """Nothing: it goes with the transaction."""

    def insert(self, shape: Shape, rows: Sequence[Row]) -> None:
        names = [column.name for column in shape.columns if not column.generated]
        wanted, values, _ = _wanted(shape, names, ())
        columns = ", ".join(map(_quoted, names))
        into = self._staged(shape, columns) or _sql(shape.table)
        statement = _INSERT.format(table=into, columns=columns, values=", ".join(values), wanted=wanted)
        self._run(statement, _texts(_picked(shape, names, rows)))

    def _staged(self, shape: Shape, columns: str) -> str | None:
        """Rows that refer to rows of their own table come in one statement, at whose end the server looks at that."""
        if shape.table not in self._refers_to_itself:
            own = any(key.table == shape.table for key in self.referring(shape.table))
            self._refers_to_itself[shape.table] = own
        if self._stage is None and self._refers_to_itself[shape.table]:
            self._run(_KEEP.format(kept=_STAGE, columns=columns, table=_sql(shape.table)))
            self._stage = _UNSTAGE.format(table=_sql(shape.table), columns=columns, stage=_STAGE)
        return _STAGE if self._stage else None

    def update(self, shape: Shape, rows: Sequence[Row]) -> None:
        changed = [column.name for column in shape.columns if not column.generated and column.name not in shape.key]
        if not changed:
            return
        names = (*changed, *shape.key)
        wanted, values, matches = _wanted(shape, names, shape.key)
        changes = ", ".join(f"{_quoted(name)} = {value}" for name, value in zip(changed, values, strict=False))
        statement = _UPDATE.format(table=_sql(shape.table), changes=changes, wanted=wanted, matches=matches)
        self._run(statement, _texts(_picked(shape, names, rows)))

    def _run(self, statement: str, parameters: Mapping[str, Any] | None = None) -> Any:
        return self.connection.exec_driver_sql(statement, dict(parameters or {}))

    def settle(self, shape: Shape) -> None:
        if self._stage:
            self._run(self._stage)
            self._run(_DROP.format(stage=_STAGE))
            self._stage = None
        for name, sequence in self.connection.execute(_SEQUENCES, _named(shape.table)).all():
            names = {"column": _quoted(name), "table": _sql(shape.table), "sequence": sequence.replace("%", "%%")}
            self._run(_GO_ON.format(**names), {"sequence": sequence})

    def dangling(self, shape: Shape) -> int:  # noqa: ARG002 - the contract of Session
        return 0

    def commit(self) -> None:
        self.connection.commit()


class PostgresDatabase(Database):
    @contextmanager
    def reading(self) -> Iterator[PostgresSession]:
        with self._session(isolation_level="REPEATABLE READ", postgresql_readonly=True) as session:
            yield session

    @contextmanager
    def changing(self) -> Iterator[PostgresSession]:
        """Each statement sees what is there then: what others committed before it got its locks."""
        with self._session(isolation_level="READ COMMITTED") as session:
            session.connection.exec_driver_sql(_WAIT_FOR_FLUSH)
            yield session

    @contextmanager
    def _session(self, **options: Any) -> Iterator[PostgresSession]:
        with self.engine.connect() as plain:
            connection: Connection = plain.execution_options(**options)
            for setting in _SETTINGS:
                connection.exec_driver_sql(setting)
            yield PostgresSession(connection)


def _named(table: TableName) -> dict[str, str]:
    return {"name": table.sql}


def _quoted(name: str) -> str:
    return quoted(name).replace("%", "%%")  # in statements with parameters


def _sql(table: TableName) -> str:
    return table.sql.replace("%", "%%")


def _read(shape: Shape) -> str:
    """All columns of t, as they are read."""
    names = (f"t.{_quoted(name)}" + ("::text" if shape.column(name).form else "") for name in shape.names)
    return ", ".join(names)


def _wanted(shape: Shape, names: Sequence[str], key: Sequence[str]) -> tuple[str, list[str], str]:
    """Rows of texts as a relation; their values, cast to the types of the columns; and where these are the key of t."""
    aliases = [f"c{number}" for number in range(len(names))]
    arrays = ", ".join(f"CAST(%({alias})s AS text[])" for alias in aliases)
    values = [f"CAST(wanted.{alias} AS {_type(shape, name)})" for alias, name in zip(aliases, names, strict=True)]
    by_name = dict(zip(names, values, strict=True))
    matches = " AND ".join(f"t.{_quoted(name)} = {by_name[name]}" for name in key)
    return _WANTED.format(arrays=arrays, names=", ".join(aliases)), values, matches


def _picked(shape: Shape, names: Sequence[str], rows: Sequence[Row]) -> list[Row]:
    places = shape.places(names)
    return [tuple(row[place] for place in places) for row in rows]


def _type(shape: Shape, name: str) -> str:
    return shape.column(name).type.replace("%", "%%")


def _texts(rows: Sequence[Row]) -> dict[str, list[str | None]]:
    return {f"c{number}": list(map(_text, values)) for number, values in enumerate(zip(*rows, strict=True))}


def _text(value: Any) -> str | None:
    """As the server reads it, whatever type it is to have."""
    if value is None or type(value) is str:
        return value
    return "\\x" + value.hex() if type(value) is bytes else str(value)
