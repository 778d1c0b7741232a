"""What lies in a pack of an encrypted store: segments of at most 1 MiB, each with a tag of its own.

    The bytes of a block (or of the footer) are cut every 1,048,560 bytes; each piece is encrypted with AES-256-GCM and
    followed by the 16 bytes of its tag, so that all but the last take exactly 1 MiB. The nonce is the place of the segment
    in the pack (8 bytes, little-endian, then 4 zeros), the key BLAKE3's derive_key of the data key and the id of the
    pack. What is bound to it (the additional data): the id of the store with its length (2 bytes, little-endian), the 16
    bytes of the id of the pack, and
        of a block   "block", codec, raw length, stored length, number of its base plus 1 (0: it has none); the codec is
                     one byte, the others 8 bytes each, little-endian
        of the footer  "footer" and the 64 bytes of the header

Of that size because a segment is encrypted while it is copied to the memory that is written from, and decrypted while it is
copied from the memory that was read to, and both stay in the cache of a core.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from waycairn.model.vault import TAG_SIZE, PackKey
from waycairn.ports import Buffer

SEGMENT = 1024 * 1024 - TAG_SIZE
"""Bytes before they are encrypted."""
_BLOCK = struct.Struct("<5sBQQQ")


def sealed_length(length: int) -> int:
    """Of so many bytes, with the tags."""
    return length + max(1, -(-length // SEGMENT)) * TAG_SIZE


def opened_length(length: int) -> int:
    """The other way round; below 0 for what is no length of a sealed block."""
    return length - max(1, -(-length // (SEGMENT + TAG_SIZE))) * TAG_SIZE


def context_of_block(codec: int, raw_length: int, stored_length: int, base: int | None) -> bytes:
    """What a block is bound to beside its place: what the index says of it."""
    return _BLOCK.pack(b"block", codec, raw_length, stored_length, 0 if base is None else base + 1)


def context_of_footer(header: bytes) -> bytes:
    return b"footer" + header


class SealedPart:
    """A segment to be. Implements `ports.Filling`: encrypted where it is written."""

    __slots__ = ("_context", "_key", "_length", "_parts", "_place")

    def __init__(self, key: PackKey, parts: Sequence[Buffer], place: int, context: bytes) -> None:
        self._key = key
        self._parts = parts
        self._place = place
        self._context = context
        self._length = sum(map(len, parts)) + TAG_SIZE

    def __len__(self) -> int:
        return self._length

    def fill(self, target: memoryview) -> None:
        plain = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._key.seal_into(plain, self._place, self._context, target)


def sealed_parts(key: PackKey, parts: Sequence[Buffer], place: int, context: bytes) -> Iterator[SealedPart]:
    """The segments of what the parts make up, which begins at that place in the pack."""
    for piece in _pieces(parts):
        sealed = SealedPart(key, piece, place, context)
        yield sealed
        place += len(sealed)


def unseal_segments(key: PackKey, stored: memoryview, place: int, context: bytes, target: memoryview) -> None:
    """`target` has the length that `opened_length` tells. Raises Damaged."""
    step = SEGMENT + TAG_SIZE
    for at, start in enumerate(range(0, len(stored), step)):
        segment = stored[start : start + step]
        key.unseal_into(segment, place + start, context, target[at * SEGMENT : at * SEGMENT + len(segment) - TAG_SIZE])


def _pieces(parts: Sequence[Buffer]) -> Iterator[list[Buffer]]:
    """Cut every SEGMENT bytes; the last piece may be shorter, and is there also if all is empty."""
    piece: list[Buffer] = []
    room = SEGMENT
    for part in parts:
        view = memoryview(part)
        while len(view) > room:
            yield [*piece, view[:room]]
            view, piece, room = view[room:], [], SEGMENT
        if len(view):
            piece.append(view)
            room -= len(view)
    yield piece or [b""]
