"""What a power cut at one instant may keep of everything that was not flushed.

Two models of what a file system may forget:

- POSIX: nothing is durable before fsync of the file (its content) or of the directory (its names). Everything
  pending may be there or not, each alone and in any order.
- EXT4: names are journalled in order, so one durable name drags all earlier ones, and fsync of any file commits
  the journal too. Content that was not flushed may be there or not (delayed allocation).

In both, a write may reach the medium in part: sectors are whole, their order is free.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from waycairn.crashtest.power.oplog import AnyOp, DataOp, NameOp, Write

__all__ = ["Choice", "Cut", "Kept", "Model", "at_random", "in_order", "short"]

SECTOR = 512
_FEW = 12
"""Pending acts that are each lost alone and kept alone; with more, the newest."""
_OLDEST = 2
"""The oldest pending acts, which are lost alone and kept alone too."""
_TEARS = 16
"""Sector boundaries at which the newest write is torn; of a longer one, spread."""


class Model(StrEnum):
    """What a file system promises without being asked to flush."""

    POSIX = "posix"
    EXT4 = "ext4"


class Kept(NamedTuple):
    """An act that is on the medium: whole, or some bytes of a write."""

    position: int
    begin: int = 0
    end: int | None = None


class Choice(NamedTuple):
    """What one cut keeps of what was pending, in the order of the tape; and what it lost, in words."""

    lost: str
    kept: Sequence[Kept]


Wanted = Callable[[], bool]
"""Asked before each choice is made: who wants a sample of them does not wait for the others."""


@dataclass(frozen=True, slots=True)
class Cut:
    """One instant: the acts that were not flushed by then, as positions on the tape."""

    tape: Sequence[AnyOp]
    model: Model
    pending: Sequence[int]

    @property
    def names(self) -> list[int]:
        return [position for position in self.pending if isinstance(self.tape[position], NameOp)]

    @property
    def data(self) -> list[int]:
        return [position for position in self.pending if isinstance(self.tape[position], DataOp)]

    def write(self, position: int) -> Write | None:
        op = self.tape[position]
        return op if isinstance(op, Write) else None


def whole(positions: Sequence[int]) -> list[Kept]:
    return [Kept(position) for position in positions]


def in_order(cut: Cut, wanted: Wanted = lambda: True) -> Iterator[Choice]:
    """The choices that find most bugs, the same ones each time; of each it is asked first whether it is wanted."""
    pending = cut.pending
    if wanted():
        yield Choice("nothing (the process died, the power stayed)", whole(pending))
    if not pending:
        return
    if wanted():
        yield Choice("everything that was not flushed", [])
    names, data = cut.names, cut.data
    if names and data:
        if wanted():
            yield Choice("content that was not flushed", whole(names))
        if wanted():
            yield Choice("names that were not flushed", whole(data))
    alone = pending if cut.model is Model.POSIX else data
    # The oldest too: an act that is never flushed is soon behind many newer ones.
    for position in dict.fromkeys([*alone[:_OLDEST], *alone[-_FEW:]]):
        if wanted():
            what = f"one act: {short(cut.tape[position])}"
            yield Choice(what, whole([other for other in pending if other != position]))
        if wanted():
            yield Choice(f"all but one act: {short(cut.tape[position])}", [Kept(position)])
    yield from _tears(cut, wanted)


def _tears(cut: Cut, wanted: Wanted) -> Iterator[Choice]:
    """The newest write ends at each of its sectors; and only its later sectors are there."""
    position = cut.pending[-1]
    op = cut.write(position)
    sectors = boundaries(op) if op else []
    for boundary in filter(lambda _: wanted(), sectors[:: max(1, len(sectors) // _TEARS)]):
        what = f"{short(cut.tape[position])} from byte {boundary} on"
        yield Choice(f"the end of one write: {what}", [*whole(cut.pending[:-1]), Kept(position, 0, boundary)])
    if sectors and wanted():
        others = whole(cut.pending[:-1])
        middle = sectors[len(sectors) // 2]
        what = f"{short(cut.tape[position])} up to byte {middle}"
        yield Choice(f"the beginning of one write: {what}", [*others, Kept(position, middle)])


def boundaries(op: Write) -> list[int]:
    """Where sectors of the file begin within the write."""
    return list(range(SECTOR - op.offset % SECTOR, len(op.data), SECTOR))


def _is_one_sector(op: Write) -> bool:
    return SECTOR - op.offset % SECTOR >= len(op.data)


def at_random(cut: Cut, chance: random.Random, most: int, wanted: Wanted = lambda: True) -> Iterator[Choice]:
    """At most so many subsets, tears and reorderings, other ones for each seed. The less is pending, the fewer."""
    for _ in filter(lambda _: wanted(), range(min(most, 2 * len(cut.pending)))):
        if chance.random() < 0.3:
            yield _one_file_reordered(cut, chance)
        else:
            share = chance.choice((0.1, 0.3, 0.5, 0.7, 0.9))
            chosen = {position for position in cut.pending if chance.random() < share}
            kept = _torn(cut, sorted(_allowed(cut, chosen, chance)), chance)
            yield Choice(f"each act with a chance of {1 - share:.0%}", kept)


def _allowed(cut: Cut, chosen: set[int], chance: random.Random) -> set[int]:
    """Under EXT4 the names that are kept are the first ones."""
    if cut.model is Model.POSIX:
        return chosen
    names = cut.names
    return (chosen - set(names)) | set(names[: chance.randrange(len(names) + 1)])


def _one_file_reordered(cut: Cut, chance: random.Random) -> Choice:
    """Of one file's writes some, in part; everything else is there."""
    by_file: dict[int, list[int]] = {}
    for position in cut.pending:
        if op := cut.write(position):
            by_file.setdefault(op.inode, []).append(position)
    if not by_file:
        return Choice("nothing (the process died, the power stayed)", whole(cut.pending))
    inode = chance.choice(sorted(by_file))
    lost = {position for position in by_file[inode] if chance.random() < 0.5}
    kept = _torn(cut, [position for position in cut.pending if position not in lost], chance, only=inode)
    return Choice(f"some writes of inode {inode}", kept)


def _torn(cut: Cut, positions: Sequence[int], chance: random.Random, only: int | None = None) -> list[Kept]:
    """Every fourth write loses its beginning, its end or its middle."""
    kept: list[Kept] = []
    for position in positions:
        op = cut.write(position)
        if not op or only not in {None, op.inode} or _is_one_sector(op) or chance.random() < 0.75:
            kept.append(Kept(position))
            continue
        sectors = boundaries(op)
        first, last = sorted((chance.choice(sectors), chance.choice(sectors)))
        match chance.randrange(3):
            case 0:
                kept.append(Kept(position, 0, first))
            case 1:
                kept.append(Kept(position, last))
            case _:
                kept += [Kept(position, 0, first), Kept(position, last)]
    return kept


def short(op: AnyOp) -> str:
    """An act in words, without the bytes of a write."""
    if isinstance(op, Write):
        return f"write of {len(op.data)} bytes at {op.offset} of inode {op.inode}"
    return repr(op)
