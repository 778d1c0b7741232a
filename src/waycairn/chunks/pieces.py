"""Chunks before they have numbers: cut and hashed (and sampled, of buffers), the next ones while these are written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from waycairn.chunks.cutting import Piece, Plan, cut_piece
from waycairn.chunks.hashing import chunk_id
from waycairn.chunks.layout import Group
from waycairn.chunks.sealing import sample_pays
from waycairn.chunks.tuning import MIB
from waycairn.model.ids import ChunkId
from waycairn.ports import Buffer
from waycairn.world.ahead import map_ahead

_WINDOW = 8 * MIB
"""Buffers are hashed and looked up this much at a time: few questions to the index, and the disk never waits long."""

Parts = Sequence[Buffer]
"""Of a chunk, one behind the other."""


class _Cut(Struct, frozen=True):
    """A chunk before it is hashed."""

    parts: Parts
    group: Group
    at: int


class BufferPiece(Struct, frozen=True):
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


def hash_document(
    document: memoryview, plans: Iterable[Plan], seed: int, secret: bytes
) -> Iterator[tuple[list[Piece], list[ChunkId]]]:
    """All pieces of the document in order, some at a time, and the names of those that are chunks.

    By the caller alone: to cut and to hash a chunk of 16 KiB take 5 µs each, and two threads that ask for the interpreter as
    often as that wait for each other longer (113 MiB: 0.12 s by one, 0.14 s and twice the CPU by two).
    """
    pieces: list[Piece] = []
    ids: list[ChunkId] = []
    size = 0
    for plan in plans:
        for piece in cut_piece(document, plan, seed):
            pieces.append(piece)
            if not piece.literal:
                # At once: its bytes are still in the cache of this core.
                ids.append(chunk_id((document[piece.start : piece.end],), secret))
            size += piece.end - piece.start
            if size >= _WINDOW:
                yield pieces, ids
                pieces, ids, size = [], [], 0
    if pieces:
        yield pieces, ids


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
