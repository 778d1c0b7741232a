"""Which of the files seen is which of the generations known. Decides, and changes nothing.

A file is known again by three things: what the kernel says (device, inode, time of birth), how it begins, and what
stands before the offset. In this order:

1.  The kernel says the same, beginning and tail are as they were: it is that generation (Resumed). The kernel says the
    same and they are not, or it is shorter than the offset: it was truncated or overwritten (Replaced), and what is
    there now begins anew (Fresh).
2.  Another file with the beginning, the tail and every post between of a generation whose file is gone: it was moved,
    restored, compressed or saved by an editor (Moved), and reading goes on in it.
3.  The same of a generation that was truncated: what was not read yet is in this copy (Copied), as copytruncate makes
    it, and is read there from the offset.
4.  The same of a generation whose file is still there: a copy. The two are compared, and only what lies after their
    common beginning is read. While there is none of that, the copy is DONE and sleeps; should the original lose bytes
    that were not read, they are read in the copy (HandedOver). Two lines at least must be the same, for many files
    begin with the same header; a file that has less than that, or does not reach to the offset, and goes on in another
    way than the original (Woken) was no copy but began with the same header, and is read whole.
5.  A rotated form that was there before the stream is left alone (Archived); see `rotation`.
6.  Anything else is new and read from its beginning (Fresh), however alike its beginning is. What is compressed and
    still being written may not show yet what it is (Waiting).

With on_copy="reread" rules 2 to 4 hold for rotated forms only: a file that is only alike is read from its beginning.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Literal

import msgspec

from waycairn.streams.content import Content, common_until, lines_until
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
from waycairn.streams.descriptors import NotTheFile, is_same
from waycairn.streams.discovery import Seen
from waycairn.streams.marks import REACH, has_consumed, head_of, holds, mark, posts_of, stands_at, tail_of
from waycairn.streams.records import FileState, Generation, Mark

OnCopy = Literal["adopt", "reread"]
LookInto = Callable[[Seen], AbstractContextManager[Content]]
_ENOUGH_LINES = 2
_TICK = 20_000_000
"""Nanoseconds that times of files may lag behind the clock."""
_READ = {FileState.ACTIVE, FileState.ROTATED}


class Matching:
    """One round. `settled` are generations whose files are known, of which some have `grown`; `seen` are the other files,
    oldest first. `base_of` tells the path of which a generation's was a rotated form."""

    def __init__(
        self,
        known: Sequence[Generation],
        settled: Mapping[int, Seen],
        grown: Collection[int],
        *,
        look_into: LookInto,
        base_of: Callable[[bytes], bytes],
        on_copy: OnCopy = "adopt",
    ) -> None:
        self._known = {generation.id: generation for generation in known}
        self._there: dict[int, Seen] = dict(settled)
        self._settled = settled.keys() - set(grown)
        self._replaced: dict[int, Generation] = {
            generation.id: generation for generation in known if generation.state is FileState.REPLACED
        }
        self._look_into = look_into
        self._base_of = base_of
        self._on_copy = on_copy
        self._decisions: list[Decision] = []
        self._by_inode: dict[tuple[int, int], list[Generation]] = {}
        self._by_head: dict[Mark, list[Generation]] = {}
        self._by_base: dict[bytes, list[Generation]] = {}
        self._given: set[int] = set()
        """Those that go on in a file that was unknown before."""
        self._new: dict[bytes, list[Seen]] = {}
        """What has no number yet, and may be what the next file is like."""
        self._index()
        self._sleepers = {
            generation.id: settled[generation.id]
            for generation in known
            if generation.id in settled and sleeps(generation)
        }

    def _index(self) -> None:
        """Ten thousand files are not compared with ten thousand generations one by one."""
        copied = {generation.copy_of for generation in self._known.values()}
        for generation in self._known.values():
            identity = generation.identity
            self._by_base.setdefault(self._base_of(generation.path), []).append(generation)
            self._by_inode.setdefault((identity.device, identity.inode), []).append(generation)
            if generation.state is not FileState.REPLACED or generation.id not in copied:
                self._by_head.setdefault(generation.head, []).append(generation)

    def decide(self, seen: Sequence[Seen]) -> list[Decision]:
        unknown = [one for one in seen if not self._guarded(self._by_identity, one)]
        for copy, place in self._sleepers.items():
            self._guarded(partial(self._wake, copy), place)
        for one in unknown:
            self._guarded(self._by_content, one)
        self._decisions += [Gone(generation) for generation in self._lost()]
        return self._decisions

    def _guarded(self, decide: Callable[[Seen], bool], seen: Seen) -> bool:
        """Whether the file needs no more thought."""
        before = len(self._decisions)
        try:
            return decide(seen)
        except (NotTheFile, FileNotFoundError):
            reason = ""
        except OSError as error:
            reason = f"cannot be read: {error.strerror}"
        del self._decisions[before:]
        self._decisions.append(Unreadable(seen, reason))
        for generation in self._with_identity(seen):  # not gone: it is there, and cannot be read
            self._there[generation.id] = seen
        return True

    # -- the same file by what the kernel says ---------------------------------------------------------------

    def _by_identity(self, seen: Seen) -> bool:
        for generation in self._with_identity(seen):
            with self._look_into(seen) as content:
                if self._still_holds(generation, seen, content):
                    self._there[generation.id] = seen
                    if sleeps(generation):
                        self._sleepers[generation.id] = seen
                    else:
                        self._known[generation.id] = _begun_again(generation, content)
                        self._decisions.append(Resumed(self._known[generation.id], seen))
                    return True
            self._replaced[generation.id] = generation
            self._decisions.append(Replaced(generation, seen))
        return False

    def _still_holds(self, generation: Generation, seen: Seen, content: Content) -> bool:
        """Where nothing was consumed, a file that has become shorter is another one all the same."""
        has_shrunk = not generation.offset and not generation.compression and seen.size < generation.size
        is_same_kind = content.compression == generation.compression or not generation.offset
        return is_same_kind and not has_shrunk and stands_at(content.read, generation)

    def _with_identity(self, seen: Seen) -> list[Generation]:
        """Those in use before those that are done: inodes are used again."""
        found = [
            generation
            for generation in self._by_inode.get((seen.identity.device, seen.identity.inode), ())
            if generation.id not in self._there
            and generation.id not in self._replaced
            and is_same(generation.identity, seen.identity)
        ]
        return sorted(found, key=lambda generation: (generation.state is FileState.DONE, -generation.id))

    def _wake(self, sleeper: int, seen: Seen) -> bool:
        """A copy is read when its original lost what was not read yet, or when it has bytes of its own."""
        copy = self._known[sleeper]
        original = self._original_of(copy)
        if original is None or {copy.id, original.id} <= self._settled:
            return True
        copy = msgspec.structs.replace(copy, copy_of=original.id)
        wake = self._wake_beside if original.id in self._there else self._wake_alone
        with self._look_into(seen) as content:
            self._decisions.append(wake(copy, original, seen, content))
        return True

    def _original_of(self, copy: Generation) -> Generation | None:
        """The generation that is read in place of this one: its original, or the copy in which that goes on."""
        original = self._known.get(copy.copy_of or 0)
        while original is not None and original.id not in self._there and original.state not in _READ:
            others = (one for one in self._known.values() if one.copy_of == original.id and one.id != copy.id)
            taker = next((one for one in others if not sleeps(one)), None)
            if taker is None:
                break
            original = taker
        return original

    def _wake_alone(self, copy: Generation, original: Generation, seen: Seen, content: Content) -> Decision:
        """The file of its original is gone, or what was in it."""
        is_like = has_consumed(content.read, original)
        if is_like and original.state in _READ and content.reaches(original.offset + 1):
            goes_on = {name: getattr(original, name) for name in ("offset", "lines", "head", "tail", "posts")}
            awake = msgspec.structs.replace(copy, state=FileState.ACTIVE, **goes_on)
            self._known[copy.id] = awake
            self._known[original.id] = msgspec.structs.replace(original, state=FileState.DONE)
            return HandedOver(original, awake, seen)
        is_other = content.reaches(original.head.length) and not holds(content.read, 0, original.head)
        if not is_other and not content.reaches(max(original.offset, copy.offset) + 1):
            return Resumed(copy, seen, is_asleep=True)
        if is_like and (seen.size, seen.modified) == (copy.size, copy.modified):
            return Resumed(copy, seen, is_asleep=True)
        begins = original if is_like and original.offset > copy.offset else copy
        return Woken(_begun(content, seen, begins.offset, begins.lines, id=copy.id, copy_of=copy.copy_of), seen)

    def _wake_beside(self, copy: Generation, original: Generation, seen: Seen, content: Content) -> Decision:
        is_sure = copy.offset > 0 and has_consumed(content.read, original)
        begins = original if is_sure else copy
        place, is_all = self._common(content, original, begins.offset)
        if is_all:
            return Resumed(copy, seen, is_asleep=True)
        if not begins.offset:
            return Woken(_begun(content, seen, 0, 0, id=copy.id), seen)
        offset, lines = lines_until(content, begins.offset, begins.lines, place)
        return Woken(_begun(content, seen, offset, lines, id=copy.id, copy_of=copy.copy_of), seen)

    def _common(self, content: Content, original: Generation, start: int) -> tuple[int, bool]:
        """How far it is the same as a generation whose file is there, and whether it ends there. NotTheFile if that
        was truncated a moment ago: then it is no measure."""
        with self._look_into(self._there[original.id]) as other:
            found = common_until(content, other, start)
            if not stands_at(other.read, original):
                raise NotTheFile
            return found

    # -- the same content ------------------------------------------------------------------------------------

    def _by_content(self, seen: Seen) -> bool:
        with self._look_into(seen) as content:
            if self._on_copy == "adopt" or seen.is_rotated:
                decision = self._like(seen, content)
                if decision is not None:
                    self._decisions.append(decision)
                    return True
            if seen.is_rotated and not seen.is_asked and self._is_archive(seen):
                self._decisions.append(Archived(seen))
            elif self._is_like_new(seen, content):
                self._decisions.append(Waiting(seen, is_soon=True))
            else:
                self._new.setdefault(seen.base, []).append(seen)
                self._decisions.append(Fresh(seen, _begun(content, seen, 0, 0)))
        return True

    def _is_like_new(self, seen: Seen, content: Content) -> bool:
        """Whether it looks like a copy of another rotated form that is new as well."""
        if not seen.is_rotated:
            return False
        for other in self._new.get(seen.base, ()):
            with self._look_into(other) as beside:
                if common_until(content, beside, 0)[1]:
                    return True
        return False

    def _relative(self, original: Generation, seen: Seen, content: Content) -> Decision | None:
        """What a file is to the generation that it is like; None if it only begins like it."""
        if sleeps(original):
            original = self._original_of(original) or original
        if original.id in self._given:
            return Waiting(seen, is_soon=True)
        if original.id in self._there:
            return self._copied(original, seen, content)
        self._given.add(original.id)
        if original.id not in self._replaced:
            self._there[original.id] = seen
            return Moved(original, seen, content.compression)
        begun = _begun(content, seen, original.offset, original.lines, copy_of=original.id)
        return Copied(original, seen, begun)

    def _copied(self, original: Generation, seen: Seen, content: Content) -> Copied | None:
        """A copy of a file that is there: asleep, unless it has bytes of its own already."""
        is_sure = original.lines >= _ENOUGH_LINES and has_consumed(content.read, original)
        place, is_all = self._common(content, original, original.offset if is_sure else 0)
        if not is_sure and not is_all:
            return None
        offset, lines = lines_until(content, original.offset, original.lines, place) if is_sure else (0, 0)
        facts = {"state": FileState.DONE} if is_all else {}
        return Copied(original, seen, _begun(content, seen, offset, lines, copy_of=original.id, **facts))

    def _like(self, seen: Seen, content: Content) -> Decision | None:
        """What this is, if its content is or was that of a generation, or may still turn out to be."""
        begins = content.read(0, REACH)
        may_come = bool(self._known) and len(begins) < REACH and not content.reaches(REACH) and content.is_unfinished
        for generation in self._candidates(seen, begins):
            if may_come and not generation.offset:
                break  # how it begins tells little: what was consumed of others tells more, once it is there
            is_like = generation.head.length > 0 and has_consumed(content.read, generation)
            if not is_like and not (generation.offset and content.reaches(generation.offset)):
                is_cut_off = bool(content.damage) and mark(begins[: generation.head.length]) == generation.head
                is_like = is_cut_off or self._is_older_copy(generation, seen, begins, content)
                if content.is_unfinished:
                    may_come = True
                    continue
            if is_like and (decision := self._relative(generation, seen, content)):
                return decision
        return Waiting(seen, is_soon=False) if may_come else None

    def _candidates(self, seen: Seen, begins: bytes) -> list[Generation]:
        """Those that begin like this; of the same name first, then those that are there and those that got furthest.
        Those of which nothing was consumed come last."""
        lengths = {head.length for head in self._by_head}
        marks = {mark(begins[:length]) for length in lengths if length <= len(begins)}
        found = {one.id: one for head in marks if head.length for one in self._by_head.get(head, ())}
        if seen.is_rotated:  # also a copy of it in the making, and when nothing of it was read yet
            there = [one.id for one in self._by_base.get(seen.base, ()) if one.id in self._there]
            found |= {number: self._known[number] for number in there}
        return sorted(
            found.values(),
            key=lambda one: (
                not one.offset,
                self._base_of(one.path) != seen.base,
                one.id not in self._there,
                -one.offset,
                -one.id,
            ),
        )

    def _is_older_copy(self, generation: Generation, seen: Seen, begins: bytes, content: Content) -> bool:
        """A copy that was made before the original got so far as it was read."""
        is_little = not begins if seen.is_rotated else begins.count(b"\n") < _ENOUGH_LINES
        if is_little or generation.id not in self._there:
            return False
        return self._common(content, generation, 0)[1]

    def _is_archive(self, seen: Seen) -> bool:
        """Whether it was there before the stream."""
        if not self._known:
            return True
        same = [one for one in self._known.values() if self._base_of(one.path) == seen.base]
        began = min(one.first_seen for one in same or self._known.values())
        return seen.modified < began * 1e9 - _TICK

    def _lost(self) -> list[Generation]:
        return [
            generation
            for generation in self._known.values()
            if generation.id not in self._there and generation.id not in self._replaced
        ]


def _begun(content: Content, seen: Seen, offset: int, lines: int, **facts: Any) -> Generation:
    """A generation that is read from there; its id is given later."""
    state = FileState.ROTATED if seen.is_rotated else FileState.ACTIVE
    return Generation(
        **{"id": 0, "state": state, **facts},
        path=seen.path,
        identity=seen.identity,
        offset=offset,
        lines=lines,
        head=head_of(content.read),
        posts=posts_of(content.read, offset),
        tail=tail_of(content.read, offset),
        size=seen.size,
        modified=seen.modified,
        compression=content.compression,
    )


def _begun_again(generation: Generation, content: Content) -> Generation:
    """While nothing was consumed, how it begins is all by which it is known, and that may have grown."""
    if generation.offset:
        return generation
    return msgspec.structs.replace(generation, head=head_of(content.read), compression=content.compression)
