"""Small blocks that lie in the catalog moved out into packs, where many of them are compressed together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator

from waycairn.chunks.repacking import as_stored
from waycairn.model.records import ChunkPlace
from waycairn.model.repacking import StoredBlock
from waycairn.store import StoreCore

_PORTION = 20_000
"""Blocks whose chunks are looked for in one look through the index."""
_LOCATED = 64
"""Blocks that are read at once: with their bytes, which are 128 KiB at the most."""


def inline_blocks(core: StoreCore, most: int | None = None) -> Iterator[StoredBlock]:
    """Blocks in the order of their numbers, the oldest first, up to so many bytes."""
    after, size = -1, 0
    while sizes := core.catalog.inline_blocks(after, _PORTION):
        yield from _stored(core, sizes)
        after = max(sizes)
        size += sum(sizes.values())
        if most is not None and size >= most:
            return


def _stored(core: StoreCore, wanted: Collection[int]) -> Iterator[StoredBlock]:
    """A block in the catalog is written once and only loses chunks: those that were seen are all it has, as long as it is
    still there."""
    chunks: defaultdict[int, list[int]] = defaultdict(list)
    for number, block in core.catalog.chunk_blocks(min(wanted) - 1):
        if block in wanted:
            chunks[block].append(number)
    numbers = sorted(chunks)
    for at in range(0, len(numbers), _LOCATED):
        few = numbers[at : at + _LOCATED]
        found: defaultdict[int, list[ChunkPlace]] = defaultdict(list)
        for place in core.catalog.locate_chunks([number for block in few for number in chunks[block]]).values():
            if place.block.pack is None:
                found[place.block.number].append(place)
        yield from (as_stored(found[block]) for block in few if block in found)
