"""Where the structure of a document begins and ends an element that is worth a chunk of its own.

Found in the encoded bytes: msgspec skips over elements in C (`Raw`), so nothing is encoded or walked again.
"""

from __future__ import annotations

from typing import Any
from zlib import crc32

import msgspec
from msgspec import Raw

from waycairn.codec import codes

SMALL_DOCUMENT = 4096
ELEMENT = 512
"""Bytes from which an element gets cuts of its own. Smaller ones are grouped: which of them ends a group is told by
its content alone, so that an insertion moves no later cut; on average so many bytes lie between two ends."""
INSIDE = 16384
"""Bytes from which an element is cut inside too."""
_LEVELS = 32
"""Levels that are cut inside: each one skips over all that lies below it once more."""
_SPARSE, _FEW = 128, 10_000
"""Average bytes of an element below which a container is not looked into, unless it has few: to look at an element
costs 0.3 µs, and 100,000 numbers hold no chunk."""
_TINY = 24
"""The same, however few there are."""

_ARRAY = msgspec.msgpack.Decoder(list[Raw])
_DICT = msgspec.msgpack.Decoder(dict[Any, Raw])
_encode = msgspec.msgpack.Encoder().encode


def body_of(head: bytes) -> int:
    """Where the body of a document begins, told by its first six bytes."""
    return 2 + 4 + int.from_bytes(head[2:6], "little") if len(head) == 6 and head[1] & codes.SHAPED else 2


def find_cuts(document: bytes, start: int) -> list[int]:
    """Ascending offsets, for the msgpack value that begins at `start`; none for a small document."""
    if len(document) < SMALL_DOCUMENT:
        return []
    found: list[int] = []
    try:
        _add_cuts(memoryview(document)[start:], start, found, _LEVELS)
    except RecursionError:
        return []  # cuts only save space
    end = len(document)
    return [cut for cut in dict.fromkeys(found) if start < cut < end]


def cuts_of(document: bytes) -> list[int]:
    """Of a document that was read back: as when it was encoded. None for a bundle, which has none either."""
    if document[:1] != bytes((codes.VERSION,)):
        return []
    try:
        return find_cuts(document, body_of(document[:6]))
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return []  # what is no document of ours is stored all the same


def _add_cuts(view: memoryview, at: int, found: list[int], levels: int) -> None:
    """Cuts within one value, which begins at offset `at` of the document."""
    count, header, is_dict = _container(view)
    if not count or len(view) < count * (_SPARSE if count > _FEW else _TINY):
        return
    at += header
    found.append(at)
    keys, elements = _elements(view, is_dict=is_dict)
    for key, element in zip(keys, elements, strict=True):
        start, length = at, len(element)
        at += key + length
        if key + length >= ELEMENT:
            found.append(start)
            if length >= INSIDE and levels:
                _add_cuts(element, at - length, found, levels - 1)
            found.append(at)
        elif crc32(element) % ELEMENT < key + length:
            found.append(at)


def _elements(view: memoryview, *, is_dict: bool) -> tuple[list[int], list[memoryview]]:
    """Length of the key (0 in a list) and bytes of each element."""
    if not is_dict:
        raws: list[Any] = _ARRAY.decode(view)  # any: a Raw is a buffer, which its type does not say
        return [0] * len(raws), [memoryview(raw) for raw in raws]
    contents: dict[Any, Any] = _DICT.decode(view)
    return [_key_length(key) for key in contents], [memoryview(raw) for raw in contents.values()]


def _key_length(key: Any) -> int:
    if type(key) is str and len(key) < 32 and key.isascii():
        return len(key) + 1
    return len(_encode(key))


def _container(view: memoryview) -> tuple[int, int, bool]:
    """Number of elements, bytes of the header, whether it is a map; (0, 0, False) for anything else."""
    first = view[0]
    if first >> 4 == 0x8:
        return first & 15, 1, True
    if first >> 4 == 0x9:
        return first & 15, 1, False
    if first in (0xDC, 0xDE):
        return int.from_bytes(view[1:3], "big"), 3, first == 0xDE
    if first in (0xDD, 0xDF):
        return int.from_bytes(view[1:5], "big"), 5, first == 0xDF
    return 0, 0, False
