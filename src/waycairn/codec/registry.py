"""Types that the codec does not know by itself, registered by those who own them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from waycairn.codec.layouts import layout_of, qualified_name

_T = TypeVar("_T", bound=type)


@dataclass(frozen=True, slots=True)
class Registration:
    kind: type
    name: str
    encode: Callable[[Any], Any] | None
    decode: Callable[[Any], Any] | None


_by_kind: dict[type, Registration] = {}
_by_name: dict[str, Registration] = {}


def by_kind(kind: type) -> Registration | None:
    return _by_kind.get(kind)


def by_name(name: str) -> Registration | None:
    return _by_name.get(name)


@overload
def register(
    cls: None = None,
    *,
    name: str | None = None,
    encode: Callable[[Any], Any] | None = None,
    decode: Callable[[Any], Any] | None = None,
) -> Callable[[_T], _T]: ...


@overload
def register(
    cls: _T,
    *,
    name: str | None = None,
    encode: Callable[[Any], Any] | None = None,
    decode: Callable[[Any], Any] | None = None,
) -> _T: ...


def register(
    cls: Any = None,
    *,
    name: str | None = None,
    encode: Callable[[Any], Any] | None = None,
    decode: Callable[[Any], Any] | None = None,
) -> Any:
    """Make a type storable, and restorable by its name, in this whole process.

    `encode(obj)` gives anything that can be stored, `decode(stored)` the object again; both may be left out for a
    dataclass, msgspec.Struct, pydantic model, NamedTuple or Enum, which is then restored wherever it is met without
    being passed as a type. `name` (default "module:qualname") is what the store keeps: give one that survives
    renaming the class. Subclasses are not covered. Also a decorator: `@register` or `@register(name="point")`.

    Raises TypeError if hooks are missing, ValueError if another class holds the name. Register before the first
    save or load; registering the same class again (a notebook cell that runs twice) replaces the old one.
    """
    if cls is None:
        return lambda kind: register(kind, name=name, encode=encode, decode=decode)
    if not isinstance(cls, type):
        raise TypeError(f"register() takes a class, not {cls!r}")
    if (encode is None) != (decode is None):
        raise TypeError(f"register({cls.__name__}) needs both encode= and decode=, or neither")
    if encode is None:
        _check_layout(cls)
    registration = Registration(cls, name or qualified_name(cls), encode, decode)
    holder = _by_name.get(registration.name)
    if holder is not None and qualified_name(holder.kind) != qualified_name(cls):
        raise ValueError(
            f"the name {registration.name!r} is registered for {qualified_name(holder.kind)} already: "
            f"give {qualified_name(cls)} another one with register(..., name=...)"
        )
    _by_name[registration.name] = _by_kind[cls] = registration
    return cls


def _check_layout(cls: type) -> None:
    if layout_of(cls) is None:
        raise TypeError(
            f"{qualified_name(cls)} is no dataclass, msgspec.Struct, pydantic model, NamedTuple or Enum: say how it "
            f"is stored with register({cls.__name__}, encode=..., decode=...)"
        )
