"""Hot statements: written as SQLAlchemy Core beside their rows, compiled once, run through the driver.

Measured per row: Core 7.5 to 10 µs, the driver 2.5 µs. So Core writes the SQL and is out of the way when it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import itemgetter
from types import FunctionType
from typing import Any

from waycairn.catalog.known import find, find_definitions
from waycairn.catalog.phrases import meant, word
from waycairn.catalog.plan import Plan
from waycairn.catalog.sql import ClauseElement, Dialect, MetaData, Table

MakeInsert = Callable[[Table], Any]


class Statement:
    """A statement with a name and a sentence about it; parameters are bound by name."""

    __slots__ = ("build", "describes", "name")

    def __init__(self, name: str, describes: str, build: ClauseElement | Callable[[Build], ClauseElement]) -> None:
        self.name = name
        self.describes = describes
        self.build = build

    def said(self, kind: str, *, is_sealed: bool = False) -> ClauseElement:
        """As it is written for one kind of database."""
        written: Any = self.build
        said: ClauseElement = (
            written(Build(kind, is_sealed=is_sealed)) if isinstance(written, FunctionType | partial) else written
        )
        return said

    def core(self, dialect: Dialect, *, is_sealed: bool = False) -> Any:
        """As SQLAlchemy knows it."""
        return meant(self.said(dialect.name, is_sealed=is_sealed))

    def __repr__(self) -> str:
        return f"<{self.name}: {self.describes}>"


class Build:
    """What differs between the two databases while a statement is written, and between plain and encrypted stores."""

    def __init__(self, kind: str, *, is_sealed: bool = False) -> None:
        self.is_sqlite = kind == "sqlite"
        self.is_sealed = is_sealed
        self.insert: MakeInsert = word("insert", f"sqlalchemy.dialects.{kind}")
        """The dialect's own insert, which knows ON CONFLICT."""


class Compiled:
    """SQL text for one driver, and how it wants the values.

    `arrange` brings named values into the order of a text with question marks; sqlite3 binds names at four times
    the price (a checkpoint row: 8 µs more). None where the driver takes names.
    """

    __slots__ = ("arrange", "fixed", "order", "text")

    def __init__(self, text: str, fixed: Mapping[str, Any], order: Sequence[str] | None) -> None:
        self.text = text
        self.fixed = fixed
        self.order = order
        self.arrange = None if order is None else _in_order(order)

    @classmethod
    def of(cls, element: Any, dialect: Dialect) -> Compiled:
        compiled = element.compile(dialect=dialect)
        fixed = {name: value for name, value in compiled.params.items() if value is not None}
        return cls(str(compiled), fixed, compiled.positiontup if compiled.positional else None)

    def bind(self, values: Mapping[str, Any]) -> Any:
        """The values as the driver takes them."""
        if self.fixed:
            values = {**self.fixed, **values}
        return values if self.arrange is None else self.arrange(values)


def _in_order(names: Sequence[str]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    if len(names) > 1:
        return itemgetter(*names)
    return lambda values: tuple(values[name] for name in names)


class Texts:
    """The compiled statements of one dialect, shared by all connections."""

    def __init__(self, address: str, dialect: Callable[[], Dialect], *, is_sealed: bool = False) -> None:
        self.address = address
        """What SQLAlchemy calls this kind of database."""
        self._kind = address.partition("+")[0]
        self.dialect = dialect
        self._is_sealed = is_sealed
        self._compiled: dict[Statement, Compiled] = {}

    def sealed(self) -> Texts:
        """Those of an encrypted store."""
        return type(self)(self.address, self.dialect, is_sealed=True)

    def __getitem__(self, statement: Statement) -> Compiled:
        compiled = self._compiled.get(statement)
        if compiled is None:
            # Two threads may both compile it: the same text, and no lock on the way of every statement.
            compiled = self._compiled[statement] = self._compile(self.said(statement))
        return compiled

    def plan(self, statement: Statement) -> Plan:
        """What an encrypted store does around it. TypeError for what cannot be done on sealed values."""
        from waycairn.catalog.sealed_plan import plan_of

        return plan_of(statement.name, self.said(statement))

    def definitions(self, *collections: MetaData) -> Sequence[str]:
        """What creates all these tables."""
        from sqlalchemy import create_mock_engine

        texts: list[str] = []
        dialect = self.dialect()
        engine = create_mock_engine(self.address, lambda element, *_, **__: texts.append(_text(element, dialect)))
        for tables in collections:
            meant(tables).create_all(engine, checkfirst=False)
        return texts

    def said(self, statement: Statement) -> ClauseElement:
        return statement.said(self._kind, is_sealed=self._is_sealed)

    def _compile(self, said: ClauseElement) -> Compiled:
        return Compiled.of(meant(said), self.dialect())


class SqliteTexts(Texts):
    """Those of SQLite, which are known without SQLAlchemy."""

    def _compile(self, said: ClauseElement) -> Compiled:
        known = find(said)
        return super()._compile(said) if known is None else Compiled(known.text, known.fixed, known.order)

    def plan(self, statement: Statement) -> Plan:
        known = find(self.said(statement))
        return super().plan(statement) if known is None else known.plan

    def definitions(self, *collections: MetaData) -> Sequence[str]:
        known = find_definitions(collections)
        return super().definitions(*collections) if known is None else known


def sqlite_texts() -> SqliteTexts:
    return SqliteTexts("sqlite+pysqlite://", _sqlite)


def _sqlite() -> Dialect:
    from sqlalchemy.dialects import sqlite

    dialect: Dialect = sqlite.dialect(paramstyle="qmark")
    return dialect


def _text(element: Any, dialect: Dialect) -> str:
    return str(element.compile(dialect=dialect))
