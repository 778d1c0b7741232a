"""What a sweep has found and done, as plain frozen records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from waycairn.model.ids import PackId, RunId
from waycairn.model.records import NewData

Runs = Iterable[tuple[int, int]]
"""Chunks that a manifest refers to: (first number, how many)."""


@dataclass(frozen=True, slots=True)
class DeadBlock:
    """A block with chunks that nothing refers to."""

    number: int
    chunks: Sequence[int]
    """The numbers of its dead chunks."""
    is_whole: bool
    """None of its chunks lives: the block is dead, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What nothing referred to at one moment."""

    epoch: int
    """The sweep epoch of that moment."""
    sequences: Mapping[int, tuple[RunId, int]]
    """Of each run, by its small number: its id and its newest commit at that moment. What was committed later is looked
    at again before anything is removed."""
    dead: Sequence[DeadBlock]

    @property
    def chunks(self) -> int:
        return sum(len(block.chunks) for block in self.dead)


@dataclass(frozen=True, slots=True)
class Condemned:
    """Rows that one transaction of a sweep removed."""

    epoch: int
    """The sweep epoch since then."""
    chunks: int
    blocks: int
    inline_bytes: int
    """Of the blocks that lay in the catalog."""


@dataclass(frozen=True, slots=True)
class PackFill:
    """How much of a pack is in use."""

    size: int
    blocks: int
    """0: the pack is condemned. Its file goes, then its row."""
    stored_bytes: int
    """Of these blocks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepReport:
    """What one sweep removed, or with `dry_run` would have removed."""

    dry_run: bool = False
    chunks: int = 0
    blocks: int = 0
    inline_bytes: int = 0
    """Of states that lay in the catalog. The database uses the room again; its file does not shrink."""
    packs: int = 0
    """Pack files that nothing referred to any more."""
    pack_bytes: int = 0
    leftovers: int = 0
    """Pack files that no commit ever named, older than the grace time: a save died before its commit."""
    leftover_bytes: int = 0
    unfinished: int = 0
    """Files of packs that were never finished."""
    owner_files: int = 0
    """Owner files of dead processes."""
    kept_packs: int = 0
    dead_bytes: int = 0
    """In packs that stay because other chunks in them live: at least so many bytes."""
    seconds: float = 0.0

    @property
    def freed_bytes(self) -> int:
        """Of files that are gone."""
        return self.pack_bytes + self.leftover_bytes

    @property
    def is_empty(self) -> bool:
        """There was nothing to do."""
        return not (self.chunks or self.packs or self.leftovers or self.unfinished or self.owner_files)


def slices(blocks: Sequence[DeadBlock], most: int) -> Iterator[Sequence[DeadBlock]]:
    """Parts of about `most` chunks each; a block is never divided."""
    part: list[DeadBlock] = []
    size = 0
    for block in blocks:
        if part and size + len(block.chunks) > most:
            yield part
            part, size = [], 0
        part.append(block)
        size += len(block.chunks)
    if part:
        yield part


def names_of(data: Iterable[NewData]) -> list[PackId]:
    """The packs that a commit brings."""
    return [pack.id for one in data for pack in one.packs]
