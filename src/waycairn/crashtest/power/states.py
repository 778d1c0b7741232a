"""Every state in which a power cut can leave a disk, from the tape of what was asked of it.

States that look the same are built once, with the most that had been acknowledged by then.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from waycairn.crashtest.power.choices import Choice, Cut, Kept, Model, at_random, in_order
from waycairn.crashtest.power.oplog import (
    ROOT,
    Ack,
    AnyOp,
    Attributes,
    DataOp,
    FlushDirectory,
    FlushFile,
    Make,
    Move,
    NameOp,
    Remove,
    Settled,
)

__all__ = ["Content", "Model", "Part", "State", "begin_of", "power_loss_states", "unread"]

_RANDOM_FIRST = 3
_RANDOM_LATER = 8
"""Random choices at each instant: with the first seed beside all others, with each later seed alone."""


class Part(NamedTuple):
    """An act on one content: whole, or some bytes of a write."""

    act: int
    begin: int = 0
    end: int | None = None


class Content(NamedTuple):
    """A file, by reference: its first `durable` acts, then the parts `extra`, in this order."""

    inode: int
    durable: int
    extra: tuple[Part, ...] = ()


class State(NamedTuple):
    """A disk after a power cut: what lies where, and what the job had acknowledged."""

    files: tuple[tuple[str, Content | str], ...]
    """By path; text is the target of a symbolic link."""
    directories: tuple[tuple[str, int], ...]
    """Paths and permissions; a parent comes before what is in it."""
    acks: int
    """Number of acknowledgements before the cut."""
    at: int
    """Number of ops on the tape before the cut."""
    lost: str
    """What the cut took, in words."""


def unread(path: str) -> bool:
    """True for files that nobody reads after a power cut: SQLite builds its shared memory anew."""
    return path.endswith("-shm")


def begin_of(tape: list[AnyOp]) -> int:
    """The position after the last mark `Settled`; 0 without one."""
    return next((position + 1 for position in range(len(tape) - 1, -1, -1) if isinstance(tape[position], Settled)), 0)


def power_loss_states(
    tape: list[AnyOp],
    model: Model,
    *,
    begin: int | None = None,
    seed: int = 0,
    share: float = 1.0,
    is_unread: Callable[[str], bool] = unread,
) -> list[State]:
    """All states of one seed, in the order of the tape, for cuts from position `begin` on (by default `begin_of`).

    Seed 0 has the systematic choices and a few random ones, every other seed only random ones: more seeds, more
    states. Of these only a share is built, chosen by the seed, for who wants a sample. A file for which `is_unread` says so is in no state.
    """
    distinct: dict[object, State] = {}
    replay = _Replay(tape, model, begin_of(tape) if begin is None else begin, seed, share, is_unread)
    for state in replay.states():
        key = (state.files, state.directories)
        known = distinct.get(key)
        # The same disk later on, with more acknowledged: only the stricter check is of interest.
        if known is None or known.acks < state.acks:
            distinct[key] = state
    return sorted(distinct.values(), key=lambda state: state.at)


class _Replay:
    """Plays the tape; knows at each instant what is durable and what is pending."""

    def __init__(  # noqa: PLR0917 - one private call
        self,
        tape: list[AnyOp],
        model: Model,
        begin: int,
        seed: int,
        share: float,
        is_unread: Callable[[str], bool],
    ) -> None:
        self.tape, self.model, self.begin, self.is_unread = tape, model, begin, is_unread
        self.seed, self.share = seed, share
        self.names: dict[int, dict[str, int]] = {ROOT: {}}
        """Durable names by directory."""
        self.modes = {ROOT: 0o755}
        """Permissions of directories: the newest, for what ext4 and POSIX leave open there matters to nobody."""
        self.targets: dict[int, str] = {}
        """Of symbolic links."""
        self.durable: defaultdict[int, int] = defaultdict(int)
        """Number of durable acts on the content of each inode."""
        self.number: dict[int, int] = {}
        """Tape position of an act on a content to its number among the acts on that inode."""
        self.acts: defaultdict[int, int] = defaultdict(int)
        """Number of acts on each content so far."""
        self.pending: list[int] = []
        self.acks = 0

    def states(self) -> Iterator[State]:
        for position, op in enumerate(self.tape):
            self._play(position, op)
            if position + 1 >= self.begin and not isinstance(op, Ack):
                yield from self._cut(position + 1)
        yield from self._cut(len(self.tape))

    def _cut(self, at: int) -> Iterator[State]:
        chance = random.Random(f"{self.seed} {self.model} {at}")
        for choice in self._choices(Cut(self.tape, self.model, self.pending), chance):
            yield self._state(at, *choice)

    def _choices(self, cut: Cut, chance: random.Random) -> Iterator[Choice]:
        def wanted() -> bool:
            return self.share >= 1 or chance.random() < self.share

        if self.seed == 0:
            yield from in_order(cut, wanted)
        yield from at_random(cut, chance, _RANDOM_LATER if self.seed else _RANDOM_FIRST, wanted)

    # -- what becomes durable ------------------------------------------------------------------------------

    def _play(self, position: int, op: AnyOp) -> None:
        match op:
            case Ack():
                self.acks += 1
            case Settled():
                self._settle(lambda _: True)
            case FlushFile(inode):
                journal = self.model is Model.EXT4
                self._settle(lambda act: journal if isinstance(act, NameOp) else act.inode == inode)
            case FlushDirectory(inode):
                everything = self.model is Model.EXT4
                self._settle(lambda act: isinstance(act, NameOp) and (everything or inode in _parents(act)))
            case Attributes(inode, mode) if inode in self.modes:
                self.modes[inode] = self.modes[inode] if mode is None else mode
            case _:
                self._remember(position, op)

    def _remember(self, position: int, op: NameOp | DataOp) -> None:
        if isinstance(op, DataOp):
            self.number[position] = self.acts[op.inode]
            self.acts[op.inode] += 1
        elif isinstance(op, Make) and op.directory:
            self.modes[op.inode] = op.mode
        elif isinstance(op, Make) and op.target is not None:
            self.targets[op.inode] = op.target
        self.pending.append(position)

    def _settle(self, is_durable: Callable[[NameOp | DataOp], bool]) -> None:
        kept = []
        for position in self.pending:
            op = self.tape[position]
            assert isinstance(op, NameOp | DataOp)
            if not is_durable(op):
                kept.append(position)
            elif isinstance(op, DataOp):
                self.durable[op.inode] += 1
            else:
                _apply_name(self.names, op)
        self.pending = kept

    # -- what lies on the disk -----------------------------------------------------------------------------

    def _state(self, at: int, lost: str, kept: Sequence[Kept]) -> State:
        names = {inode: dict(entries) for inode, entries in self.names.items()}
        extra: defaultdict[int, list[Part]] = defaultdict(list)
        for position, begin, end in kept:
            op = self.tape[position]
            if isinstance(op, DataOp):
                extra[op.inode].append(Part(self.number[position], begin, end))
            elif isinstance(op, NameOp):
                _apply_name(names, op)
        files: list[tuple[str, Content | str]] = []
        directories: list[tuple[str, int]] = []
        self._walk(names, extra, ROOT, "", files, directories)
        return State(tuple(files), tuple(directories), self.acks, at, lost)

    def _walk(  # noqa: PLR0917 - one private recursion
        self,
        names: dict[int, dict[str, int]],
        extra: dict[int, list[Part]],
        inode: int,
        path: str,
        files: list[tuple[str, Content | str]],
        directories: list[tuple[str, int]],
    ) -> None:
        for name, child in sorted(names.get(inode, {}).items()):
            place = f"{path}{name}"
            if child in self.modes:
                directories.append((place, self.modes[child]))
                self._walk(names, extra, child, f"{place}/", files, directories)
            elif child in self.targets:
                files.append((place, self.targets[child]))
            elif not self.is_unread(place):
                files.append((place, self._content(child, extra.get(child, []))))

    def _content(self, inode: int, extra: list[Part]) -> Content:
        durable, gapless = self.durable[inode], 0
        # Kept without a gap: the same content as if it had been flushed so far.
        while gapless < len(extra) and extra[gapless] == (durable, 0, None):
            durable, gapless = durable + 1, gapless + 1
        return Content(inode, durable, tuple(extra[gapless:]))


def _parents(op: NameOp) -> tuple[int, ...]:
    return (op.parent, op.new_parent) if isinstance(op, Move) else (op.parent,)


def _apply_name(names: dict[int, dict[str, int]], op: NameOp) -> None:
    match op:
        case Make(parent, name, inode):
            names.setdefault(parent, {})[name] = inode
        case Remove(parent, name):
            names.setdefault(parent, {}).pop(name, None)
        case Move(parent, name, new_parent, new_name, inode):
            old = names.setdefault(parent, {})
            if old.get(name) == inode:
                del old[name]
            names.setdefault(new_parent, {})[new_name] = inode
