"""Hot statements: written as SQLAlchemy Core beside their rows, compiled once, run through the driver.

Measured per row: Core 7.5 to 10 µs, the driver 2.5 µs. So Core writes the SQL and is out of the way when it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from operator import itemgetter
from typing import Any

from sqlalchemy import Table
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.sql.elements import ClauseElement

MakeInsert = Callable[[Table], Any]


class Statement:
    """A statement with a name and a sentence about it; parameters are bound by name."""

    __slots__ = ("build", "describes", "name")

    def __init__(self, name: str, describes: str, build: ClauseElement | Callable[[Build], ClauseElement]) -> None:
        self.name = name
        self.describes = describes
        self.build = build

    def core(self, dialect: Dialect, *, is_sealed: bool = False) -> Any:
        """The statement as SQLAlchemy knows it."""
        return self.build if isinstance(self.build, ClauseElement) else self.build(Build(dialect, is_sealed=is_sealed))

    def __repr__(self) -> str:
        return f"<{self.name}: {self.describes}>"


class Build:
    """What differs between the two databases while a statement is written, and between plain and encrypted stores."""

    def __init__(self, dialect: Dialect, *, is_sealed: bool = False) -> None:
        self.is_sqlite = dialect.name == "sqlite"
        self.is_sealed = is_sealed
        self.insert: MakeInsert = import_module(f"sqlalchemy.dialects.{dialect.name}").insert
        """The dialect's own insert, which knows ON CONFLICT."""


class Compiled:
    """SQL text for one driver, and how it wants the values.

    `arrange` brings named values into the order of a text with question marks; sqlite3 binds names at four times
    the price (a checkpoint row: 8 µs more). None where the driver takes names.
    """

    __slots__ = ("arrange", "fixed", "text")

    def __init__(self, statement: Statement, dialect: Dialect, *, is_sealed: bool = False) -> None:
        compiled = statement.core(dialect, is_sealed=is_sealed).compile(dialect=dialect)
        self.text = str(compiled)
        self.fixed = {name: value for name, value in compiled.params.items() if value is not None}
        self.arrange = _in_order(compiled.positiontup) if compiled.positional else None

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

    def __init__(self, dialect: Dialect, *, is_sealed: bool = False) -> None:
        self.dialect = dialect
        self._is_sealed = is_sealed
        self.address = f"{dialect.name}+{dialect.driver}://"
        self._compiled: dict[Statement, Compiled] = {}

    def __getitem__(self, statement: Statement) -> Compiled:
        compiled = self._compiled.get(statement)
        if compiled is None:
            # Two threads may both compile it: the same text, and no lock on the way of every statement.
            compiled = self._compiled[statement] = Compiled(statement, self.dialect, is_sealed=self._is_sealed)
        return compiled

    def text_of(self, element: ClauseElement) -> str:
        return str(element.compile(dialect=self.dialect))
