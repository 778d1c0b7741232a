"""The generations of a stream as they are now, and what of that the ledger does not have yet."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

import msgspec

from waycairn.streams.decisions import (
    Archived,
    Copied,
    Decision,
    Fresh,
    Gone,
    HandedOver,
    Moved,
    Replaced,
    Resumed,
    Unreadable,
    Waiting,
    Woken,
    sleeps,
)
from waycairn.streams.discovery import Seen
from waycairn.streams.records import FileState, Generation, Noticed

replace = msgspec.structs.replace
_AT_REST = {FileState.DONE, FileState.MISSING, FileState.REPLACED}


class Roster:
    """Changed by what was decided about files, and by what was read. `at` is now, for the record; `highest` the number
    that was given to a generation last."""

    def __init__(self, generations: Iterable[Generation], highest: int) -> None:
        self.generations = {generation.id: generation for generation in generations}
        self._highest = highest
        self.files: dict[int, Seen] = {}
        """Generation to its file, of those that have one."""
        self.changed: dict[int, Generation] = {}
        """What the ledger does not have."""
        self.jumped: set[int] = set()
        """Of these the offset that moved without being read: nothing is read of them before the ledger knows."""
        self.touched: set[int] = set()
        """What was decided about anew."""
        self.noticed: list[Noticed] = []
        self.unreadable: dict[bytes, str] = {}
        """Files that cannot be read, and why."""
        self._told: dict[bytes, str] = {}

    def keep(self, changed: Iterable[Generation]) -> None:
        """The ledger has these."""
        for generation in changed:
            self.generations[generation.id] = generation
        self.changed.clear()
        self.jumped.clear()
        self.noticed = []

    def change(self, generation: Generation) -> None:
        self.generations[generation.id] = self.changed[generation.id] = generation
        self.touched.add(generation.id)

    def notice(self, noticed: Noticed) -> None:
        self.noticed.append(noticed)

    def apply(self, decision: Decision, at: float) -> None:  # noqa: C901 - one line or two for each decision
        """A decision about a file."""
        match decision:
            case Resumed():
                self._resume(decision, at)
            case Moved(generation, seen, compression):
                moved = replace(_placed(generation, seen, at), compression=compression)
                self._put(moved, seen, "moved", f"goes on as {_shown(seen.path)}", generation.path)
            case Copied(original, seen, generation):
                self._begin(generation, seen, "copied", f"is a copy of {_shown(original.path)}", at)
                if generation.state is not FileState.DONE and original.id in self.changed:
                    self.change(replace(self.generations[original.id], unread=0))
            case Fresh(seen, generation):
                self._begin(generation, seen, "new", "is new", at)
            case Woken(generation, seen):
                first_seen = self.generations[generation.id].first_seen
                self._jump(replace(generation, first_seen=first_seen, updated=at), seen)
            case HandedOver(original, copy, seen):
                self._hand_over(original, copy, seen, at)
            case Replaced(generation, seen):
                self._replace(generation, seen, at)
            case Unreadable(seen, reason):
                is_known = any(one.identity == seen.identity for one in self.generations.values())
                self.refuse(seen.path, reason, is_missed=seen.is_asked or is_known)
            case Gone(generation):
                self._lose(generation, at)
            case Archived() | Waiting():
                pass
            case _:
                assert_never(decision)

    def _lose(self, generation: Generation, at: float) -> None:
        """Its file is nowhere, and not open either."""
        self.files.pop(generation.id, None)
        if generation.state is FileState.MISSING or sleeps(generation):
            return
        unread = 0 if generation.state in _AT_REST or generation.compression else _unread(generation)
        self.change(replace(generation, state=FileState.MISSING, unread=unread, updated=at))
        if generation.state in _AT_REST:
            return  # what is done may be deleted
        if unread:
            self._tell("lost", generation, f"went away with {unread} bytes that were not read; they are lost", unread)
        else:
            self._tell("missing", generation, "is not there any more; all that was seen of it was read")

    def finish(self, generation: Generation, at: float) -> None:
        """It was read to its end and will not grow."""
        self.change(replace(generation, state=FileState.DONE, updated=at))
        self._tell("done", generation, f"was read to its end at {generation.offset}")

    def deleted(self, generation: Generation, at: float) -> None:
        """It has no name any more and is read on while it is open."""
        self.files.pop(generation.id, None)
        self.change(replace(generation, state=FileState.ROTATED, updated=at))
        self._tell("missing", generation, "has no name any more; it is open and read to its end")

    def _resume(self, decision: Resumed, at: float) -> None:
        before, seen = decision.generation, decision.seen
        after = _placed(before, seen, at)
        if before.state is FileState.DONE and (decision.is_asleep or before.size == seen.size):
            after = replace(after, state=FileState.DONE)
        if before.state is FileState.MISSING and _is_all_read(before, seen):
            after = replace(after, state=FileState.DONE)
        before = self.generations[after.id]
        self.files[after.id] = seen
        self.touched.add(after.id)
        self.generations[after.id] = after
        if _matters(before) != _matters(after):
            self.change(after)
        if before.state is FileState.MISSING:
            self._tell("returned", after, f"is there again, as {_shown(seen.path)}")
        elif before.state is FileState.ACTIVE and after.state is FileState.ROTATED:
            self._tell("rotated", before, f"was rotated to {_shown(seen.path)}")

    def _begin(self, generation: Generation, seen: Seen, kind: str, message: str, at: float) -> None:
        self._highest += 1
        begun = replace(generation, id=self._highest, first_seen=at, updated=at)
        self._put(begun, seen, kind, message, seen.path)

    def _put(self, generation: Generation, seen: Seen, kind: str, message: str, path: bytes) -> None:
        self.files[generation.id] = seen
        self.change(generation)
        self._tell(kind, replace(generation, path=path), message)

    def _jump(self, generation: Generation, seen: Seen) -> None:
        self.files[generation.id] = seen
        if self.generations[generation.id].offset != generation.offset:
            self.jumped.add(generation.id)
        self.change(generation)

    def _hand_over(self, original: Generation, copy: Generation, seen: Seen, at: float) -> None:
        self.files.pop(original.id, None)
        left = self.generations[original.id]
        state = FileState.REPLACED if left.state is FileState.REPLACED else FileState.DONE
        self.change(replace(left, state=state, unread=0, updated=at))
        self._jump(_placed(copy, seen, at), seen)
        self._tell("copied", copy, f"holds what was not read of {_shown(original.path)}")

    def _replace(self, generation: Generation, seen: Seen, at: float) -> None:
        self.files.pop(generation.id, None)
        unread = 0 if generation.state in _AT_REST or generation.compression else _unread(generation)
        self.change(replace(generation, state=FileState.REPLACED, unread=unread, updated=at))
        kind, how = ("truncated", "truncated") if seen.size < generation.size else ("replaced", "overwritten")
        said = f"; {unread} bytes of it had not been read" if unread else ""
        self._tell(kind, generation, f"was {how}{said}. It is read from its beginning", unread)

    def refuse(self, path: bytes, reason: str, *, is_missed: bool = True) -> None:
        """It cannot be read. Said once until the reason is another one; nothing where there is none. Nobody misses a
        rotated form from before the stream, which was not asked for."""
        if not reason:
            return
        if is_missed:
            self.unreadable[path] = reason
        if self._told.get(path) != reason:
            self._told[path] = reason
            self.notice(Noticed(kind="unreadable", path=path, message=f"{_shown(path)} is left out: it {reason}"))

    def _tell(self, kind: str, generation: Generation, message: str, unread: int = 0) -> None:
        message = f"{_shown(generation.path)} {message}"
        facts = {"kind": kind, "path": generation.path, "message": message}
        self.notice(Noticed(generation=generation.id, unread=unread, **facts))  # type: ignore[arg-type]


def _placed(generation: Generation, seen: Seen, at: float) -> Generation:
    """The generation in this file, to be read."""
    return replace(
        generation,
        path=seen.path,
        identity=seen.identity,
        size=seen.size,
        modified=seen.modified,
        state=FileState.ROTATED if seen.is_rotated else FileState.ACTIVE,
        unread=0,
        updated=at,
    )


def _matters(generation: Generation) -> tuple[object, ...]:
    """What is worth a commit of its own; a size alone is not."""
    return generation.path, generation.identity, generation.state, generation.unread, generation.copy_of


def _unread(generation: Generation) -> int:
    return max(0, generation.size - generation.offset)


def _is_all_read(generation: Generation, seen: Seen) -> bool:
    """It was done before it went away."""
    return not _unread(generation) and seen.size == generation.size and seen.is_rotated


def _shown(path: bytes) -> str:
    return path.decode(errors="backslashreplace")
