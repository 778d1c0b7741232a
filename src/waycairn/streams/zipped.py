"""The content of a gzip file, forwards only: to go on from a place, what lies before it is decompressed again.

A file that ends within a member is still being written, or was cut off: that nobody can tell but by waiting. A file
that is damaged gives what can be had before the damage, the same bytes however it was read.
"""

from __future__ import annotations

import zlib
from contextlib import suppress

from waycairn.streams.blocks import BLOCK, PlainBlocks
from waycairn.streams.marks import REACH

MAGIC = b"\x1f\x8b\x08"
_WITH_HEADER = 31  # the wbits of a gzip member
_PIECE = 1 << 18


class ZippedBlocks:
    """As PlainBlocks, for the decompressed content from its beginning."""

    def __init__(self, raw: PlainBlocks) -> None:
        self._raw = raw
        self._waiting = b""
        """Compressed bytes that were read and not used yet."""
        self._member: zlib._Decompress | None = None
        self._has_more = False
        """The member gave as much as it was asked for: it may hold more without any input."""
        self._ahead = b""
        self._is_begun = False
        """At least one member came to its end."""
        self.position = 0
        self.damage = ""
        """What is wrong with it; no more can be had then."""

    @property
    def is_complete(self) -> bool:
        """All that was read so far ends with the end of a member, whose checksum was right."""
        return self._member is None and not self._waiting and self._raw.position > 0 and not self.damage

    @property
    def is_empty(self) -> bool:
        """Not even the beginning of a member is there."""
        return self._raw.position == 0

    def read(self, _expected: int = BLOCK) -> tuple[bytes, int]:
        """The next bytes; none if there are none just now. How much to expect, its size does not tell."""
        return self._next(BLOCK), 0

    @property
    def size_read(self) -> int:
        return self._raw.position

    def skip_hole(self) -> int:
        return 0

    def skip_to(self, place: int) -> bytes:
        """Decompress and let go until `place`; the last bytes before it, fewer than 1,024 only at the beginning.
        Whether it came so far, `position` tells."""
        recent = b""
        while self.position < place:
            data = self._next(min(BLOCK, place - self.position))
            if not data:
                break
            recent = (recent + data[-REACH:])[-REACH:]
        return recent

    def take(self, count: int) -> bytes:
        """So many bytes, or what there is."""
        parts = []
        while count > 0 and (data := self._next(min(BLOCK, count))):
            parts.append(data)
            count -= len(data)
        return b"".join(parts)

    def _next(self, limit: int) -> bytes:
        while not self._ahead and not self.damage and (self._has_more or self._waiting or self._load()):
            self._ahead = self._decompressed(limit)
        data, self._ahead = self._ahead[:limit], self._ahead[limit:]
        self.position += len(data)
        return data

    def _load(self) -> bool:
        data, start = self._raw.read(_PIECE)
        self._waiting = data[start:]
        return bool(self._waiting)

    def _decompressed(self, limit: int) -> bytes:
        if self._member is None and not self._begin():
            return b""
        assert self._member
        before = self._member.copy()  # an error takes what was decompressed before it along
        try:
            data = self._member.decompress(self._waiting, limit)
        except zlib.error as error:
            self.damage = str(error)
            return _until_damage(before, self._waiting)
        self._waiting = self._member.unconsumed_tail or self._member.unused_data
        self._has_more = len(data) == limit and not self._member.eof
        if self._member.eof:
            self._member = None
            self._is_begun = True
        return data

    def _begin(self) -> bool:
        """A member, where the last one ended. Zeros are padding, as of a tape; anything else is no gzip."""
        if self._is_begun:
            self._waiting = self._waiting.lstrip(b"\0")
        if self._waiting:
            self._member = zlib.decompressobj(wbits=_WITH_HEADER)
        return self._member is not None


def _until_damage(member: zlib._Decompress, waiting: bytes) -> bytes:
    """What comes out before the damage, to the last byte."""
    found = bytearray()
    with suppress(zlib.error):
        for place in range(len(waiting)):
            found += member.decompress(waiting[place : place + 1])
    return bytes(found)
