"""A small pack: written in one go at the end, by the thread that asks for it."""

from __future__ import annotations

import os
from collections.abc import Sequence

from waycairn.blobs.filling import made
from waycairn.blobs.unfinished import Unfinished
from waycairn.ports import Buffer, Part
from waycairn.world.crashpoints import crashpoint
from waycairn.world.files import translated, write_all

_MOST_PARTS = 512
"""Buffers in one system call; Linux allows 1024."""


class SmallPack:
    """A BlobWriter that keeps the parts, uncopied, until `finish`."""

    def __init__(self, file: Unfinished, alignment: int) -> None:
        self._file = file
        self._alignment = alignment
        self._parts: list[Buffer] = []
        self._size = 0
        self._done = False

    def append(self, parts: Sequence[Part]) -> int:
        if padding := -self._size % self._alignment:
            self._parts.append(bytes(padding))
            self._size += padding
        offset = self._size
        self._parts += map(made, parts)
        self._size += sum(map(len, parts))
        return offset

    def finish(self) -> int:
        with translated("a pack", self._file.path):
            crashpoint("pack.write")
            for start in range(0, len(self._parts), _MOST_PARTS):
                _write_parts(self._file.handle, self._parts[start : start + _MOST_PARTS])
        self._file.name(self._size)
        self._done = True
        self._parts = []
        return self._size

    def abort(self) -> None:
        self._parts = []
        if not self._done:
            self._file.remove()
            self._done = True


def _write_parts(handle: int, parts: Sequence[Buffer]) -> None:
    written = os.writev(handle, parts)
    for part in parts:
        if written < len(part):
            write_all(handle, memoryview(part)[written:])
            written = 0
        else:
            written -= len(part)
