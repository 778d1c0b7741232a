"""Where the structure of a document begins and ends an element that is worth a chunk of its own.

Found in the encoded bytes: msgspec skips over elements in C (`Raw`), so nothing is encoded or walked again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Raw

SMALL_DOCUMENT = 4096
ELEMENT = 512
"""Bytes from which an element gets cuts."""
INSIDE = 16384
"""Bytes from which an element is cut inside too."""
_SPARSE = 128
"""Average bytes of an element below which a container is not looked into: 100,000 numbers hold no chunk."""

_ARRAY = msgspec.msgpack.Decoder(list[Raw])
_DICT = msgspec.msgpack.Decoder(dict[Any, Raw])
_encode = msgspec.msgpack.Encoder().encode


def find_cuts(document: bytes, start: int) -> list[int]:
    """Ascending offsets, for the msgpack value that begins at `start`; none for a small document."""
    if len(document) < SMALL_DOCUMENT:
        return []
    view = memoryview(document)[start:]
    end = len(document)
    cuts = dict.fromkeys(_inside(view, start))
    return [cut for cut in cuts if start < cut < end]


def _inside(view: memoryview, start: int) -> Iterator[int]:
    """Cuts within one value; `start` is its offset in the document."""
    for at, element, length in _elements(view):
        if length < ELEMENT:
            continue
        yield start + at
        if len(element) >= INSIDE:
            end = at + length
            yield from _inside(element, start + end - len(element))
        yield start + at + length


def _elements(view: memoryview) -> Iterator[tuple[int, memoryview, int]]:
    """Offset, value, and length together with the key, of each element of a container; nothing for other values."""
    count, header, is_dict = _container(view)
    if not count or len(view) < count * _SPARSE:
        return
    at = header
    if is_dict:
        for key, raw in _DICT.decode(view).items():
            element = memoryview(raw)
            length = _key_length(key) + len(element)
            yield at, element, length
            at += length
    else:
        for raw in _ARRAY.decode(view):
            element = memoryview(raw)
            yield at, element, len(element)
            at += len(element)


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
