"""The content of a file, compressed or not, by place: for marks and comparisons, not for reading it through."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from waycairn.streams.blocks import BLOCK, PlainBlocks
from waycairn.streams.descriptors import open_file
from waycairn.streams.discovery import Seen
from waycairn.streams.zipped import MAGIC, ZippedBlocks

Compression = Literal["", "gzip"]


class Content:
    """Of a file that is open. Compressed content is had forwards: ask for places in their order."""

    def __init__(self, handle: int, compression: Compression) -> None:
        self.compression = compression
        self._handle = handle
        self._zipped = self._unzip()

    def read(self, place: int, count: int) -> bytes:
        """Up to `count` bytes from there, fewer where it ends."""
        if not self.compression:
            return os.pread(self._handle, count, place)
        if place < self._zipped.position:
            self._zipped = self._unzip()
        self._zipped.skip_to(place)
        return self._zipped.take(count) if self._zipped.position == place else b""

    def reaches(self, place: int) -> bool:
        return place == 0 or bool(self.read(place - 1, 1))

    @property
    def is_unfinished(self) -> bool:
        """A compressed file that is still being written. Known once it was read to where it ends now."""
        return bool(self.compression) and not self._zipped.is_complete and not self.damage

    @property
    def damage(self) -> str:
        return self._zipped.damage

    def blocks(self, start: int, end: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Places and bytes, in pieces."""
        while end is None or start < end:
            block = self.read(start, BLOCK if end is None else min(BLOCK, end - start))
            if not block:
                return
            yield start, block
            start += len(block)

    def _unzip(self) -> ZippedBlocks:
        return ZippedBlocks(PlainBlocks(lambda: self._handle, 0, b""))


@contextmanager
def opened(seen: Seen) -> Iterator[Content]:
    """NotTheFile if another one has its name by now; OSError as the system says."""
    handle = open_file(seen.path, seen.identity)
    try:
        yield Content(handle, compression_of(handle, seen.path))
    finally:
        os.close(handle)


def compression_of(handle: int, path: bytes) -> Compression:
    """By its first bytes; by its name while there are too few of them. No line of JSON begins like gzip."""
    begins = os.pread(handle, len(MAGIC), 0)
    if len(begins) < len(MAGIC):
        return "gzip" if path.endswith(b".gz") and MAGIC.startswith(begins) else ""
    return "gzip" if begins == MAGIC else ""


def lines_until(content: Content, start: int, lines: int, place: int) -> tuple[int, int]:
    """The last beginning of a line that is not after `place`, and the lines before it, counted on from `start`."""
    begins = start
    for at, block in content.blocks(start, place):
        lines += block.count(b"\n")
        newline = block.rfind(b"\n")
        if newline >= 0:
            begins = at + newline + 1
    return begins, lines


def common_until(one: Content, other: Content, start: int) -> tuple[int, bool]:
    """How far two contents are the same, compared from `start`; and whether `one` ends there."""
    for at, block in one.blocks(start):
        beside = other.read(at, len(block))
        if beside != block:
            return at + _common(block, beside), False
        start = at + len(block)
    return start, True


def _common(one: bytes, other: bytes) -> int:
    """How many bytes two pieces begin with alike."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
