"""A stored state, opened: its document, and its buffers one by one or many at once."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from waycairn.chunks.document import LargeDocument, other_length
from waycairn.chunks.layout import Group, aligned
from waycairn.chunks.manifest import Manifest, Run
from waycairn.chunks.memory import PAGE, allocate
from waycairn.chunks.source import ChunkSource, Want
from waycairn.chunks.tuning import MIB
from waycairn.model.records import ChunkPlace
from waycairn.ports import Buffer

_SHARED_MEMORY = 16 * MIB
_LARGE_DOCUMENT = 1 * MIB
"""From here up joining the chunks of a document would cost more than reading them."""


class OpenState:
    """Manifest and root are verified; everything else is verified as it is read. Thread-safe.

    Raises Damaged wherever a stored byte that is needed differs from what was saved.
    """

    def __init__(
        self, manifest: Manifest, groups: Sequence[Group], places: Mapping[int, ChunkPlace], source: ChunkSource
    ) -> None:
        self._manifest = manifest
        self._groups = groups
        self._places = places
        self._source = source
        self._lock = threading.Lock()
        self._group_of = {number: at for at, group in enumerate(groups) for number, _ in group.members}
        self._first_chunk = _starts(groups)
        self._numbers = manifest.buffer_numbers()
        self._read: dict[int, memoryview] = {}
        self._neighbours: dict[int, memoryview] = {}

    @cached_property
    def document(self) -> bytes | memoryview:
        """Read at first use; a large one is memory that nobody else has."""
        if (whole := self._manifest.whole) is not None:
            return whole
        if (large := self.large_document) is not None:
            return large.read()[0]
        chunks: dict[int, Buffer] = {}

        def keep(place: ChunkPlace, data: Buffer) -> None:
            chunks[place.number] = data

        numbers = dict.fromkeys(self._manifest.document_numbers())
        self._source.read([Want(self._places[number]) for number in numbers], keep)
        parts: list[Buffer] = []
        for segment in self._manifest.segments:
            if isinstance(segment, Run):
                parts += (chunks[number] for number in range(segment.first, segment.first + segment.count))
            else:
                parts.append(segment)
        document = b"".join(parts)
        if len(document) != self._manifest.document_length:
            raise other_length()
        return document

    @property
    def large_document(self) -> LargeDocument | None:
        """It, not read yet; None if it is not large."""
        if self._manifest.document_length < _LARGE_DOCUMENT or self._manifest.whole is not None:
            return None
        return LargeDocument(self._manifest, self._places, self._source)

    @property
    def buffer_count(self) -> int:
        return len(self._manifest.sizes)

    def buffer_size(self, number: int) -> int:
        return self._manifest.sizes[number]

    def fetch(self, number: int) -> memoryview:
        """The bytes of one buffer, verified: writable, aligned to 16 bytes at least, and the caller's own from now
        on. Small buffers share memory, up to 16 MiB of it, which lives as long as one of them does."""
        if not self._manifest.sizes[number]:
            return memoryview(bytearray())
        with self._lock:
            ready = self._read.pop(number, None) or self._neighbours.pop(number, None)
        if ready is not None:
            return ready
        brought = self._bring([self._group_of[number]])
        wanted = brought.pop(number)
        with self._lock:
            # Buffers are mostly asked for in order: keep what the same chunk brought, of the last chunk only.
            self._neighbours = brought
        return wanted

    def prefetch(self, numbers: Iterable[int] | None = None) -> None:
        """Read and verify many buffers (None: all) with large parallel reads; `fetch` then only hands them out."""
        if not self._groups:
            return
        if numbers is None:
            groups: Iterable[int] = range(len(self._groups))
        else:
            groups = dict.fromkeys(self._group_of[number] for number in numbers if self._manifest.sizes[number])
        brought = self._bring(groups)
        with self._lock:
            self._read.update(brought)

    def read_into(self, targets: Mapping[int, memoryview]) -> None:
        """Read and verify many buffers, each into the memory that is given for it, of its size: large ones without a
        copy in between. Damaged leaves some of it overwritten."""
        wants: list[Want] = []
        shared: defaultdict[int, list[tuple[memoryview, int]]] = defaultdict(list)
        for at in dict.fromkeys(self._group_of[number] for number in targets if self._manifest.sizes[number]):
            members = self._groups[at].members
            if len(members) == 1:
                wants += self._wants(at, targets[members[0][0]], 0)
                continue
            place = self._places[self._numbers[self._first_chunk[at]]]
            wants.append(Want(place))
            shared[place.number] += [(targets[number], start) for number, start in members if number in targets]

        def scatter(place: ChunkPlace, data: Buffer) -> None:
            for memory, start in shared.get(place.number, ()):
                memory[:] = data[start : start + len(memory)]

        self._source.read(wants, scatter)

    def _bring(self, groups: Iterable[int]) -> dict[int, memoryview]:
        wants: list[Want] = []
        brought: dict[int, memoryview] = {}
        for together in self._share_memory(groups):
            memory = allocate(sum(aligned(self._groups[at].size, PAGE) for at in together))
            base = 0
            for at in together:
                group = self._groups[at]
                wants += self._wants(at, memory, base)
                for number, start in group.members:
                    brought[number] = memory[base + start : base + start + self._manifest.sizes[number]]
                base += aligned(group.size, PAGE)
        self._source.read(wants)
        return brought

    def _share_memory(self, groups: Iterable[int]) -> Iterator[list[int]]:
        """Large buffers get memory of their own. Groups of small ones share it: 3,000 arrays of 64 KiB then come
        with twelve reads, into huge pages."""
        together: list[int] = []
        size = 0
        for at in groups:
            if len(self._groups[at].members) == 1:
                yield [at]
                continue
            if together and size + self._groups[at].size > _SHARED_MEMORY:
                yield together
                together, size = [], 0
            together.append(at)
            size += self._groups[at].size
        if together:
            yield together

    def _wants(self, at: int, memory: memoryview, start: int) -> list[Want]:
        wants = []
        for number, length in enumerate(self._groups[at].chunks, self._first_chunk[at]):
            wants.append(Want(self._places[self._numbers[number]], memory, start))
            start += length
        return wants


def _starts(groups: Sequence[Group]) -> list[int]:
    starts = []
    chunk = 0
    for group in groups:
        starts.append(chunk)
        chunk += len(group.chunks)
    return starts
