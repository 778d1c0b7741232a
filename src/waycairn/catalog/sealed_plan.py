"""Which values of a statement are sealed and which columns of its rows are opened, found out from the statement itself.

So nobody who writes a statement can forget it: a statement that uses a sealed column in a way that cannot work on sealed
values (compares it, sorts by it, reads it without knowing of which row it is) is refused when it is compiled for an
encrypted store, and a test compiles them all.

A row is known by the key of its table, where the id of a run stands for its small number: the number of a run that was
removed may be given out again. Statements that write by the number are given the id beside it, as `run_id`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from typing import Any, NoReturn, TypeVar

from sqlalchemy import Column, Table
from sqlalchemy.sql import operators
from sqlalchemy.sql.dml import Delete, Insert, Update
from sqlalchemy.sql.elements import (
    BinaryExpression,
    BindParameter,
    BooleanClauseList,
    ClauseElement,
    ColumnClause,
    Grouping,
    Null,
    TextClause,
)
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.selectable import Alias, CompoundSelect, Join, ScalarSelect, Select, Subquery

from waycairn.catalog import tables
from waycairn.catalog.parts import RUN_ID
from waycairn.catalog.phrases import meant
from waycairn.catalog.plan import Field, Plan, Source, names_of_row
from waycairn.catalog.protection import Protection, head_of, is_touched, protection_of

runs: Table = meant(tables.runs)

# SQLAlchemy shows these parts of a statement to its compilers only; a test that compiles all statements holds them.
_values_of, _returning_of = attrgetter("_values"), attrgetter("_returning")
_multi_values_of, _conflict_of = attrgetter("_multi_values"), attrgetter("_post_values_clause")
_sorting_of = attrgetter("_order_by_clauses", "_group_by_clauses", "_having_criteria")
K = TypeVar("K")
_LOOKED_UP = (Protection.MATCHED, Protection.HASHED)


def plan_of(name: str, statement: ClauseElement) -> Plan:
    """TypeError for what cannot be done on sealed values."""
    return _Analysis(name).run(meant(statement))


@dataclass
class _Scope:
    """What a WHERE says about rows: which value a column equals."""

    equal: dict[tuple[Any, str], str] = field(default_factory=dict)
    run_ids: dict[Any, str] = field(default_factory=dict)
    """By table: the value that is the id of the run which its rows hang on."""


class _Analysis:
    def __init__(self, name: str) -> None:
        self._name = name
        self._values: dict[str, Field] = {}
        self._clear: set[str] = set()

    def run(self, statement: ClauseElement) -> Plan:
        results: dict[int, Field] = {}
        if isinstance(statement, Select):
            results = self._select(statement)
        elif isinstance(statement, CompoundSelect):
            for part in statement.selects:
                self._nested(part)
        elif isinstance(statement, Insert):
            results = self._insert(statement)
        elif isinstance(statement, Update):
            results = self._update(statement)
        elif isinstance(statement, Delete):
            scope = self._where(statement.whereclause)
            results = self._results(_returning_of(statement), scope)
        elif not isinstance(statement, TextClause):
            self._refuse(f"is a {type(statement).__name__}")
        if both := self._clear & self._values.keys():
            self._refuse(f"uses {', '.join(sorted(both))} in the clear, too")
        return Plan(_ours(self._values), _ours(results))

    def _refuse(self, what: str) -> NoReturn:
        raise TypeError(f"the statement {self._name!r} {what}, which cannot be done in an encrypted store")

    # -- reading -------------------------------------------------------------------------------------------------------

    def _select(self, statement: Select[Any]) -> dict[int, Field]:
        scope = self._where(statement.whereclause)
        for source in statement.get_final_froms():
            self._from(source)
        for clauses in _sorting_of(statement):
            for clause in clauses:
                self._walk(clause, _Scope(), sorts=True)
        return self._results(list(statement.selected_columns), scope)

    def _nested(self, statement: Any) -> None:
        """A query inside of another one: what it gives must be in the clear."""
        if isinstance(statement, CompoundSelect):
            for part in statement.selects:
                self._nested(part)
        elif self._select(statement):
            self._refuse("hands on what is sealed from one query to another")

    def _from(self, source: Any) -> None:
        if isinstance(source, Join):
            self._from(source.left)
            self._from(source.right)
            if source.onclause is not None:
                self._walk(source.onclause, _Scope())
        elif isinstance(source, Subquery):
            self._nested(source.element)
        elif not isinstance(source, Table) and not (isinstance(source, Alias) and isinstance(source.element, Table)):
            self._children(source)

    def _results(self, columns: Sequence[Any], scope: _Scope) -> dict[int, Field]:
        found: dict[int, Field] = {}
        for position, column in enumerate(columns):
            touched = _base(column)
            if touched is None or not is_touched(touched):
                self._walk(column, _Scope())
                continue
            if protection_of(touched) is Protection.HASHED:
                self._refuse(f"reads {touched}, of which there is only a hash")
            if not isinstance(column.table, Table | Alias):
                self._refuse(f"reads {touched} by way of a query")
            is_sealed = protection_of(touched) is Protection.SEALED
            row = self._row(column.table, touched.table, partial(_position, columns), scope) if is_sealed else []
            if row is None:
                self._refuse(f"reads {touched} without what names its row ({', '.join(names_of_row(touched.table))})")
            found[position] = Field(touched, row)
        return dict(sorted(found.items(), key=lambda item: protection_of(item[1].column) is not Protection.MATCHED))

    def _row(self, place: Any, table: Table, position: Any, scope: _Scope) -> list[Source] | None:
        """What names the rows of a table (as it stands in the statement: `place`)."""
        parts: list[Source] = []
        for name in names_of_row(table):
            if name == "run":
                found = position(runs, "id")
                if found is None:
                    found = scope.run_ids.get(place, RUN_ID if (place, "run") in scope.equal else None)
            else:
                found = position(place, name)
                found = scope.equal.get((place, name)) if found is None else found
            if found is None:
                return None
            parts.append(found)
        return parts

    # -- writing -------------------------------------------------------------------------------------------------------

    def _insert(self, statement: Insert) -> dict[int, Field]:
        table = _table(statement)
        if statement.select is not None or _multi_values_of(statement):
            if any(is_touched(column) for column in table.c):
                self._refuse(f"copies rows of {table.name} inside the database")
            return {}
        values = _named(_values_of(statement))
        scope = self._scope_of(table, values)
        row = self._row(table, table, _nowhere, scope)
        self._assign(table, values, row)
        conflict: Any = _conflict_of(statement)
        if conflict is not None and hasattr(conflict, "update_values_to_set"):
            self._assign(table, _named(conflict.update_values_to_set), row)
            if conflict.update_whereclause is not None:
                self._where(conflict.update_whereclause)
        return self._results(list(_returning_of(statement)), scope)

    def _update(self, statement: Update) -> dict[int, Field]:
        table = _table(statement)
        scope = self._where(statement.whereclause)
        self._assign(table, _named(_values_of(statement)), self._row(table, table, _nowhere, scope))
        return self._results(list(_returning_of(statement)), scope)

    def _scope_of(self, table: Table, values: Mapping[str, Any]) -> _Scope:
        return _Scope({(table, name): value.key for name, value in values.items() if isinstance(value, BindParameter)})

    def _assign(self, table: Table, values: Mapping[str, Any], row: Sequence[Source] | None) -> None:
        for name, value in values.items():
            column = table.c[name]
            if not is_touched(column):
                self._walk(value, _Scope())
            elif isinstance(value, BindParameter):
                self._bind(value, column, row if protection_of(column) is Protection.SEALED else ())
            elif not (isinstance(value, Null) or _is_excluded(value, column)):
                self._refuse(f"computes {column} inside the database")

    def _bind(self, value: BindParameter[Any], column: Column[Any], row: Sequence[Source] | None) -> None:
        if value.value is not None:
            self._refuse(f"holds a value of {column} itself")
        before = self._values.setdefault(value.key, Field(column, row))
        if before.column is not column:
            self._refuse(f"gives {value.key} to {before.column} and to {column}")

    # -- conditions ----------------------------------------------------------------------------------------------------

    def _where(self, clause: Any) -> _Scope:
        scope = _Scope()
        if clause is not None:
            for part in _conjunction(clause):
                self._walk(part, scope)
        return scope

    def _walk(self, clause: Any, scope: _Scope, *, sorts: bool = False) -> None:
        """Refuse a use of a sealed column that is none of those that work; note what rows are said to equal."""
        if isinstance(clause, BinaryExpression) and (left := _base(clause.left)) is not None:
            self._compare(clause, left, scope)
        elif isinstance(clause, ColumnClause):
            touched = _base(clause)
            if touched is not None and is_touched(touched):
                if sorts and protection_of(touched) is Protection.MATCHED:
                    return
                self._refuse(f"computes with {touched}")
        elif isinstance(clause, ScalarSelect):
            self._nested(clause.element)
        elif isinstance(clause, Select | CompoundSelect):
            self._nested(clause)
        elif isinstance(clause, FunctionElement) and clause.name == "substr":
            column, *_ = clause.clauses
            touched = _base(column)
            if touched is None or not (head_of(touched) or not is_touched(touched)):
                self._children(clause)
        elif isinstance(clause, BindParameter):
            self._clear.add(clause.key)
        else:
            self._children(clause, sorts=sorts)

    def _children(self, clause: Any, *, sorts: bool = False) -> None:
        for child in clause.get_children():
            self._walk(child, _Scope(), sorts=sorts)

    def _compare(self, clause: BinaryExpression[Any], left: Column[Any], scope: _Scope) -> None:
        right: Any = clause.right
        if clause.operator in {operators.is_, operators.is_not} and isinstance(right, Null):
            return
        if is_touched(left):
            bound = [*_bound(right)]
            if protection_of(left) not in _LOOKED_UP or not bound:
                self._refuse(f"compares {left}")
            for value in bound:
                self._bind(value, left, ())
        else:
            self._walk(right, _Scope())
        if clause.operator is operators.eq:
            _note_equal(clause.left, right, scope)


def _ours(fields: Mapping[K, Field]) -> dict[K, Field]:
    """With the columns of `tables`."""
    return {
        key: Field(tables.metadata.tables[field.column.table.name].c[field.column.name], field.row)
        for key, field in fields.items()
    }


def _note_equal(left: Any, right: Any, scope: _Scope) -> None:
    if isinstance(right, BindParameter):
        scope.equal[left.table, left.name] = right.key
    elif isinstance(right, ScalarSelect) and left.name == "run":
        inner: Any = right.element
        for part in _conjunction(inner.whereclause):
            if isinstance(part, BinaryExpression) and part.left is runs.c.id and isinstance(part.right, BindParameter):
                scope.run_ids[left.table] = part.right.key


def _conjunction(clause: Any) -> Iterator[Any]:
    if isinstance(clause, BooleanClauseList) and clause.operator is operators.and_:
        for part in clause.clauses:
            yield from _conjunction(part)
    else:
        yield clause


def _bound(value: Any) -> Iterator[BindParameter[Any]]:
    """The parameters that a column is compared with; none if it is compared with anything else."""
    if isinstance(value, BindParameter):
        yield value
    elif isinstance(value, Grouping):
        element: Any = value.element
        parts = list(element.get_children())
        if all(isinstance(part, BindParameter) for part in parts):
            yield from parts


def _base(column: Any) -> Column[Any] | None:
    """The column of a table that this one is, directly or in an alias or subquery."""
    if not isinstance(column, ColumnClause):
        return None
    found = next(iter(column.base_columns))
    return found if isinstance(found, Column) and isinstance(found.table, Table) else None


def _position(columns: Sequence[Any], place: Any, name: str) -> int | None:
    for position, column in enumerate(columns):
        if isinstance(column, ColumnClause) and column.table is place and column.name == name:
            return position
    return None


def _nowhere(place: Any, name: str) -> int | None:  # noqa: ARG001 - as `_position`: a statement that gives no rows
    return None


def _is_excluded(value: Any, column: Column[Any]) -> bool:
    """In ON CONFLICT: what was to be inserted into the same column of the same row."""
    return (
        isinstance(value, ColumnClause) and getattr(value.table, "name", "") == "excluded" and value.name == column.name
    )


def _named(values: Any) -> dict[str, Any]:
    pairs = values.items() if isinstance(values, Mapping) else (values or ())
    return {str(getattr(name, "name", name)): value for name, value in pairs}


def _table(statement: Insert | Update) -> Table:
    assert isinstance(statement.table, Table)
    return statement.table
