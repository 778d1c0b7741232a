"""A stored state as one stream of bytes, chunk by chunk, and back.

    the document, then the groups of its buffers (see `layout`), one behind the other

So a state of any size is read in little memory, and whoever stores the stream piece by piece stores the chunks that are
there already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from waycairn.chunks.document import pieces_of
from waycairn.chunks.layout import Group, plan_groups
from waycairn.chunks.manifest import Manifest
from waycairn.chunks.memory import allocate
from waycairn.chunks.source import ChunkSource, Want
from waycairn.chunks.tuning import MIB
from waycairn.model.encoded import Encoded
from waycairn.model.records import ChunkPlace

_WINDOW = 8 * MIB
"""Chunks are read together up to this size."""


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """What the bytes of a stream are."""

    document: int
    """Bytes of the document, with which it begins."""
    sizes: Sequence[int] = ()
    """Of the buffers."""
    own_chunk: int = 0
    chunk: int = 0
    """How they lie behind it, see `layout`."""

    @classmethod
    def of(cls, manifest: Manifest) -> Shape:
        return cls(
            document=manifest.document_length,
            sizes=manifest.sizes,
            own_chunk=manifest.own_chunk,
            chunk=manifest.chunk,
        )

    def groups(self) -> list[Group]:
        return plan_groups(self.sizes, self.own_chunk, self.chunk) if self.sizes else []

    @property
    def size(self) -> int:
        """Of the whole stream."""
        return self.document + sum(group.size for group in self.groups())


class StreamPiece(NamedTuple):
    data: memoryview
    is_chunk: bool
    """A chunk of the store, whole."""


class StateStream:
    """A state whose manifest and root are verified; chunks are verified as they are read. Raises Damaged."""

    def __init__(self, manifest: Manifest, places: Mapping[int, ChunkPlace], source: ChunkSource) -> None:
        self._manifest = manifest
        self._places = places
        self._source = source
        self.shape = Shape.of(manifest)

    def pieces(self) -> Iterator[StreamPiece]:
        """All of it in order. Nobody else has the memory of a piece."""
        window: list[bytes | ChunkPlace] = []
        size = 0
        for part in self._parts():
            window.append(part)
            size += len(part) if isinstance(part, bytes) else part.length
            if size >= _WINDOW:
                yield from self._read(window)
                window, size = [], 0
        yield from self._read(window)

    def _parts(self) -> Iterator[bytes | ChunkPlace]:
        yield from pieces_of(self._manifest, self._places)
        yield from map(self._places.__getitem__, self._manifest.buffer_numbers())

    def _read(self, window: Sequence[bytes | ChunkPlace]) -> Iterator[StreamPiece]:
        memory = allocate(sum(part.length for part in window if not isinstance(part, bytes)))
        wants: list[Want] = []
        end = 0
        for part in window:
            if not isinstance(part, bytes):
                wants.append(Want(part, memory, end))
                end += part.length
        self._source.read(wants)
        end = 0
        for part in window:
            if isinstance(part, bytes):
                yield StreamPiece(memoryview(part), is_chunk=False)
            else:
                yield StreamPiece(memory[end : end + part.length], is_chunk=True)
                end += part.length


def gathered(shape: Shape, take: Callable[[int], memoryview]) -> Encoded:
    """The state again, without cuts; `take` gives the next so many bytes of the stream, in memory that stays as it is."""
    document = bytes(take(shape.document))
    buffers = [memoryview(b"")] * len(shape.sizes)
    for group in shape.groups():
        memory = take(group.size)
        for number, start in group.members:
            buffers[number] = memory[start : start + shape.sizes[number]]
    return Encoded(document, buffers)
