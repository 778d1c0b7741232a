"""A large document, read in place: each chunk straight to where it stays."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO

from waycairn.chunks.manifest import Manifest
from waycairn.chunks.memory import allocate, touched_meanwhile
from waycairn.chunks.source import ChunkSource, Want
from waycairn.errors import Damaged
from waycairn.model.records import ChunkPlace
from waycairn.ports import Buffer

Span = tuple[int, int]
"""Bytes of a document: where they begin, and how many."""


def pieces_of(manifest: Manifest, places: Mapping[int, ChunkPlace]) -> Iterator[ChunkPlace | bytes]:
    """What the document is made of, in order: a chunk, or a literal."""
    for segment in manifest.segments:
        if isinstance(segment, bytes):
            yield segment
        else:
            yield from map(places.__getitem__, range(segment.first, segment.first + segment.count))


class LargeDocument:
    """Not thread-safe. Raises Damaged for bytes that differ from what was saved."""

    def __init__(self, manifest: Manifest, places: Mapping[int, ChunkPlace], source: ChunkSource) -> None:
        self._length = manifest.document_length
        self._source = source
        self._pieces = list(pieces_of(manifest, places))
        self._starts = _starts(self._pieces, self._length)
        self._seen: dict[int, Buffer] = {}
        """Chunks of the block that was looked into last, by number."""

    def __len__(self) -> int:
        return self._length

    def peek(self, start: int, size: int) -> bytes:
        """A few bytes of it, fewer at the end. Reads the blocks that hold them; the last one is kept."""
        found = b""
        while len(found) < size and start < self._length:
            at = bisect_right(self._starts, start) - 1
            within = start - self._starts[at]
            part = bytes(self._piece(at)[within : within + size - len(found)])
            found += part
            start += len(part)
        return found

    def _piece(self, at: int) -> Buffer:
        piece = self._pieces[at]
        if isinstance(piece, bytes):
            return piece
        if piece.number not in self._seen:
            self._seen = self._block_from(at, piece.block.number)
        return self._seen[piece.number]

    def _block_from(self, at: int, block: int) -> dict[int, Buffer]:
        """A chunk, and those behind it in its block, which is opened as a whole whatever is asked of it."""
        wants: dict[int, Want] = {}
        while (
            at < len(self._pieces) and not isinstance(piece := self._pieces[at], bytes) and piece.block.number == block
        ):
            if piece.number not in wants:
                wants[piece.number] = Want(piece, allocate(piece.length))
            at += 1
        self._source.read(wants.values())
        return {number: want.memory for number, want in wants.items() if want.memory is not None}

    def read(self, apart: Sequence[Span] = ()) -> tuple[memoryview, list[bytes]]:
        """All of it but the spans, in memory that nobody else has; and each span, as bytes that were never copied."""
        rest = allocate(self._length - sum(size for _, size in apart))
        values = [BytesIO(bytes(size)) for _, size in apart]
        regions = _Regions(rest, [start for start, _ in apart], [value.getbuffer() for value in values])
        with touched_meanwhile((rest, *regions.apart)):
            self._fill(regions)
        regions.release()
        return rest, [_finished(value) for value in values]

    def _fill(self, regions: _Regions) -> None:
        wants: dict[int, Want] = {}
        later: list[tuple[int, Want]] = []
        for start, piece in zip(self._starts, self._pieces, strict=True):
            if isinstance(piece, bytes):
                regions.put(start, memoryview(piece))
                continue
            known = wants.get(piece.number)
            if known is not None:
                later.append((start, known))
                continue
            found = regions.find(start, piece.length)
            if found is not None:
                wants[piece.number] = Want(piece, *found)
                continue
            wants[piece.number] = want = Want(piece, allocate(piece.length))
            later.append((start, want))
        self._source.read(wants.values())
        for start, want in later:
            assert want.memory is not None
            regions.put(start, want.memory[want.start : want.start + want.place.length])


class _Regions:
    """The memory of a document: what is read apart, and the rest between."""

    def __init__(self, rest: memoryview, starts: Sequence[int], apart: Sequence[memoryview]) -> None:
        self.apart = apart
        self._starts: list[int] = []
        self._memory: list[tuple[memoryview, int, int]] = []
        """With its place in the document, its first and the byte behind its last."""
        end = taken = 0
        for start, memory in zip(starts, apart, strict=True):
            self._add(end, rest[taken : taken + start - end])
            taken += start - end
            self._add(start, memory)
            end = start + len(memory)
        self._add(end, rest[taken:])

    def _add(self, start: int, memory: memoryview) -> None:
        if len(memory):
            self._starts.append(start)
            self._memory.append((memory, start, start + len(memory)))

    def find(self, start: int, length: int) -> tuple[memoryview, int] | None:
        """Where so many bytes belong, if that is one memory."""
        memory, begin, end = self._memory[bisect_right(self._starts, start) - 1]
        return (memory, start - begin) if start + length <= end else None

    def put(self, start: int, data: memoryview) -> None:
        """Where they belong, in as many parts as it takes."""
        while len(data):
            memory, begin, end = self._memory[bisect_right(self._starts, start) - 1]
            size = min(len(data), end - start)
            memory[start - begin : start - begin + size] = data[:size]
            start, data = start + size, data[size:]

    def release(self) -> None:
        """Nothing is written there any more."""
        for memory in self.apart:
            memory.release()


def _finished(memory: BytesIO) -> bytes:
    """Its bytes as they lie there. Raises BufferError if somebody could still write to them."""
    value = memory.getvalue()
    memory.close()
    return value


def _starts(pieces: Sequence[ChunkPlace | bytes], length: int) -> list[int]:
    starts, end = [], 0
    for piece in pieces:
        starts.append(end)
        end += len(piece) if isinstance(piece, bytes) else piece.length
    if end != length:
        raise other_length()
    return starts


def other_length() -> Damaged:
    return Damaged("a manifest is damaged: its document has another length. See `waycairn doctor`.")
