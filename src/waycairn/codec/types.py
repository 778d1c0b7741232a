"""The types that a caller names, so that stored data is decoded into nothing else."""

from __future__ import annotations

import dataclasses
import sys
import typing
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, ForwardRef, Union, get_args, get_origin

import msgspec

from waycairn.codec.layouts import layout_of, qualified_name


class Types:
    """A set of types by their qualified names. Immutable and shared between threads."""

    __slots__ = ("_by_name",)

    def __init__(self, kinds: Mapping[str, type]) -> None:
        self._by_name = dict(kinds)

    @staticmethod
    def of(*annotations: Any) -> Types:
        """All types reachable from the annotations: the classes, what their fields are annotated with, the
        arguments of generics and unions, members of Literal, TypedDict, NewType, TypeAlias, Annotated.

        Names that cannot be resolved (imported for type checkers only) reach nothing: saving such a value tells so.
        Results are cached.
        """
        try:
            return _of(annotations)
        except TypeError:  # an unhashable annotation, Annotated[int, [1]]
            return _collect(annotations)

    def get(self, name: str) -> type | None:
        return self._by_name.get(name)

    def __contains__(self, kind: type) -> bool:
        return self._by_name.get(qualified_name(kind)) is kind

    def __iter__(self) -> Iterator[type]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    def __repr__(self) -> str:
        return f"Types({', '.join(sorted(self._by_name))})"


def _collect(annotations: tuple[Any, ...]) -> Types:
    found: dict[str, type] = {}
    seen: list[Any] = []
    waiting = list(annotations)
    while waiting:
        annotation = waiting.pop()
        if any(annotation is known for known in seen):
            continue
        seen.append(annotation)
        if isinstance(annotation, type) and get_origin(annotation) is None:
            if layout_of(annotation) is not None:
                found[qualified_name(annotation)] = annotation
            waiting += _field_annotations(annotation)
        else:
            waiting += _parts(annotation)
    return Types(found)


_of: Callable[[tuple[Any, ...]], Types] = lru_cache(maxsize=1024)(_collect)


def _parts(annotation: Any) -> list[Any]:
    """What an annotation that is not a class is made of."""
    if isinstance(annotation, list | tuple):  # the arguments of a Callable; a tuple of types
        return list(annotation)
    if isinstance(annotation, typing.TypeVar):
        return [annotation.__bound__, *annotation.__constraints__]
    supertype = getattr(annotation, "__supertype__", None)  # NewType
    if supertype is not None:
        return [supertype]
    if hasattr(annotation, "__value__"):  # type X = ...
        return [annotation.__value__]
    origin = get_origin(annotation)
    if origin is typing.Literal:
        return [type(choice) for choice in get_args(annotation)]
    return [origin, *get_args(annotation)] if origin not in (None, Union) else list(get_args(annotation))


def _field_annotations(kind: type) -> list[Any]:
    """What the fields of a class are annotated with, of those that have any."""
    if not (layout_of(kind) is not None or typing.is_typeddict(kind) or dataclasses.is_dataclass(kind)):
        return []
    if issubclass(kind, msgspec.Struct) or not hasattr(kind, "model_fields"):
        return _hints(kind)
    return [field.annotation for field in kind.model_fields.values()] + _hints(kind)


def _hints(kind: type) -> list[Any]:
    try:
        return list(typing.get_type_hints(kind).values())
    except (NameError, TypeError, AttributeError):
        return [hint for base in reversed(kind.__mro__) for hint in _one_by_one(base)]


def _one_by_one(base: type) -> Iterator[Any]:
    """The annotations of one class that can be resolved; one that cannot must not hide the others."""
    scope = vars(sys.modules.get(base.__module__, typing))
    for hint in vars(base).get("__annotations__", {}).values():
        try:
            yield _resolve(hint, scope, {base.__name__: base})
        except (NameError, TypeError, AttributeError, SyntaxError):
            continue


def _resolve(hint: Any, scope: Mapping[str, Any], local: Mapping[str, Any]) -> Any:
    def holder() -> None: ...

    holder.__annotations__ = {"hint": ForwardRef(hint) if isinstance(hint, str) else hint}
    return typing.get_type_hints(holder, globalns=dict(scope), localns=dict(local))["hint"]
