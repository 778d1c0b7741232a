"""Types of settings, looked at: what a value may be, and what lies inside it."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from waycairn.model.units import Unit


def fields_of(kind: Any) -> Mapping[str, Any]:
    """Names of the fields of a dataclass, with their types."""
    return _fields_of(kind)


@functools.cache
def _fields_of(kind: Any) -> Mapping[str, Any]:
    hints = typing.get_type_hints(kind, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind) if field.init}


def members(kind: Any) -> Iterator[Any]:
    """Of a union; another type is its own only one. Annotated stays as it is."""
    if typing.get_origin(kind) in {typing.Union, types.UnionType}:
        for one in typing.get_args(kind):
            yield from members(one)
    else:
        yield kind


def unit_of(kind: Any) -> Unit | None:
    """How a number of this type is written, if it is a Duration, Size or Share."""
    for one in members(kind):
        for mark in getattr(one, "__metadata__", ()):
            if isinstance(mark, Unit):
                return mark
    return None


def bare(kind: Any) -> Any:
    """Without Annotated."""
    return typing.get_args(kind)[0] if typing.get_origin(kind) is typing.Annotated else kind


def record_of(kind: Any) -> type[Any] | None:
    """The dataclass that values of this type are, if they are one."""
    return next((one for one in members(kind) if isinstance(one, type) and dataclasses.is_dataclass(one)), None)


def inside(kind: Any, step: str | int) -> Any:
    """The type of what lies there in a value of this type; None if nothing can."""
    for one in members(kind):
        if isinstance(one, type) and dataclasses.is_dataclass(one):
            if step in fields_of(one):
                return fields_of(one)[str(step)]
        elif isinstance(step, int) and is_list(one):
            given = typing.get_args(bare(one))
            return given[0] if given else Any
        elif isinstance(step, str) and is_table(one):
            given = typing.get_args(bare(one))
            return given[1] if len(given) == 2 else Any
    return None


def is_list(kind: Any) -> bool:
    """Of something; a text is none."""
    origin = typing.get_origin(bare(kind)) or bare(kind)
    return isinstance(origin, type) and issubclass(origin, Sequence | set | frozenset) and not issubclass(origin, str)


def is_table(kind: Any) -> bool:
    """Of names to something."""
    origin = typing.get_origin(bare(kind)) or bare(kind)
    return isinstance(origin, type) and issubclass(origin, Mapping)


def admits(kind: Any, wanted: type[Any]) -> bool:
    """Whether values of this type may be of that plain one."""
    return any(bare(one) in {wanted, Any} for one in members(kind))


def is_path(kind: Any) -> bool:
    """Whether values of this type are paths."""
    return any(isinstance(bare(one), type) and issubclass(bare(one), pathlib.PurePath) for one in members(kind))


def allowed(kind: Any) -> str:
    """What a value of this type may be, in words."""
    return " or ".join(dict.fromkeys(_allowed(one) for one in members(kind)))


_WORDS = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    type(None): "null",
    bytes: "bytes",
}


def _allowed(kind: Any) -> str:
    unit = unit_of(kind)
    if unit is not None:
        return unit.allowed
    kind = bare(kind)
    if typing.get_origin(kind) is typing.Literal:
        return "one of " + ", ".join(map(str, typing.get_args(kind)))
    if is_list(kind) or is_table(kind):
        return _many(kind)
    if dataclasses.is_dataclass(kind):
        return f"a table of {', '.join(fields_of(kind))}"
    return "a path" if is_path(kind) else _WORDS.get(kind, str(getattr(kind, "__name__", kind)))


def _many(kind: Any) -> str:
    inner = [one for one in typing.get_args(kind) if one is not Ellipsis]
    if is_table(kind):
        return "a table" + (f" (each value is {allowed(inner[-1])})" if inner else "")
    return "a list" + (f" (each is {allowed(inner[0])})" if inner else "")
