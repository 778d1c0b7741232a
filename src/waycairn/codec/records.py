"""Objects with named fields, and objects of registered types: [mark with a shape, value, value ...]."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from hashlib import blake2b
from typing import Any

import msgspec

from waycairn.codec import codes, registry
from waycairn.codec.contract import Node, Pack, Packing, Unpack, Unpacking
from waycairn.codec.layouts import Layout, layout_of, qualified_name
from waycairn.codec.marks import Mark
from waycairn.codec.problems import Unstorable
from waycairn.codec.types import Types
from waycairn.errors import UnknownType, WaycairnError

Shape = tuple[str, tuple[str, ...]]
"""Type name and field names."""


@dataclass(frozen=True, slots=True)
class Record:
    """An object whose type was neither passed nor registered, readable all the same (decode with strict=False)."""

    type_name: str
    fields: dict[str, Any]

    def __hash__(self) -> int:
        """By the names alone, since fields hold anything: a Record may stand in a set or as a key."""
        return hash((self.type_name, tuple(self.fields)))


@lru_cache(maxsize=4096)
def shape_digest(name: str, fields: tuple[str, ...]) -> bytes:
    """8 bytes that name a shape. By content, not by position: a chunk in the middle of a document stays the same
    when another type turns up before it."""
    return blake2b(msgspec.msgpack.encode((name, fields)), digest_size=8).digest()


def find_pack(kind: type, types: Types | None) -> Pack | None:
    """How to encode objects of this class in one walk, None if it has neither fields nor a registration.

    With `types`, one that could not be restored raises Unstorable.
    """
    registration = registry.by_kind(kind)
    if registration is not None and registration.encode is not None:
        return partial(_pack_custom, registration.name, registration.encode)
    layout = layout_of(kind)
    if layout is None:
        return None
    if registration is not None:
        return _RecordPack(registration.name, layout)
    if types is not None and kind not in types:
        raise Unstorable(
            f"is a {qualified_name(kind)}, which could be stored but not restored: it is not among the types that the "
            "state, the return annotation or returns= names. Annotate the field with it, pass it, or call "
            f"waycairn.register({kind.__name__})."
        )
    return _RecordPack(qualified_name(kind), layout)


class _RecordPack:
    """Encodes the objects of one class in one walk: their marks are made once for each set of fields."""

    __slots__ = ("_fields", "_layout", "_mark", "_name")

    def __init__(self, name: str, layout: Layout) -> None:
        self._name = name
        self._layout = layout
        self._fields: tuple[str, ...] | None = None
        self._mark: Any = None

    def __call__(self, walk: Packing, value: Any) -> Node:
        fields, contents = self._layout.take(value)
        if fields is not self._fields:
            self._mark, self._fields = walk.shape(codes.RECORD, self._name, fields), fields
        if walk.are_leaves(contents):
            return [self._mark, *contents]
        return walk.marked(self._mark, value, contents, fields=fields)


def _pack_custom(name: str, encode: Callable[[Any], Any], walk: Packing, value: Any) -> Node:
    code = walk.shape(codes.CUSTOM, name, ())
    return walk.marked(code, value, (encode(value),), fields=("encode()",))


def _unpack_record(walk: Unpacking, mark: Mark, raw: list[Any]) -> Any:
    build = walk.kept.get(mark.data)
    if build is None:
        build = walk.kept[mark.data] = _builder(walk, mark)
    return build(walk.values(raw[1:]))


def _builder(walk: Unpacking, mark: Mark) -> Callable[[list[Any]], Any]:
    """What makes objects of one shape, found once in a decoding."""
    name, fields = walk.shape_of(mark)
    kind = walk.find_type(name)
    layout = layout_of(kind) if kind is not None else None
    if layout is not None:
        return lambda contents: layout.build(dict(zip(fields, contents, strict=True)))
    if walk.strict:
        raise unknown(name)
    return lambda contents: Record(name, dict(zip(fields, contents, strict=True)))


def _unpack_custom(walk: Unpacking, mark: Mark, raw: list[Any]) -> Any:
    name, _ = walk.shape_of(mark)
    (stored,) = walk.values(raw[1:])
    registration = registry.by_name(name)
    if registration is None or registration.decode is None:
        if walk.strict:
            raise unknown(name)
        return Record(name, {"value": stored})
    try:
        return registration.decode(stored)
    except (WaycairnError, RecursionError):
        raise
    except Exception as error:
        # The bytes were verified before: this is not damage, and an older checkpoint would not help.
        raise UnknownType(
            f"the registered decode of {name!r} refused the stored value: {type(error).__name__}: {error}. Nothing "
            "was changed. Let it accept what its encode made before.",
            name=name,
        ) from error


def unknown(name: str) -> UnknownType:
    kind = name.rpartition(":")[2].rpartition(".")[2]
    return UnknownType(
        f"the stored data holds a {name!r}, which was neither passed nor registered; nothing was imported from it and "
        f"nothing was changed. Pass the type (a state or an annotation that names {kind}), or call "
        f"waycairn.register({kind}) before loading.",
        name=name,
    )


UNPACK: dict[int, Unpack] = {codes.RECORD: _unpack_record, codes.CUSTOM: _unpack_custom}
