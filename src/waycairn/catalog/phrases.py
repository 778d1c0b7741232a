"""What is said to SQLAlchemy, noted down until somebody asks for its meaning.

Importing SQLAlchemy takes 0.3 s of processor time and building the statements 0.15 s: more than a short process needs for all
else. On SQLite their texts are known (see `known`), so that it needs neither. A phrase is what would be said, `select(...)`,
`.where(...)`, `a == b`; `meant` says it. Tables and columns are phrases that know their name and shape.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from threading import RLock
from typing import Any

from waycairn.world.forking import undivided

_UNKNOWN = object()
_saying = RLock()


class Phrase:
    """Something that was not said yet. Python asks the right side of `a == b` first where its class is derived from that of
    the left side: so nothing is derived from a kind of phrase."""

    __slots__ = ("_meaning",)
    is_clause_element = False
    """Asked by SQLAlchemy, which then takes `__clause_element__`."""

    def __init__(self) -> None:
        self._meaning: Any = _UNKNOWN

    def __clause_element__(self) -> Any:
        if self._meaning is _UNKNOWN:
            # One thread at a time: SQLAlchemy knows tables and their aliases by identity.
            with undivided, _saying:
                if self._meaning is _UNKNOWN:
                    self._meaning = self._said()
        return self._meaning

    def _said(self) -> Any:
        raise NotImplementedError

    def __getattr__(self, name: str) -> Call:
        if name.startswith("__"):
            raise AttributeError(name)  # what Python asks of any object
        return Call(getattr, self, name)

    def __call__(self, *arguments: Any, **named: Any) -> Call:
        return Call(self, *arguments, **named)

    def __iter__(self) -> Iterator[Any]:
        return iter(meant(self))

    def __bool__(self) -> bool:
        return bool(meant(self))

    __hash__ = object.__hash__


def _said_of(verb: Callable[..., Any]) -> Callable[..., Call]:
    return lambda *arguments: Call(verb, *arguments)


_OPERATORS = "eq ne lt le gt ge add sub mul truediv mod and_ or_ invert getitem"
for _name in _OPERATORS.split():
    setattr(Phrase, f"__{_name.rstrip('_')}__", _said_of(getattr(operator, _name)))


class Call(Phrase):
    """A call, a look at an attribute, or an operator."""

    __slots__ = ("arguments", "named", "verb")

    def __init__(self, verb: Any, *arguments: Any, **named: Any) -> None:
        super().__init__()
        self.verb = verb
        self.arguments = arguments
        self.named = named

    def _said(self) -> Any:
        return meant(self.verb)(*meant(self.arguments), **meant(self.named))

    def __repr__(self) -> str:
        """The same for the same phrase, in every process."""
        parts = [*map(repr, self.arguments), *(f"{name}={value!r}" for name, value in self.named.items())]
        return f"{_name_of(self.verb)}({', '.join(parts)})"


def _name_of(verb: Any) -> str:
    return repr(verb) if isinstance(verb, Phrase) else verb.__name__


class Word(Phrase):
    """A name in a module."""

    __slots__ = ("_module", "_name")

    def __init__(self, name: str, module: str) -> None:
        super().__init__()
        self._name = name
        self._module = module

    def _said(self) -> Any:
        return getattr(import_module(self._module), self._name)

    def __repr__(self) -> str:
        return self._name


@cache
def word(name: str, module: str = "sqlalchemy") -> Word:
    """The only one for this name."""
    return Word(name, module)


def meant(thing: Any) -> Any:
    """What is made of a phrase, or of a value with phrases in it."""
    if isinstance(thing, Phrase):
        return thing.__clause_element__()
    if isinstance(thing, list | tuple):
        return type(thing)(map(meant, thing))
    if isinstance(thing, dict):
        return {meant(key): meant(value) for key, value in thing.items()}
    return thing


class MetaData(Phrase):
    """All tables, which are made together."""

    __slots__ = ("_definition", "tables")

    def __init__(self, **named: Any) -> None:
        super().__init__()
        self._definition = Call(word("MetaData"), **named)
        self.tables: dict[str, Table] = {}

    @property
    def sorted_tables(self) -> Sequence[Table]:
        """As SQLAlchemy sorts them: those first that others hang on."""
        return sorted(self.tables.values(), key=lambda table: (table.hangs_on_another, table.name))

    def _said(self) -> Any:
        made = meant(self._definition)
        for table in self.tables.values():
            table.define(made)
        return made

    def __repr__(self) -> str:
        return "\n".join([repr(self._definition), *(table.definition() for table in self.tables.values())])


class Column(Phrase):
    """A column of a table."""

    __slots__ = ("definition", "foreign_keys", "info", "name", "nullable", "primary_key", "table", "type")

    def __init__(self, name: str, kind: Any, *more: Call, info: Mapping[str, Any] | None = None, **named: Any) -> None:
        super().__init__()
        self.definition = Call(word("Column"), name, kind, *more, info=info, **named)
        self.name = name
        self.type = kind
        self.info = info or {}
        self.foreign_keys = more
        self.primary_key: bool = named.get("primary_key", False)
        self.nullable: bool = named.get("nullable", not self.primary_key)
        self.table: Table | Alias

    def of(self, table: Alias) -> Column:
        """The same of another name of its table."""
        one = Column(self.name, self.type, info=self.info, nullable=self.nullable)
        one.table = table
        return one

    def _said(self) -> Any:
        return meant(self.table).c[self.name]

    def __repr__(self) -> str:
        return f"{self.table.name}.{self.name}"


class Columns:
    """Those of a table, by name and in order."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = columns
        self.__dict__.update((column.name, column) for column in columns)

    def __getitem__(self, name: str) -> Column:
        found: Column = self.__dict__[name]
        return found

    def __contains__(self, name: str) -> bool:
        return name in self.__dict__

    def __iter__(self) -> Iterator[Column]:
        return iter(self.columns)


_KEY = word("PrimaryKeyConstraint")


class Table(Phrase):
    """A table. Two are never equal."""

    __slots__ = ("_named", "_parts", "c", "metadata", "name", "primary_key")

    def __init__(self, name: str, metadata: MetaData, *parts: Column | Call, **named: Any) -> None:
        super().__init__()
        self.name = name
        self.metadata = metadata
        self.c = Columns([part for part in parts if isinstance(part, Column)])
        self._parts = [part.definition if isinstance(part, Column) else part for part in parts]
        self._named = named
        key = next((part.arguments for part in self._parts if part.verb is _KEY), ())
        for column in self.c:
            column.table = self
            column.primary_key |= column.name in key
        self.primary_key = Columns([self.c[name] for name in key] or [one for one in self.c if one.primary_key])
        metadata.tables[name] = self

    @property
    def hangs_on_another(self) -> bool:
        keys = [key.arguments[0] for column in self.c for key in column.foreign_keys]
        return any(not named.startswith(f"{self.name}.") for named in keys)

    def alias(self, name: str) -> Alias:
        return Alias(self, name)

    def _said(self) -> Any:
        return meant(self.metadata).tables[self.name]

    def define(self, metadata: Any) -> None:
        """Among the tables of SQLAlchemy's own collection."""
        meant(word("Table"))(self.name, metadata, *meant(self._parts), **self._named)

    def definition(self) -> str:
        return f"{self.name}: {self._parts} {self._named}"

    def __repr__(self) -> str:
        return self.name

    __eq__ = object.__eq__
    __ne__ = object.__ne__
    __hash__ = object.__hash__


class Alias(Phrase):
    """A table under another name."""

    __slots__ = ("c", "name", "table")

    def __init__(self, table: Table, name: str) -> None:
        super().__init__()
        self.table = table
        self.name = name
        self.c = Columns([column.of(self) for column in table.c])

    def _said(self) -> Any:
        return meant(self.table).alias(self.name)

    def __repr__(self) -> str:
        return f"{self.table}.alias({self.name!r})"
