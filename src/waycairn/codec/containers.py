"""Containers that msgpack does not keep: an array whose first element is a mark."""

from __future__ import annotations

import random
import struct
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Any, TypeVar

import msgspec

from waycairn.codec import codes
from waycairn.codec.contract import Node, Pack, Packing, Unpack, Unpacking
from waycairn.codec.marks import Mark, mark
from waycairn.codec.plain import LEAVES
from waycairn.codec.problems import Unstorable, key_part

_TUPLE = mark(codes.TUPLE)
_MAP, _ORDERED, _COUNTER, _DEFAULT = (
    mark(codes.MAP),
    mark(codes.ORDERED_DICT),
    mark(codes.COUNTER),
    mark(codes.DEFAULT_DICT),
)
_DEQUE, _BYTEARRAY, _RANGE, _SLICE = mark(codes.DEQUE), mark(codes.BYTEARRAY), mark(codes.RANGE), mark(codes.SLICE)
_RANDOM = mark(codes.RANDOM)

_T = TypeVar("_T")

# A default factory is code; only these are restored, by name.
_BUILT_IN = (bool, bytearray, bytes, complex, dict, float, frozenset, int, list, set, str, tuple)
_FACTORIES: dict[str, Any] = {kind.__name__: kind for kind in (*_BUILT_IN, Counter, OrderedDict, deque)}
_FACTORY_NAMES = {kind: name for name, kind in _FACTORIES.items()}

_ENCODER = msgspec.msgpack.Encoder()
_MERSENNE = struct.Struct("<625I")


def pairs(walk: Packing, holder: Mapping[Any, Any], head: Sequence[Node]) -> list[Node]:
    """[*head, key, value, key, value ...]"""
    nodes = list(head)
    for key, value in holder.items():
        try:
            nodes.append(walk.node(key))
            nodes.append(walk.node(value))
        except Unstorable as problem:
            problem.within(holder, key_part(key))
            raise
    return nodes


def _attributes(walk: Packing, holder: Any) -> Node:
    """What was set on the object itself; a module's state_dict() keeps its versions there, as _metadata."""
    attributes = vars(holder) if hasattr(holder, "__dict__") else {}
    try:
        return walk.node(dict(attributes)) if attributes else None
    except Unstorable as problem:
        problem.within(holder, ".__dict__")
        raise


def pack_map(walk: Packing, value: Mapping[Any, Any]) -> Node:
    """A dict with keys that msgpack cannot hold."""
    return pairs(walk, value, [walk.marked(_MAP, value, ())[0]])


def _pack_tuple(walk: Packing, value: tuple[Any, ...]) -> Node:
    return walk.marked(_TUPLE, value, value)


def _pack_set(code: Any, walk: Packing, value: AbstractSet[Any]) -> Node:
    try:
        nodes = list(map(walk.node, value))
    except Unstorable as problem:
        problem.within(value, ".<element>")
        raise
    return walk.marked(code, value, (), _in_order(nodes))


def _in_order(nodes: list[Node]) -> list[Node]:
    """The elements of a set, ordered by their bytes: iteration order differs from process to process, and equal sets
    have to give equal chunks and equal digests."""
    try:
        return sorted(nodes, key=_ENCODER.encode)
    except (OverflowError, UnicodeEncodeError):
        return nodes  # the walk is about to be repeated with care, see tree


def _pack_ordered(walk: Packing, value: OrderedDict[Any, Any]) -> Node:
    return pairs(walk, value, walk.marked(_ORDERED, value, (), [_attributes(walk, value)]))


def _pack_counter(walk: Packing, value: Counter[Any]) -> Node:
    return pairs(walk, value, walk.marked(_COUNTER, value, (), [_attributes(walk, value)]))


def _pack_default(walk: Packing, value: defaultdict[Any, Any]) -> Node:
    factory = value.default_factory
    if factory is not None and factory not in _FACTORY_NAMES:
        raise Unstorable(
            f"is a defaultdict whose factory is {factory!r}, which is code and cannot be stored. Use a built-in type "
            "as factory (int, list, dict, set ...), or a plain dict with setdefault()."
        )
    name = None if factory is None else _FACTORY_NAMES[factory]
    return pairs(walk, value, walk.marked(_DEFAULT, value, (), [name]))


def _pack_deque(walk: Packing, value: deque[Any]) -> Node:
    return walk.marked(_DEQUE, value, value, [value.maxlen])


def _pack_bytearray(walk: Packing, value: bytearray) -> Node:
    return walk.marked(_BYTEARRAY, value, (), [value])


def _pack_range(walk: Packing, value: range) -> Node:
    return walk.marked(_RANGE, value, (value.start, value.stop, value.step))


def _pack_slice(walk: Packing, value: slice) -> Node:
    return walk.marked(_SLICE, value, (value.start, value.stop, value.step))


def _pack_random(walk: Packing, value: random.Random) -> Node:
    version, words, gauss = value.getstate()
    return walk.marked(_RANDOM, value, (), [version, _MERSENNE.pack(*words), gauss])


PACK: dict[type, Pack] = {
    tuple: _pack_tuple,
    set: partial(_pack_set, mark(codes.SET)),
    frozenset: partial(_pack_set, mark(codes.FROZENSET)),
    OrderedDict: _pack_ordered,
    Counter: _pack_counter,
    defaultdict: _pack_default,
    deque: _pack_deque,
    bytearray: _pack_bytearray,
    range: _pack_range,
    slice: _pack_slice,
    random.Random: _pack_random,
}
"""Exact type to what makes its node."""


def unpack_pairs(walk: Unpacking, raw: list[Any]) -> dict[Any, Any]:
    items = walk.values(raw)
    if len(items) % 2:
        raise ValueError("a key without a value")
    return dict(zip(items[::2], items[1::2], strict=True))


def _unpack_random(_: Unpacking, __: Mark, raw: list[Any]) -> random.Random:
    version, words, gauss = _only(raw, 3)
    if gauss is not None and type(gauss) is not float:
        raise ValueError("not a state of random.Random")
    generator = random.Random(0)  # noqa: S311 - the user's own generator
    generator.setstate((version, _MERSENNE.unpack(words), gauss))
    return generator


def _unpack_ordered(walk: Unpacking, _: Mark, raw: list[Any]) -> OrderedDict[Any, Any]:
    return _put_attributes(OrderedDict(unpack_pairs(walk, raw[2:])), walk.value(raw[1]))


def _unpack_counter(walk: Unpacking, _: Mark, raw: list[Any]) -> Counter[Any]:
    return _put_attributes(Counter(unpack_pairs(walk, raw[2:])), walk.value(raw[1]))


def _put_attributes(holder: _T, attributes: Any) -> _T:
    if attributes is not None:
        vars(holder).update(attributes)
    return holder


def _unpack_default(walk: Unpacking, _: Mark, raw: list[Any]) -> defaultdict[Any, Any]:
    factory = None if raw[1] is None else _FACTORIES[raw[1]]
    return defaultdict(factory, unpack_pairs(walk, raw[2:]))


def _only(raw: list[Any], count: int) -> list[Any]:
    if len(raw) != count + 1:
        raise ValueError("not as many fields as it should have")
    return raw[1:]


UNPACK: dict[int, Unpack] = {
    codes.TUPLE: lambda walk, _, raw: tuple(walk.values(raw[1:])),
    codes.SET: lambda walk, _, raw: set(walk.values(raw[1:])),
    codes.FROZENSET: lambda walk, _, raw: frozenset(walk.values(raw[1:])),
    codes.MAP: lambda walk, _, raw: unpack_pairs(walk, raw[1:]),
    codes.ORDERED_DICT: _unpack_ordered,
    codes.COUNTER: _unpack_counter,
    codes.DEFAULT_DICT: _unpack_default,
    codes.DEQUE: lambda walk, _, raw: deque(walk.values(raw[2:]), raw[1]),
    codes.BYTEARRAY: lambda _, __, raw: bytearray(memoryview(_only(raw, 1)[0])),
    codes.RANGE: lambda walk, _, raw: range(*walk.values(_only(raw, 3))),
    codes.SLICE: lambda walk, _, raw: slice(*walk.values(_only(raw, 3))),
    codes.RANDOM: _unpack_random,
}
"""Code of a mark to what builds the value. They raise the usual errors on damaged data."""

assert LEAVES.isdisjoint(PACK)
