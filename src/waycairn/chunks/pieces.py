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

_DOCUMENT_WINDOW = 512
"""Chunks of a document that one thread hashes at a time: some 8 MiB where there are many."""

Parts = Sequence[Buffer]
"""Of a chunk, one behind the other."""


@dataclass(frozen=True, slots=True)
class _Cut:
    """A chunk before it is hashed."""

    parts: Parts
    group: Group
    at: int


@dataclass(frozen=True, slots=True)
class BufferPiece:
    """A chunk of buffers."""

    parts: Parts
    length: int
    id: ChunkId
    pays: bool
    """Whether a sample of it says that compression pays."""
    width: int
    """Bytes of an element, 0 if that is not known or not the same for all of it."""
    group: Group
    at: int
    """Which chunk of the group it is."""


def hash_windows(
    groups: Sequence[Group], views: Sequence[memoryview], widths: Sequence[int], secret: bytes
) -> Iterator[list[BufferPiece]]:
    """All chunks of the groups in order, some at a time.

    Large ones are hashed ahead by two threads. Chunks of many small buffers are not: a native call for each small
    buffer makes the threads queue for the interpreter, and joining them first costs more than it saves (1 GiB of
    64 KiB: hash and copy 0.42 s of CPU, joined first 0.63 s).
    """

    def hashed(window: Sequence[_Cut]) -> list[BufferPiece]:
        return [_hash(cut, _width(cut.group, widths), secret) for cut in window]

    if any(len(group.members) == 1 for group in groups):
        return map_ahead(hashed, _windows(groups, views))
    return map(hashed, _windows(groups, views))


def hash_pieces(chunks: Sequence[memoryview], secret: bytes) -> list[ChunkId]:
    """The names of chunks of a document, in order; of much of it by two threads."""
    windows = (chunks[at : at + _DOCUMENT_WINDOW] for at in range(0, len(chunks), _DOCUMENT_WINDOW))
    return [
        name for names in map_ahead(lambda window: [chunk_id((c,), secret) for c in window], windows) for name in names
    ]


def _hash(cut: _Cut, width: int, secret: bytes) -> BufferPiece:
    parts = cut.parts
    length = sum(map(len, parts))
    pays = sample_pays(max(parts, key=len))
    return BufferPiece(parts, length, chunk_id(parts, secret), pays, width, cut.group, cut.at)


def _width(group: Group, widths: Sequence[int]) -> int:
    if not widths:
        return 0
    found = {widths[number] for number, _ in group.members}
    return found.pop() if len(found) == 1 else 0


def _windows(groups: Sequence[Group], views: Sequence[memoryview]) -> Iterator[list[_Cut]]:
    window: list[_Cut] = []
    size = 0
    for group in groups:
        for at, (parts, length) in enumerate(zip(_chunks_of(group, views), group.chunks, strict=True)):
            window.append(_Cut(parts, group, at))
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
