"""A stored state as one stream of bytes, chunk by chunk, and back.

    the document, then the groups of its buffers (see `layout`), one behind the other

So a state of any size is read in little memory, and whoever stores the stream piece by piece stores the chunks that are
there already.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from waycairn.chunks.document import pieces_of
from waycairn.chunks.layout import Group, plan_groups
from waycairn.chunks.manifest import Manifest
from waycairn.chunks.memory import allocate
from waycairn.chunks.scratch import OpenBlocks
from waycairn.chunks.source import ChunkSource, Want
from waycairn.chunks.tuning import MIB
from waycairn.model.encoded import Encoded
from waycairn.model.records import ChunkPlace
from waycairn.world.ahead import map_ahead

_WINDOW = 8 * MIB
"""Chunks are read together up to about this size."""
_LENT, _AHEAD = 16 * MIB, 2
"""Up to about this size where memory is lent, and so many windows ahead."""
_KEPT_OPEN = 16 * MIB
"""Of blocks that several windows need: what changed since the last save lies in one block, all over a state."""
_Window = list[bytes | ChunkPlace]
"""Literals and chunks, in order."""


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
        for window in self._windows(_WINDOW):
            memory = allocate(_size(window))
            self._source.read(_wants(window, memory))
            yield from _placed(window, memory)

    def lent(self) -> Iterator[memoryview]:
        """All of it in order. The memory of a part is lent until the next one is asked for: two threads read on meanwhile."""
        memories = [memoryview(b"")] * (_AHEAD + 1)
        opened = OpenBlocks(_KEPT_OPEN, Counter(filter(None, map(_block, self._parts()))))

        def read(numbered: tuple[int, _Window]) -> list[memoryview]:
            number, window = numbered
            size = _size(window)
            memory = memories[number % len(memories)]
            if len(memory) < size:
                memory = memories[number % len(memories)] = allocate(size)
            self._source.read(_wants(window, memory, opened), alone=True)
            return _joined(window, memory)

        for parts in map_ahead(read, enumerate(self._windows(_LENT)), ahead=_AHEAD):
            yield from parts

    def _windows(self, least: int) -> Iterator[_Window]:
        """They end where a block does, if they can: it is not opened twice then."""
        window: _Window = []
        size = 0
        for part in self._parts():
            if size >= least and (size >= 2 * least or _block(part) != _block(window[-1])):
                yield window
                window, size = [], 0
            window.append(part)
            size += len(part) if isinstance(part, bytes) else part.length
        yield window

    def _parts(self) -> Iterator[bytes | ChunkPlace]:
        yield from pieces_of(self._manifest, self._places)
        yield from map(self._places.__getitem__, self._manifest.buffer_numbers())


def _block(part: bytes | ChunkPlace) -> int | None:
    return None if isinstance(part, bytes) else part.block.number


def _size(window: _Window) -> int:
    """Of its chunks."""
    return sum(part.length for part in window if not isinstance(part, bytes))


def _wants(window: _Window, memory: memoryview, opened: OpenBlocks | None = None) -> list[Want]:
    wants: list[Want] = []
    end = 0
    for part in window:
        if not isinstance(part, bytes):
            wants.append(Want(part, memory, end, opened))
            end += part.length
    return wants


def _placed(window: _Window, memory: memoryview) -> Iterator[StreamPiece]:
    end = 0
    for part in window:
        if isinstance(part, bytes):
            yield StreamPiece(memoryview(part), is_chunk=False)
        else:
            yield StreamPiece(memory[end : end + part.length], is_chunk=True)
            end += part.length


def _joined(window: _Window, memory: memoryview) -> list[memoryview]:
    """Neighbouring chunks as one."""
    parts: list[memoryview] = []
    start = end = 0
    for part in window:
        if isinstance(part, bytes):
            parts += (memory[start:end], memoryview(part))
            start = end
        else:
            end += part.length
    return [*parts, memory[start:end]]


def gathered(shape: Shape, take: Callable[[int], memoryview]) -> Encoded:
    """The state again, without cuts; `take` gives the next so many bytes of the stream, in memory that stays as it is."""
    document = bytes(take(shape.document))
    buffers = [memoryview(b"")] * len(shape.sizes)
    for group in shape.groups():
        memory = take(group.size)
        for number, start in group.members:
            buffers[number] = memory[start : start + shape.sizes[number]]
    return Encoded(document, buffers)
