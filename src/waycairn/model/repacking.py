"""Blocks that move from one pack to another, as plain frozen records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from waycairn.model.ids import RunId
from waycairn.model.records import ChunkPlace, NewBlock, NewPack
from waycairn.model.spans import Spans
from waycairn.model.sweeping import Runs

LARGE = 64 * 1024
_ALIGNMENT = 4096
_EXTENT = 1024 * 1024
_ENDS = 3
"""Extents of which one is the header's, one the list's, one the last, not full."""
_LISTED = 48
"""Bytes that a chunk takes in the list of a pack, and a block."""


class StoredBlock(msgspec.Struct, frozen=True):
    """A block as it lies now, and those of its chunks that are still there, in the order of their bytes."""

    block: NewBlock
    chunks: Sequence[ChunkPlace]

    @property
    def is_whole(self) -> bool:
        """None of its bytes is of a chunk that is gone."""
        return sum(chunk.length for chunk in self.chunks) == self.block.raw_length


class NewPlace(msgspec.Struct, frozen=True):
    """A block that was written anew, and the chunks in it, one behind the other. Its number is that of the first, like that
    of every block."""

    block: NewBlock
    chunks: Sequence[int]


class Move(msgspec.Struct, frozen=True):
    """Blocks that become other blocks elsewhere, all of their chunks together: one of one, one of several joined, or several
    of one that is split."""

    was: Sequence[StoredBlock]
    now: Sequence[NewPlace]

    def chunks(self) -> Iterator[tuple[ChunkPlace, int, int]]:
        """Each chunk as it was, the number of its new block, and where it begins in that."""
        was = {chunk.number: chunk for one in self.was for chunk in one.chunks}
        for new in self.now:
            start = 0
            for number in new.chunks:
                yield was[number], new.block.number, start
                start += was[number].length

    @property
    def size(self) -> int:
        """How many chunks."""
        return sum(len(one.chunks) for one in self.was)


class Copied(msgspec.Struct, frozen=True, kw_only=True):
    """Packs that are durable and that no row names yet, and the moves into them."""

    epoch: int
    """The sweep epoch before the first of their bytes was written."""
    packs: Sequence[NewPack]
    moves: Sequence[Move]


class PackOrigin(msgspec.Struct, frozen=True, kw_only=True):
    """What else the row of a new pack says."""

    created: float | None = None
    """When the newest of what is in it was written first; None if that is not known."""
    level: int | None = None
    """At which its blocks were compressed again."""
    place: str | None = None
    """The archive that it lies in."""
    verified: float | None = None


class Switched(msgspec.Struct, frozen=True):
    """What one transaction moved. The rest of what it was asked for was swept, or moved by another one, since."""

    epoch: int
    """The sweep epoch since then."""
    blocks: int
    stored_bytes: int
    """Of the blocks as they lie now."""
    freed_bytes: int
    """Of the same blocks as they lay before, less that."""


class PackFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the catalog knows of a pack."""

    size: int
    blocks: int
    stored_bytes: int
    """Of these blocks."""
    live_bytes: int
    """The share of it that chunks take which are still there (a block is compressed as a whole: its share is taken
    from the lengths before that)."""
    large: int
    """Those of these blocks that begin at an aligned offset of their own."""
    chunks: int
    """That are there, of these blocks."""
    created: float | None
    level: int | None
    place: str | None

    @property
    def dead_bytes(self) -> int:
        """Of blocks and chunks that are gone, at least: what the pack has beside what lives, its padding and its list."""
        padding = _ALIGNMENT * (2 * self.large + self.stored_bytes // _EXTENT + _ENDS)
        return max(0, self.size - self.live_bytes - padding - _LISTED * (self.chunks + self.blocks))

    @property
    def share(self) -> float:
        """How much of the file is in use."""
        return 1.0 - self.dead_bytes / self.size if self.size else 1.0


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """Which chunks some of what is stored needs, and all the rest, with what they are the difference to."""

    theirs: Spans
    others: Spans
    sequences: Mapping[int, tuple[RunId, int]]
    """Of each run, by its small number: its id and its newest commit before that was read."""
    refers: Callable[[bytes], Runs]
    skipped: bytes
