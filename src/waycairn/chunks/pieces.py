"""Buffers as chunks, before they have numbers: cut, hashed and sampled, the next ones while these are written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from waycairn.chunks.ahead import map_ahead
from waycairn.chunks.hashing import chunk_id
from waycairn.chunks.layout import Group
from waycairn.chunks.sealing import sample_pays
from waycairn.chunks.tuning import MIB
from waycairn.model.ids import ChunkId
from waycairn.ports import Buffer

_WINDOW = 8 * MIB
"""Buffers are hashed and looked up this much at a time: few questions to the index, and the disk never waits long."""

Parts = Sequence[Buffer]
"""Of a chunk, one behind the other."""


@dataclass(frozen=True, slots=True)
class BufferPiece:
    """A chunk of buffers."""

    parts: Parts
    length: int
    id: ChunkId
    pays: bool
    """Whether a sample of it says that compression pays."""


def hash_windows(groups: Sequence[Group], views: Sequence[memoryview], secret: bytes) -> Iterator[list[BufferPiece]]:
    """All chunks of the groups in order, some at a time.

    Large ones are hashed ahead by two threads. Chunks of many small buffers are not: a native call for each small
    buffer makes the threads queue for the interpreter, and joining them first costs more than it saves (1 GiB of
    64 KiB: hash and copy 0.42 s of CPU, joined first 0.63 s).
    """

    def hashed(window: Sequence[Parts]) -> list[BufferPiece]:
        return [_hash(parts, secret) for parts in window]

    if any(len(group.members) == 1 for group in groups):
        return map_ahead(hashed, _windows(groups, views))
    return map(hashed, _windows(groups, views))


def _hash(parts: Parts, secret: bytes) -> BufferPiece:
    length = sum(map(len, parts))
    return BufferPiece(parts, length, chunk_id(parts, secret), sample_pays(max(parts, key=len)))


def _windows(groups: Sequence[Group], views: Sequence[memoryview]) -> Iterator[list[Parts]]:
    window: list[Parts] = []
    size = 0
    for group in groups:
        for parts, length in zip(_chunks_of(group, views), group.chunks, strict=True):
            window.append(parts)
            size += length
            if size >= _WINDOW:
                yield window
                window, size = [], 0
    if window:
        yield window


def _chunks_of(group: Group, views: Sequence[memoryview]) -> Iterator[Parts]:
    """The parts of each chunk of a group, one behind the other."""
    if len(group.chunks) > 1:
        view = views[group.members[0][0]]
        start = 0
        for length in group.chunks:
            yield (view[start : start + length],)
            start += length
        return
    parts: list[Buffer] = []
    end = 0
    for number, start in group.members:
        if start > end:
            parts.append(bytes(start - end))
        parts.append(views[number])
        end = start + len(views[number])
    yield parts
