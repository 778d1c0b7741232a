"""Conditions that lists have in common."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from waycairn.catalog.columns import encode_json
from waycairn.catalog.sql import (
    BigInteger,
    Column,
    ColumnElement,
    Jsonb,
    and_,
    bindparam,
    cast,
    exists,
    func,
    literal_column,
    or_,
    select,
)
from waycairn.catalog.statement import Build


def holds_tag(build: Build, column: Column[Any]) -> ColumnElement[bool]:
    """True where the JSON list in `column` holds the tag of `tag_values`."""
    if build.is_sqlite:
        # Nearly all rows are told apart by their text, at a tenth of the price. What JSON cannot hold is in another form.
        may = or_(func.instr(column, bindparam("tag_text")) > 0, func.substr(column, 1, 1) == "{")
        tags = func.json_each(column).table_valued("value", name="tag_of")
        return and_(may, exists(select(literal_column("1")).select_from(tags).where(tags.c.value == bindparam("tag"))))
    return column.op("@>", is_comparison=True)(cast(bindparam("tag_list"), Jsonb))


def tag_values(tag: str | None) -> dict[str, Any]:
    return {} if tag is None else {"tag": tag, "tag_text": encode_json(tag), "tag_list": encode_json([tag])}


def one_of(column: Column[Any], count: int) -> ColumnElement[bool]:
    """`column` is one of :any0, :any1, ... as filled by `any_values`."""
    return column.in_([bindparam(f"any{position}", type_=column.type) for position in range(count)])


def any_values(values: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(_names(len(values)), values, strict=True))


@cache
def _names(count: int) -> Sequence[str]:
    return [f"any{position}" for position in range(count)]


def listed(build: Build, column: Column[Any]) -> ColumnElement[bool]:
    """`column` is one of the numbers of `list_values`: any number of them, by one statement and one value."""
    if build.is_sqlite:
        numbers = func.json_each(bindparam("listed")).table_valued("value", name="numbers")
        return column.in_(select(numbers.c.value))
    elements = func.jsonb_array_elements_text(cast(bindparam("listed"), Jsonb)).table_valued("value", name="numbers")
    return column.in_(select(cast(elements.c.value, BigInteger)))


def list_values(numbers: Sequence[int]) -> dict[str, Any]:
    return {"listed": encode_json(list(numbers))}


def behind(key: Sequence[Column[Any]]) -> ColumnElement[bool]:
    """The row comes behind the one whose key is :key_NAME of each column, in the order of the key."""
    return or_(
        *(
            and_(*(one == bindparam(f"key_{one.name}") for one in key[:at]), column > bindparam(f"key_{column.name}"))
            for at, column in enumerate(key)
        )
    )
