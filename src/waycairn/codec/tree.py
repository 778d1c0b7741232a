"""The encoding walk: a state to nodes that msgpack can write, touching in Python only what is special."""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, cast

import msgspec
from msgspec.msgpack import Ext

from waycairn.codec import codes, containers, regions, scalars
from waycairn.codec.contract import Node, Pack, Region
from waycairn.codec.cuts import find_cuts
from waycairn.codec.layouts import qualified_name
from waycairn.codec.plain import LEAVES, is_plain
from waycairn.codec.problems import TooDeep, Unstorable, key_part
from waycairn.codec.records import find_pack, shape_digest
from waycairn.codec.types import Types
from waycairn.model.encoded import Encoded

_ENCODER = msgspec.msgpack.Encoder()
_LARGE = 1 << 20
_LENGTH = struct.Struct("<I")
_HEADERS = [bytes((codes.VERSION, flags)) for flags in range(4)]

# What the encoder says about integers beyond 64 bits and lone surrogates. Only then, and when the tree proves too
# deep, is every value looked at.
_NEEDS_CARE = (OverflowError, UnicodeEncodeError)


def encode(state: Any, *, types: Types | None = None) -> Encoded:
    """A state as bytes; see the package docstring.

    `types=None`: any dataclass, Struct, pydantic model, NamedTuple or Enum is stored under its name. With `types`,
    one that neither `types` nor the registry could restore is refused. Raises TypeError that names the path of what
    cannot be stored, ValueError for a state that contains itself or is nested too deeply. The buffers show the memory
    of the state's own arrays: it must not change until they were written. Runs on the caller's thread.
    """
    try:
        try:
            return _encode_plain(state) if is_plain(state) else _encode(state, types, careful=False)
        except (*_NEEDS_CARE, RecursionError):
            return _encode(state, types, careful=True)
    except RecursionError:
        raise ValueError(
            "the state is nested too deeply for what is left of Python's recursion limit here. Nothing was stored. "
            "Save from a shallower call, or keep chains and trees as lists of nodes with indices."
        ) from None


def _encode_plain(state: Any) -> Encoded:
    document = _written_behind(_HEADERS[0], state)
    return Encoded(document, (), partial(find_cuts, document, 2))


def _encode(state: Any, types: Types | None, *, careful: bool) -> Encoded:
    walk = Walk(types, careful=careful)
    try:
        node = walk.node(state)
    except Unstorable as problem:
        raise problem.refusal() from None
    buffers, widths = regions.place(walk.regions)
    head = walk.head()
    document = _written_behind(head, node)
    return Encoded(document, buffers, partial(find_cuts, document, len(head)), widths)


def _written_behind(head: bytes, node: Node) -> bytes:
    """Head and node, one behind the other. A large document is not copied for that: it stays a bytearray, which nobody
    changes."""
    document = bytearray(head)
    try:
        _ENCODER.encode_into(node, document, len(head))
        return bytes(document) if len(document) < _LARGE else cast("bytes", document)
    except msgspec.EncodeError as error:
        raise TypeError(
            f"the state holds a single text or bytes of 4 GiB or more ({error}). Nothing was stored. Keep it as a "
            "numpy array, or split it."
        ) from None


class Walk:
    """One encoding. `careful`: look at every integer and string, not only at their types."""

    def __init__(self, types: Types | None, *, careful: bool) -> None:
        self.types = types
        self.careful = careful
        self.leaves = LEAVES - {int, str} if careful else LEAVES
        self.depth = 0
        self.is_marked = False
        self.shapes: dict[bytes, tuple[str, tuple[str, ...]]] = {}
        self.regions: list[Region] = []
        self.packs: dict[type, Pack] = _PACK.copy()

    def head(self) -> bytes:
        """Version, flags, and the table of shapes if there are any."""
        flags = (codes.MARKED if self.is_marked else 0) | (codes.SHAPED if self.shapes else 0)
        if not self.shapes:
            return _HEADERS[flags]
        table = _ENCODER.encode([[digest, *self.shapes[digest]] for digest in sorted(self.shapes)])
        return _HEADERS[flags] + _LENGTH.pack(len(table)) + table

    def node(self, value: Any) -> Node:
        kind = type(value)
        if kind in self.leaves:
            return value
        pack = self.packs.get(kind) or self._find(kind, value)
        self.depth += 1
        if self.depth > codes.MAX_DEPTH:
            raise TooDeep
        node = pack(self, value)
        self.depth -= 1
        return node

    def are_leaves(self, values: Iterable[Any]) -> bool:
        return self.leaves.issuperset(map(type, values))

    def looks_plain(self, value: Any) -> bool:
        return self.depth <= codes.LOOK_DEPTH and not self.careful and is_plain(value)

    def marked(
        self,
        code: Ext,
        holder: Any,
        values: Iterable[Any],
        head: Sequence[Node] = (),
        fields: Sequence[str] | None = None,
    ) -> list[Node]:
        self.is_marked = True
        nodes = [code, *head]
        if self.are_leaves(values):
            nodes += values
            return nodes
        first = len(nodes)
        try:
            nodes += map(self.node, values)
        except Unstorable as problem:
            at = len(nodes) - first
            problem.within(holder, f"[{at}]" if fields is None else f".{fields[at]}")
            raise
        return nodes

    def shape(self, code: int, name: str, fields: tuple[str, ...]) -> Ext:
        self.is_marked = True
        digest = shape_digest(name, fields)
        self.shapes[digest] = (name, fields)
        return Ext(code, digest)

    def memory(self, region: Region) -> None:
        self.regions.append(region)

    def _find(self, kind: type, value: Any) -> Pack:
        pack = find_pack(kind, self.types) or _find_numeric(kind)
        if pack is None:
            raise Unstorable(_why_not(kind, value))
        self.packs[kind] = pack
        return pack


def _pack_scalar(walk: Walk, value: Any) -> Node:
    del walk
    return scalars.PACK[type(value)](value)


def _pack_list(walk: Walk, value: list[Any]) -> Node:
    if walk.are_leaves(value) or walk.looks_plain(value):
        return value
    nodes: list[Node] = []
    try:
        nodes += map(walk.node, value)
    except Unstorable as problem:
        problem.within(value, f"[{len(nodes)}]")
        raise
    return nodes


def _pack_dict(walk: Walk, value: dict[Any, Any]) -> Node:
    if walk.looks_plain(value):
        return value
    if not walk.are_leaves(value) and not _are_plain_keys(walk, value):
        return containers.pack_map(walk, value)
    if walk.are_leaves(value.values()):
        return value
    nodes: dict[Any, Node] = {}
    key: Any = None
    try:
        for key, element in value.items():
            nodes[key] = walk.node(element)
    except Unstorable as problem:
        problem.within(value, key_part(key))
        raise
    return nodes


def _are_plain_keys(walk: Walk, value: dict[Any, Any]) -> bool:
    """A careful walk looks at integers and strings one by one."""
    return LEAVES.issuperset(map(type, value)) and all(walk.node(key) is key for key in value)


def _find_numeric(kind: type) -> Pack | None:
    """Arrays and tensors. An object can only be one if its library was imported, and only then is ours."""
    if "numpy" in sys.modules:
        from waycairn.codec import arrays

        pack = arrays.find_pack(kind)
        if pack is not None:
            return pack
    if "torch" in sys.modules:
        from waycairn.codec import tensors

        return tensors.find_pack(kind)
    return None


_BUILT_IN = (dict, list, tuple, set, frozenset, str, bytes, bytearray, int, float, complex)


def _why_not(kind: type, value: Any) -> str:
    name = qualified_name(kind)
    if isinstance(value, type):
        return f"is the class {qualified_name(value)}: classes are code and are not stored. Keep its name instead."
    base = next((base for base in _BUILT_IN if issubclass(kind, base)), None)
    if base is not None:
        return (
            f"is a {name}, a subclass of {base.__name__} that would come back as a plain {base.__name__}. Convert it "
            f"with {base.__name__}(...), or call waycairn.register({kind.__name__}, encode=..., decode=...)."
        )
    if callable(getattr(value, "state_dict", None)):
        return f"is a {name}. Keep its state_dict() in the state, or hand it to run.track()."
    return (
        f"is a {name}, which cannot be stored. Call waycairn.register({kind.__name__}, encode=..., decode=...), or "
        "convert it to plain data."
    )


_PACK: dict[type, Any] = {
    **dict.fromkeys(scalars.PACK, _pack_scalar),
    **containers.PACK,
    list: _pack_list,
    dict: _pack_dict,
}
