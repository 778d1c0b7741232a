"""Conditions that lists have in common."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Column, ColumnElement, bindparam, cast, exists, func, literal_column, select

from waycairn.catalog.columns import encode_json
from waycairn.catalog.statement import Build
from waycairn.catalog.tables import Jsonb


def holds_tag(build: Build, column: Column[Any]) -> ColumnElement[bool]:
    """True where the JSON list in `column` holds the tag of `tag_values`."""
    if build.is_sqlite:
        tags = func.json_each(column).table_valued("value", name="tag_of")
        return exists(select(literal_column("1")).select_from(tags).where(tags.c.value == bindparam("tag")))
    return column.op("@>", is_comparison=True)(cast(bindparam("tag_list"), Jsonb))


def tag_values(tag: str | None) -> dict[str, Any]:
    return {} if tag is None else {"tag": tag, "tag_list": encode_json([tag])}


def one_of(column: Column[Any], count: int) -> ColumnElement[bool]:
    """`column` is one of :any0, :any1, ... as filled by `any_values`."""
    return column.in_([bindparam(f"any{position}", type_=column.type) for position in range(count)])


def any_values(values: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(_any_names(len(values)), values, strict=True))


@cache
def _any_names(count: int) -> Sequence[str]:
    return [f"any{position}" for position in range(count)]
