"""What a sweep has found and done, as plain frozen records."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple

import msgspec

from waycairn.model.ids import CheckpointId, PackId, RunId
from waycairn.model.records import NewData

Runs = Iterable[tuple[int, int]]
"""Chunks that a manifest refers to: (first number, how many)."""


class DeadBlock(msgspec.Struct, frozen=True):
    """A block with chunks that nothing refers to."""

    number: int
    chunks: Sequence[int]
    """The numbers of its dead chunks."""
    is_whole: bool
    """None of its chunks lives: the block is dead, too."""


class DeadBlocks:
    """All of them at one moment: 16 bytes a chunk, and an object a block only while it is looked at."""

    def __init__(self, chunks: array[int], places: array[int], used: Collection[int]) -> None:
        """Dead chunks and the block of each, those of a block together; blocks of which other chunks live."""
        self.chunks = chunks
        self._places = places
        self._used = used

    def __iter__(self) -> Iterator[DeadBlock]:
        end, places = len(self.chunks), self._places
        at = 0
        while at < end:
            block, first = places[at], at
            while at < end and places[at] == block:
                at += 1
            yield DeadBlock(block, self.chunks[first:at], block not in self._used)


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """What nothing referred to at one moment."""

    epoch: int
    """The sweep epoch of that moment."""
    sequences: Mapping[int, tuple[RunId, int]]
    """Of each run, by its small number: its id and its newest commit at that moment. What was committed later is looked
    at again before anything is removed."""
    dead: DeadBlocks

    @property
    def chunks(self) -> int:
        return len(self.dead.chunks)


class Condemned(msgspec.Struct, frozen=True):
    """Rows that one transaction of a sweep removed."""

    epoch: int
    """The sweep epoch since then."""
    chunks: int
    blocks: int
    inline_bytes: int
    """Of the blocks that lay in the catalog."""
    newest: Mapping[int, tuple[RunId, int]]
    """As `Mark.sequences`, but at that moment: what changed since the last transaction tells whether others commit."""


_PADDING = 8192
"""Bytes that a block may take beside itself: up to the next sector, and in the footer."""


class PackFill(msgspec.Struct, frozen=True):
    """How much of a pack is in use."""

    size: int
    blocks: int
    """0: the pack is condemned. Its file goes, then its row."""
    stored_bytes: int
    """Of these blocks."""

    @property
    def dead_bytes(self) -> int:
        """Of blocks that are gone beside others that live, at least."""
        return max(0, self.size - self.stored_bytes - (self.blocks + 2) * _PADDING) if self.blocks else 0


class Decision(NamedTuple):
    """What a sweep would do with a checkpoint, and why."""

    checkpoint: CheckpointId
    run: str
    """The name of its outermost run."""
    phase: str | None
    kind: str
    created: float
    stays: bool
    rule: str
    bytes: int
    """That it brought into the store; those that others share stay with them."""


class Ruled(NamedTuple):
    """What one rule said."""

    stays: bool
    rule: str
    checkpoints: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepReport:
    """What one sweep removed, or with `dry_run` would have removed."""

    dry_run: bool = False
    checkpoints: int = 0
    """That policies let go."""
    rules: Sequence[Ruled] = ()
    """How many stay and go by which rule."""
    decisions: Sequence[Decision] = field(default=(), repr=False)
    """Of a dry run: every checkpoint."""
    over_bytes: int = 0
    """By which the store is larger than it may be, though nothing more may go."""
    chunks: int = 0
    blocks: int = 0
    inline_bytes: int = 0
    """Of states that lay in the catalog. The database uses the room again, or gives it back if it is much."""
    packs: int = 0
    """Pack files that nothing referred to any more."""
    pack_bytes: int = 0
    leftovers: int = 0
    """Pack files that no commit ever named, older than the grace time: a save died before its commit."""
    leftover_bytes: int = 0
    unfinished: int = 0
    """Files of packs that were never finished."""
    temporary: int = 0
    temporary_bytes: int = 0
    """Temporary files of ours that nobody needs any more."""
    owner_files: int = 0
    """Owner files of dead processes."""
    kept_packs: int = 0
    dead_bytes: int = 0
    """In packs that stay because other chunks in them live: at least so many bytes."""
    log_emptied: bool = True
    """What was deleted is in no file of the catalog any more; false if a reader stood in the way of that."""
    shrunk_bytes: int = 0
    """By which the file of the catalog is shorter."""
    stopped: bool = False
    """It was asked to stop before it was through; the next one goes on."""
    seconds: float = 0.0

    @property
    def freed_bytes(self) -> int:
        """Of files that are gone."""
        return self.pack_bytes + self.leftover_bytes + self.temporary_bytes

    @property
    def is_empty(self) -> bool:
        """There was nothing to do."""
        rows, files = self.checkpoints or self.chunks, self.packs or self.leftovers
        return not (rows or files or self.unfinished or self.temporary or self.owner_files)


class Awaited(Exception):
    """Others wait to write. Nothing was removed; fewer at once are to be tried."""


class Parts:
    """Dead blocks, taken in parts of about so many chunks each; a block is never divided."""

    def __init__(self, blocks: Iterable[DeadBlock]) -> None:
        self._blocks = iter(blocks)
        self._back: list[DeadBlock] = []
        """Taken before, the next one last."""

    def take(self, most: float) -> list[DeadBlock]:
        """A block counts like a chunk, too. Empty at the end."""
        part: list[DeadBlock] = []
        while (block := self._next()) is not None:
            most -= len(block.chunks) + 1
            if part and most < 0:
                self._back.append(block)
                break
            part.append(block)
        return part

    def put_back(self, part: Sequence[DeadBlock]) -> None:
        """To be taken again."""
        self._back.extend(reversed(part))

    def _next(self) -> DeadBlock | None:
        return self._back.pop() if self._back else next(self._blocks, None)


class Stride:
    """How many rows one transaction removes. While nobody else commits that is many: the pages of the index, in which chunks
    lie by chance, are then changed once for many of them. Beside others it is few, because each commit waits for one part. A
    large part that somebody waits for is taken back (`yields`)."""

    ALONE, BESIDE = 3.0, 0.005
    """Seconds of one transaction, at about."""
    CALM = 10.0
    """Seconds without anybody's commit after which the sweep takes itself for alone again."""
    SHARE, BREATH = 3, 0.05
    """The pause after a transaction while others commit: so many times what it took, so that most of their commits need not
    wait, and at most so many seconds."""

    def __init__(self, fewest: int, first: int, most: int) -> None:
        self._fewest, self._most = fewest, most
        self.size = float(first)
        self._calm = self.CALM

    @property
    def yields(self) -> bool:
        """The smallest part goes on whoever waits, so that there is an end of it."""
        return self.size > self._fewest

    def took(self, rows: int, seconds: float, others: bool) -> float:
        """The last part; whether others committed meanwhile. Seconds to leave to them."""
        self._calm = 0.0 if others else self._calm + seconds
        target = self.ALONE if self._calm >= self.CALM else self.BESIDE
        wanted = rows * target / max(seconds, 1e-6)
        # Upwards in steps: one part that was fast says little.
        self.size = max(self._fewest, min(wanted, 4 * self.size, self._most))
        return min(self.SHARE * seconds, self.BREATH) if others else 0.0

    def was_awaited(self) -> None:
        """The last part was taken back."""
        self.size, self._calm = self._fewest, 0.0


def names_of(data: Iterable[NewData]) -> list[PackId]:
    """The packs that a commit brings."""
    return [pack.id for one in data for pack in one.packs]


def summary(report: SweepReport) -> dict[str, Any]:
    """What is noted of a sweep: numbers that are not 0."""
    facts = asdict(replace(report, rules=(), decisions=()))
    return {name: value for name, value in facts.items() if value and not isinstance(value, tuple)}
