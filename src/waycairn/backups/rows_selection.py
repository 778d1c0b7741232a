"""Which rows: those of the table that the condition holds for, and those that hang on them, as statements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, TableClause, column, exc, func, or_, select, table, text, true
from sqlalchemy import tuple_ as together
from sqlalchemy.sql import visitors

from waycairn.backups.rows_session import Session
from waycairn.backups.rows_shape import ForeignKey, Shape, TableName


class Selection:
    """Of one session. `where` is None for all rows."""

    def __init__(self, session: Session, shapes: Sequence[Shape], where: Any) -> None:
        self.session = session
        self.shapes = shapes
        """Parents first."""
        self._where = where
        self._root = shapes[0].table
        self._sources: dict[TableName, FromClause] = {shape.table: _source(shape.table) for shape in shapes}
        if where is not None:
            self._sources[self._root] = _meant(self._root, where)
            self._check()

    def _check(self) -> None:
        """Raises ValueError for a condition that is about something else."""
        root = self._sources[self._root]
        probe = select(text("1")).select_from(root).where(self._where)
        others = [str(one) for one in probe.get_final_froms() if one != root]
        if others:
            raise ValueError(
                f"where= refers to {', '.join(others)} too: every pair with its rows would count. Nothing was done. Say "
                f"it by columns of {self._root}, and what depends on other tables as a subquery (exists, in_)."
            )
        try:
            self.session.connection.execute(probe.limit(0))
        except exc.DBAPIError as error:
            raise ValueError(f"where= cannot be used on {self._root}: {error.orig}. Nothing was done.") from error

    def among(self, kept: FromClause) -> Selection:
        """The same rows, whatever the condition says from now on: those whose keys were kept, and their children."""
        key = self.shapes[0].key
        chosen = Selection(self.session, self.shapes, None)
        chosen._where = _in(chosen._sources[self._root], key, _columns(kept, key))
        return chosen

    def source(self, shape: Shape) -> FromClause:
        return self._sources[shape.table]

    def rows(self, shape: Shape) -> Select[Any]:
        """All columns, in the order of the primary key."""
        columns = [self.session.column(shape, name) for name in shape.names]
        return self._select(shape, *columns).order_by(*self.key(shape))

    def count(self, shape: Shape) -> int:
        return int(self.session.connection.execute(self._select(shape, func.count())).scalar_one())

    def key(self, shape: Shape) -> list[ColumnElement[Any]]:
        return _of(self.source(shape), shape.key)

    def keys(self, shape: Shape) -> Select[Any]:
        return self._select(shape, *self.key(shape))

    def referred(self, key: ForeignKey) -> ColumnElement[bool]:
        """Rows of any table whose foreign key leads to rows that are selected."""
        parent = next(shape for shape in self.shapes if shape.table == key.parent)
        refers = self._select(parent, *_of(self.source(parent), key.refers))
        return _in(self._sources.get(key.table, _source(key.table)), key.columns, refers)

    def chosen(self, shape: Shape) -> ColumnElement[bool]:
        if shape.hangs_on:
            return or_(*map(self.referred, shape.hangs_on))
        chosen: ColumnElement[bool] = true() if self._where is None else self._where
        return chosen

    def _select(self, shape: Shape, *columns: Any) -> Select[Any]:
        chosen = select(*columns).select_from(self.source(shape))
        return chosen if not shape.hangs_on and self._where is None else chosen.where(self.chosen(shape))


def _source(name: TableName) -> TableClause:
    return table(name.name, schema=name.schema)


def _meant(name: TableName, where: Any) -> FromClause:
    """The object that the condition means by the table, so that it is the same table for SQLAlchemy."""
    if not hasattr(where, "get_children"):
        raise TypeError(
            f"where= is an expression of SQLAlchemy, or text with parameters: sqlalchemy.text('created < :day')"
            f".bindparams(day=...); not {type(where).__name__}"
        )
    for element in visitors.iterate(where):
        found = getattr(element, "table", None)
        if isinstance(found, TableClause) and (found.schema, found.name) == name:
            return found
    return _source(name)


def _of(source: FromClause, names: Sequence[str]) -> list[ColumnElement[Any]]:
    return [column(name, _selectable=source) for name in names]


def _columns(source: FromClause, names: Sequence[str]) -> Select[Any]:
    return select(*_of(source, names)).select_from(source)


def _in(source: FromClause, names: Sequence[str], among: Select[Any]) -> ColumnElement[bool]:
    columns = _of(source, names)
    return (columns[0] if len(columns) == 1 else together(*columns)).in_(among)
