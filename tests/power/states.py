"""Every state in which a power cut can leave a disk, from the tape of what was asked of it.

Two models of what a file system may forget:

- POSIX: nothing is durable before fsync of the file (its content) or of the directory (its names). Everything
  pending may be there or not, each alone.
- EXT4: names are journalled in order, so one durable name drags all earlier ones, and fsync of any file commits
  the journal too. Content that was not flushed may be there or not (delayed allocation).

A write may also be torn at a sector. States that look the same are checked once, against the most that had been
acknowledged by then.
"""

from __future__ import annotations

import os
import random
import shutil
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from power.oplog import Ack, AnyOp, DataOp, FlushDirectory, FlushFile, Make, Move, NameOp, Remove, Write, apply_data

__all__ = ["Disk", "Model", "State", "power_loss_states"]

ROOT = 1
SECTOR = 512


class Model(StrEnum):
    POSIX = "posix"
    EXT4 = "ext4"


@dataclass(frozen=True, slots=True)
class Content:
    """A file's bytes, by reference: its first `durable` acts, then the acts `extra`, the last cut at `torn` bytes."""

    inode: int
    durable: int
    extra: tuple[int, ...] = ()
    torn: int | None = None


@dataclass(frozen=True, slots=True)
class State:
    """A disk after a power cut: what lies where, and what the job had acknowledged."""

    files: tuple[tuple[str, Content], ...]
    directories: tuple[str, ...]
    acks: int
    """Number of acknowledgements before the cut."""
    at: int
    """Number of ops on the tape before the cut."""
    lost: str
    """What the cut took, in words."""


def power_loss_states(tape: list[AnyOp], model: Model) -> list[State]:
    """All distinct states, in the order of the tape."""
    distinct: dict[object, State] = {}
    replay = _Replay(tape, model)
    for state in replay.states():
        key = (state.files, state.directories)
        known = distinct.get(key)
        # The same disk later on, with more acknowledged: only the stricter check is of interest.
        distinct[key] = replace(known, acks=state.acks, at=state.at, lost=state.lost) if known else state
    return list(distinct.values())


class _Replay:
    """Plays the tape; knows at each instant what is durable and what is pending."""

    def __init__(self, tape: list[AnyOp], model: Model) -> None:
        self.tape, self.model = tape, model
        self.names: dict[int, dict[str, int]] = {ROOT: {}}
        """Durable names by directory."""
        self.is_directory = {ROOT}
        self.durable: defaultdict[int, int] = defaultdict(int)
        """Number of durable acts on the content of each inode."""
        self.data: defaultdict[int, list[int]] = defaultdict(list)
        """Tape positions of all acts on the content of each inode."""
        self.place: dict[int, int] = {}
        """Tape position of an act on a content to its number among the acts on that inode."""
        self.pending: list[int] = []
        self.acks = 0

    def states(self) -> Iterator[State]:
        for position, op in enumerate(self.tape):
            self._play(position, op)
            if not isinstance(op, Ack):
                yield from self._cuts(position + 1)
        yield from self._cuts(len(self.tape))

    # -- what becomes durable ------------------------------------------------------------------------------

    def _play(self, position: int, op: AnyOp) -> None:
        match op:
            case Ack():
                self.acks += 1
            case FlushFile(inode):
                self._settle(lambda pending: isinstance(pending, DataOp) and pending.inode == inode)
                if self.model is Model.EXT4:
                    self._settle(lambda pending: isinstance(pending, NameOp))
            case FlushDirectory(inode):
                everything = self.model is Model.EXT4
                self._settle(lambda pending: isinstance(pending, NameOp) and (everything or inode in _parents(pending)))
            case _:
                if isinstance(op, DataOp):
                    self.place[position] = len(self.data[op.inode])
                    self.data[op.inode].append(position)
                elif isinstance(op, Make) and op.directory:
                    self.is_directory.add(op.inode)
                self.pending.append(position)

    def _settle(self, is_durable) -> None:
        kept = []
        for position in self.pending:
            op = self.tape[position]
            if not is_durable(op):
                kept.append(position)
            elif isinstance(op, DataOp):
                self.durable[op.inode] += 1
            else:
                _apply_name(self.names, op)
        self.pending = kept

    # -- what a cut may leave ------------------------------------------------------------------------------

    def _cuts(self, at: int) -> Iterator[State]:
        for lost, kept, torn in self._choices(at):
            yield self._state(at, lost, kept, torn)

    def _choices(self, at: int) -> Iterator[tuple[str, list[int], int | None]]:
        """What was lost, in words; which pending ops are kept; which of them is torn."""
        pending = self.pending
        yield "nothing (the process died, the power stayed)", pending, None
        if not pending:
            return
        names = [position for position in pending if isinstance(self.tape[position], NameOp)]
        data = [position for position in pending if isinstance(self.tape[position], DataOp)]
        yield "everything that was not flushed", [], None
        if names and data:
            yield "content that was not flushed", names, None
            yield "names that were not flushed", data, None
        free = pending if self.model is Model.POSIX else data
        for position in free[-12:]:
            what = _words(self.tape[position])
            yield f"one act: {what}", [other for other in pending if other != position], None
            yield f"all but one act: {what}", [position], None
        for position in data[-6:]:
            op = self.tape[position]
            if isinstance(op, Write) and len(op.data) > SECTOR:
                yield f"the end of one write: {_words(op)}", pending, position
        yield from self._random_choices(at, names)

    def _random_choices(self, at: int, names: list[int]) -> Iterator[tuple[str, list[int], int | None]]:
        chance = random.Random(at)
        for _ in range(3):
            kept = [position for position in self.pending if chance.random() < 0.5]
            if self.model is Model.EXT4:
                journalled = set(names[: chance.randrange(len(names) + 1)])
                kept = [
                    position
                    for position in self.pending
                    if (position in journalled if position in names else position in kept)
                ]
            yield "a random half", kept, None

    def _state(self, at: int, lost: str, kept: list[int], torn: int | None) -> State:
        names = {inode: dict(entries) for inode, entries in self.names.items()}
        extra: defaultdict[int, list[int]] = defaultdict(list)
        for position in kept:
            op = self.tape[position]
            if isinstance(op, DataOp):
                extra[op.inode].append(self.place[position])
            else:
                _apply_name(names, op)
        torn_place = None if torn is None else self.place[torn]
        torn_inode = None if torn is None else self.tape[torn].inode
        files: list[tuple[str, Content]] = []
        directories: list[str] = []

        def walk(inode: int, path: str) -> None:
            for name, child in sorted(names.get(inode, {}).items()):
                if child in self.is_directory:
                    directories.append(f"{path}{name}")
                    walk(child, f"{path}{name}/")
                else:
                    cut = torn_place if child == torn_inode else None
                    files.append((f"{path}{name}", self._content(child, extra[child], cut)))

        walk(ROOT, "")
        return State(tuple(files), tuple(directories), self.acks, at, lost)

    def _content(self, inode: int, extra: list[int], torn: int | None) -> Content:
        durable = self.durable[inode]
        if torn is not None:
            # The file as it was just before the torn write, then the part of it that reached the medium.
            op = self.tape[self.data[inode][torn]]
            assert isinstance(op, Write)
            return Content(inode, torn, (torn,), max(SECTOR, len(op.data) // 2 // SECTOR * SECTOR))
        # Kept without a gap: the same content as if it had been flushed so far.
        while extra and extra[0] == durable:
            durable += 1
            extra = extra[1:]
        return Content(inode, durable, tuple(extra))


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


def _words(op: AnyOp) -> str:
    match op:
        case Write(inode, offset, data):
            return f"write of {len(data)} bytes at {offset} of inode {inode}"
        case _:
            return repr(op)


class Disk:
    """Puts states on a real directory, one after the other, rewriting only what differs."""

    def __init__(self, tape: list[AnyOp], root: Path) -> None:
        self.root = root
        self._history: defaultdict[int, list[DataOp]] = defaultdict(list)
        for op in tape:
            if isinstance(op, DataOp):
                self._history[op.inode].append(op)
        self._cursor: dict[int, tuple[int, bytearray]] = {}
        self._there: dict[str, tuple[Content, tuple[int, int, int]]] = {}
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)

    def show(self, state: State) -> Path:
        """Make the directory look like the state; returns it."""
        files = dict(state.files)
        self._remove_all_but(files, set(state.directories))
        for directory in state.directories:
            (self.root / directory).mkdir(exist_ok=True)
        for path, content in files.items():
            self._put(path, content)
        return self.root

    def _remove_all_but(self, files: dict[str, Content], directories: set[str]) -> None:
        for folder, subfolders, names in os.walk(self.root):
            base = os.path.relpath(folder, self.root)
            prefix = "" if base == "." else f"{base}/"
            for name in names:
                if prefix + name not in files:
                    os.unlink(os.path.join(folder, name))
                    self._there.pop(prefix + name, None)
            for name in list(subfolders):
                if prefix + name not in directories:
                    shutil.rmtree(os.path.join(folder, name))
                    subfolders.remove(name)

    def _put(self, path: str, content: Content) -> None:
        place = self.root / path
        known = self._there.get(path)
        if known and known[0] == content and _signature(place) == known[1]:
            return
        place.unlink(missing_ok=True)  # never through a descriptor that a former check may have left open
        place.write_bytes(self._bytes(content))
        self._there[path] = (content, _signature(place))

    def _bytes(self, content: Content) -> bytes | bytearray:
        history = self._history[content.inode]
        number, base = self._cursor.get(content.inode, (0, bytearray()))
        if number > content.durable:
            number, base = 0, bytearray()
        for op in history[number : content.durable]:
            apply_data(base, op)
        self._cursor[content.inode] = (content.durable, base)
        if not content.extra:
            return base
        result = bytearray(base)
        for position in content.extra:
            apply_data(result, history[position], content.torn if position == content.extra[-1] else None)
        return result


def _signature(place: Path) -> tuple[int, int, int]:
    try:
        there = place.stat()
    except FileNotFoundError:
        return (0, 0, 0)
    return (there.st_mtime_ns, there.st_size, there.st_ino)
