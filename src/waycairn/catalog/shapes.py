"""What a row may hold. SQLite keeps no checksum of its pages: what a damaged one gives is told, not believed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from waycairn.catalog.database import Row
from waycairn.catalog.schema import Number
from waycairn.catalog.sql import BigInteger, Boolean, Column, Double, Integer, LargeBinary, SmallInteger
from waycairn.errors import Damaged

T = TypeVar("T")
NONSENSE = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""What decoders raise when they are handed nonsense."""
_KINDS: dict[Any, frozenset[type]] = {
    Boolean: frozenset({bool, int}),
    **dict.fromkeys((Number, Integer, BigInteger, SmallInteger), frozenset({int})),
    Double: frozenset({float, int}),
    LargeBinary: frozenset({bytes, memoryview}),
}
_TEXT = frozenset({str})


def reads(columns: Sequence[Column[Any]]) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """For a function that makes a record of a row (its last argument) with these columns: Damaged if one of them
    cannot hold what is there, or the function can make nothing of it."""
    kinds = tuple(kinds_of(column) for column in columns)
    known: set[tuple[type, ...]] = set()
    """The same few come again and again: a row costs a third of a microsecond."""

    def decorate(decode: Callable[..., T]) -> Callable[..., T]:
        @functools.wraps(decode)
        def checked(*arguments: Any) -> T:
            row: Row = arguments[-1]
            found = tuple(map(type, row))
            try:
                if found not in known:
                    _check(columns, kinds, found)
                    known.add(found)
                return decode(*arguments)
            except NONSENSE as error:
                raise damaged_row(columns[-1].table.name, error) from error

        return checked

    return decorate


@contextmanager
def nonsense_of(table: str) -> Iterator[None]:
    """For what is counted or gathered over rows of a table: Damaged if nothing can be made of it."""
    try:
        yield
    except NONSENSE as error:
        raise damaged_row(table, error) from error


def damaged_row(table: str, detail: object) -> Damaged:
    return Damaged(
        f"a row of {table} in the catalog is damaged: {detail}. It is not used. Keep a copy of the catalog, then see "
        "`waycairn doctor`, or restore a backup.",
        table=table,
    )


def kinds_of(column: Column[Any]) -> frozenset[type]:
    """The types that a column of a row may have."""
    kinds = _KINDS.get(column.type, _TEXT)
    return kinds | {type(None)} if column.nullable else kinds


def _check(columns: Sequence[Column[Any]], kinds: Sequence[frozenset[type]], found: Sequence[type]) -> None:
    for column, allowed, kind in zip(columns, kinds, found, strict=True):
        if kind not in allowed:
            raise TypeError(f"its {column.name} is of type {kind.__name__}")
