"""Large bytes of a document, found before it is read: they are then read to where they stay, not copied out of it.

A document of which they were left out has an extension value in the place of each (five bytes, as the head of the bytes
had): its code is APART, its two bytes say which. It exists in memory only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from waycairn.codec.cuts import body_of

FROM = 4 * 1024 * 1024
"""Bytes; what is smaller is faster copied than looked for: each look at what lies behind a value reads a block."""
_LOOKS = 2048
"""A document of many small values is not looked through."""
_MOST = 65535
APART = 127
_HEAD = 6
_LONG = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xC7: 1, 0xC8: 2, 0xC9: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
"""msgpack: the first byte of binary, extension and text whose length stands in so many bytes behind it."""
_FIXED = {0xCA: 5, 0xCB: 9, 0xCC: 2, 0xCD: 3, 0xCE: 5, 0xCF: 9, 0xD0: 2, 0xD1: 3, 0xD2: 5, 0xD3: 9} | {
    0xD4: 3, 0xD5: 4, 0xD6: 6, 0xD7: 10, 0xD8: 18, 0xDC: 3, 0xDD: 5, 0xDE: 3, 0xDF: 5,
}  # fmt: skip
"""Numbers, small extensions, and the heads of long arrays and maps: their bytes in all."""


Span = tuple[int, int]
"""Where it begins, and its bytes."""


class Readable(Protocol):
    """A document before it is read."""

    def __len__(self) -> int: ...

    def peek(self, start: int, size: int) -> bytes: ...

    def read(self, apart: Sequence[Span] = ()) -> tuple[memoryview, list[bytes]]:
        """All of it but these, and each of these."""
        ...


def read_apart(document: Readable) -> tuple[memoryview, list[bytes]]:
    """A document, and the large bytes that were left out of it: what `load` takes."""
    spans = large_bytes(document)
    rest, values = document.read(spans)
    _put_heads(rest, spans)
    return rest, values


def large_bytes(document: Readable) -> list[Span]:
    """Where the first of them begin, and how long they are; nothing for what is no document."""
    found: list[Span] = []
    length = len(document)
    if length <= FROM:
        return found
    at = body_of(document.peek(0, _HEAD))
    for _ in range(_LOOKS):
        if at + FROM > length or len(found) == _MOST:
            break
        head = document.peek(at, _HEAD)
        begins, size = _next(head)
        if head[0] == 0xC6 and size >= FROM and at + begins + size <= length:
            found.append((at + begins, size))
        at += begins + size
    return found


def _next(head: bytes) -> tuple[int, int]:
    """Bytes of the head of the next value, and of what follows it; of an array or a map only the head."""
    first = head[0]
    if first in _LONG:
        width = _LONG[first]
        kind = 1 if 0xC7 <= first <= 0xC9 else 0
        return 1 + width + kind, int.from_bytes(head[1 : 1 + width], "big")
    if 0xA0 <= first <= 0xBF:
        return 1, first & 0x1F
    return _FIXED.get(first, 1), 0


def _put_heads(document: memoryview, spans: list[Span]) -> None:
    """In place of the heads of what was left out of it."""
    left_out = 0
    for number, (start, size) in enumerate(spans):
        head = start - left_out - 5
        document[head : head + 5] = bytes((0xC7, 2, APART)) + number.to_bytes(2, "little")
        left_out += size


def hook(values: Sequence[bytes], others: Callable[[int, memoryview], object]) -> Callable[[int, memoryview], object]:
    """What a decoder makes of extension values."""

    def made(code: int, data: memoryview) -> object:
        return values[int.from_bytes(data, "little")] if code == APART else others(code, data)

    return made
