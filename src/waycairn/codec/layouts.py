"""How classes with named fields are taken apart and built again: dataclass, NamedTuple, msgspec.Struct, pydantic, Enum.

Objects come back as they were: `__init__` and `__post_init__` are not run again (a Struct cannot be made without
its `__post_init__`; its fields are set after it). What stands beside the fields on an object is kept too.
"""

from __future__ import annotations

import dataclasses
import logging
import sys
from collections.abc import Mapping, Sequence
from enum import Enum, Flag
from functools import cached_property
from types import BuiltinFunctionType, MemberDescriptorType
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import msgspec

from waycairn.errors import UnknownType

_log = logging.getLogger("waycairn")

Taken = tuple[tuple[str, ...], Sequence[Any]]
_EXTRA, _SET, _PRIVATE = "__pydantic_extra__", "__pydantic_fields_set__", "__pydantic_private__"


def qualified_name(kind: type) -> str:
    """The name under which a type is stored if it was not registered under another."""
    return f"{kind.__module__}:{kind.__qualname__}"


class Layout(Protocol):
    def take(self, value: Any) -> Taken:
        """Names and values of all that the object holds, fields first, in the order of the class."""
        ...

    def build(self, held: dict[str, Any]) -> Any:
        """The object again. A field that was not stored gets its default; UnknownType if it has none."""
        ...


class PlainLayout:
    """Objects whose attributes lie in `__dict__` and slots: dataclasses."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind
        self.fields = tuple(field.name for field in dataclasses.fields(kind))
        self.slots = frozenset(
            name for base in kind.__mro__ for name, value in vars(base).items() if type(value) is MemberDescriptorType
        )
        self.order = tuple(dict.fromkeys((*self.fields, *sorted(self.slots))))
        self.has_dict = kind.__dictoffset__ != 0

    def take(self, value: Any) -> Taken:
        if not self.slots:
            held = vars(value)
            names = tuple(held)
            if names == self.fields:
                return self.fields, list(held.values())
        held = {name: _slot(value, name) for name in self.order if name in self.slots}
        held = {name: content for name, content in held.items() if content is not _UNSET}
        if self.has_dict:
            held |= vars(value)
        order = dict.fromkeys((*(name for name in self.order if name in held), *held))
        names = tuple(name for name in order if name in self.fields or not _is_derived(self.kind, name))
        return names, [held[name] for name in names]

    def build(self, held: dict[str, Any]) -> Any:
        value = object.__new__(self.kind)
        if tuple(held) != self.fields:
            self._add_defaults(held)
        if not self.slots:
            vars(value).update(held)
            return value
        for name, content in held.items():
            if name in self.slots:
                object.__setattr__(value, name, content)
            elif self.has_dict:
                vars(value)[name] = content
            else:
                _left_out(self.kind, name)
        return value

    def _add_defaults(self, held: dict[str, Any]) -> None:
        for field in dataclasses.fields(self.kind):
            if field.name in held:
                continue
            if field.default is not dataclasses.MISSING:
                held[field.name] = field.default
            elif field.default_factory is not dataclasses.MISSING:
                held[field.name] = field.default_factory()
            elif field.init:
                raise _no_default(self.kind, field.name)


class NamedTupleLayout:
    def __init__(self, kind: Any) -> None:
        self.kind = kind
        self.fields: tuple[str, ...] = kind._fields

    def take(self, value: Any) -> Taken:
        beside = getattr(value, "__dict__", None)
        if not beside:
            return self.fields, value
        return (*self.fields, *beside), (*value, *beside.values())

    def build(self, held: dict[str, Any]) -> Any:
        defaults: Mapping[str, Any] = getattr(self.kind, "_field_defaults", {})
        contents = [_take_out(self.kind, held, name, defaults) for name in self.fields]
        return _put_beside(tuple.__new__(self.kind, contents), held)


class StructLayout:
    def __init__(self, kind: Any) -> None:
        self.kind = kind
        self.fields: tuple[str, ...] = kind.__struct_fields__

    def take(self, value: Any) -> Taken:
        beside = getattr(value, "__dict__", None)
        contents = msgspec.structs.astuple(value)
        if not beside:
            return self.fields, contents
        return (*self.fields, *beside), (*contents, *beside.values())

    def build(self, held: dict[str, Any]) -> Any:
        contents = {name: held.pop(name) for name in self.fields if name in held}
        try:
            value = self.kind(**contents)
        except RecursionError:
            raise
        except Exception as error:
            raise UnknownType(
                f"the stored {qualified_name(self.kind)} could not be made again: {error}. Nothing was changed. Give "
                "new fields a default, and let __post_init__ accept what it made before.",
                name=qualified_name(self.kind),
            ) from error
        if hasattr(self.kind, "__post_init__"):
            for name, content in contents.items():
                msgspec.structs.force_setattr(value, name, content)
        return _put_beside(value, held)


class ModelLayout:
    """pydantic models, without validating again: what was valid then is what the job goes on with."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind

    def take(self, value: Any) -> Taken:
        held = dict(vars(value))
        for name in (_EXTRA, _SET, _PRIVATE):
            content = getattr(value, name)
            if content is not None:
                held[name] = content
        names = tuple(name for name in held if not _is_derived(self.kind, name))
        return names, [held[name] for name in names]

    def build(self, held: dict[str, Any]) -> Any:
        value = self.kind.__new__(self.kind)
        extra, fields_set, private = held.pop(_EXTRA, None), held.pop(_SET, set()), held.pop(_PRIVATE, None)
        contents = {}
        for name, field in self.kind.model_fields.items():
            if name in held:
                contents[name] = held.pop(name)
            elif field.is_required():
                raise _no_default(self.kind, name)
            else:
                contents[name] = field.get_default(call_default_factory=True, validated_data=contents)
        for name in held:
            _left_out(self.kind, name)
        object.__setattr__(value, "__dict__", contents)
        object.__setattr__(value, _SET, fields_set)
        object.__setattr__(value, _EXTRA, extra)
        object.__setattr__(value, _PRIVATE, private)
        return value


class EnumLayout:
    """Members by name: a name is what the program writes, a value is free to change. Flags combine, so by value."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind
        self.by = "value" if issubclass(kind, Flag) else "name"

    def take(self, value: Any) -> Taken:
        return (self.by,), (value.value if self.by == "value" else value.name,)

    def build(self, held: dict[str, Any]) -> Any:
        try:
            if self.by in held:
                return self.kind(held["value"]) if self.by == "value" else self.kind[held["name"]]
        except (KeyError, ValueError):
            pass
        raise UnknownType(
            f"the stored member {held} is not in the Enum {qualified_name(self.kind)}. Nothing was changed. Add it to "
            "the class again, or use fresh=True, or another key, to start anew.",
            name=qualified_name(self.kind),
        )


_UNSET = object()
_cache: WeakKeyDictionary[type, Layout | None] = WeakKeyDictionary()


def layout_of(kind: type) -> Layout | None:
    """How objects of exactly this class are taken apart; None if it is none of these."""
    try:
        return _cache[kind]
    except KeyError:
        layout = _cache[kind] = _find(kind)
        return layout


def _find(kind: Any) -> Layout | None:
    if issubclass(kind, Enum):
        return EnumLayout(kind)
    if issubclass(kind, tuple) and isinstance(getattr(kind, "_fields", None), tuple):
        return NamedTupleLayout(kind)
    if issubclass(kind, msgspec.Struct):
        return StructLayout(kind)
    pydantic = sys.modules.get("pydantic")
    if pydantic is not None and issubclass(kind, pydantic.BaseModel):
        return ModelLayout(kind)
    if hasattr(kind, "__dataclass_fields__") and not _holds_more(kind):
        return PlainLayout(kind)
    return None


def _holds_more(kind: type) -> bool:
    """True for a subclass of list, Exception and the like: its content lies where no attribute shows it."""
    return any(type(vars(base).get("__new__")) is BuiltinFunctionType for base in kind.__mro__ if base is not object)


def _slot(value: Any, name: str) -> Any:
    try:
        return getattr(value, name)
    except AttributeError:
        return _UNSET


def _is_derived(kind: type, name: str) -> bool:
    """What a cached_property left on the object (it is computed again), and what `Box[int](...)` notes there."""
    return name == "__orig_class__" or isinstance(getattr(kind, name, None), cached_property)


def _take_out(kind: type, held: dict[str, Any], name: str, defaults: Mapping[str, Any]) -> Any:
    try:
        return held.pop(name)
    except KeyError:
        if name not in defaults:
            raise _no_default(kind, name) from None
        return defaults[name]


def _put_beside(value: Any, held: dict[str, Any]) -> Any:
    if not held:
        return value
    if hasattr(value, "__dict__"):
        vars(value).update(held)
    else:
        for name in held:
            _left_out(type(value), name)
    return value


def _left_out(kind: type, name: str) -> None:
    _log.warning(
        "the stored %s has a field %r that the class no longer has: it is left out", qualified_name(kind), name
    )


def _no_default(kind: type, name: str) -> UnknownType:
    return UnknownType(
        f"the stored {qualified_name(kind)} has no field {name!r}, and the class gives it no default. Nothing was "
        "changed. Give the new field a default, or use fresh=True, or another key, to start anew.",
        name=qualified_name(kind),
    )
