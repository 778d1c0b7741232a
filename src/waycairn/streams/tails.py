"""One generation, read from its offset on."""

from __future__ import annotations

import os
from bisect import bisect_right
from itertools import accumulate

import msgspec

from waycairn.streams.blocks import PlainBlocks
from waycairn.streams.descriptors import Descriptors, NotTheFile
from waycairn.streams.discovery import Seen
from waycairn.streams.lines import Cutter, Line, OddLine, first_bytes, last_bytes
from waycairn.streams.marks import REACH, Trail, head_of, mark
from waycairn.streams.parsing import Parser, Where
from waycairn.streams.records import Counts, DeadLetter, Generation, Portion
from waycairn.streams.rotation import LIVE, Rank
from waycairn.streams.zipped import ZippedBlocks

_NEWLINES = (b"\n", b"\r\n")


class NotYetThere(Exception):
    """A compressed file is still being written and does not reach to the offset."""


class Tail:
    """Reads ahead of the generation, a block at most beyond what is asked for; `keep` moves it on.

    Nothing is consumed by reading: until `keep` the same lines can be had again. NotTheFile comes out of `read` when the
    bytes that were read before are not there any more.
    """

    def __init__(self, generation: Generation, descriptors: Descriptors, limit: int) -> None:
        self.generation = generation
        self.base = generation.path
        self.rank: Rank = LIVE
        self.is_kept_open = False
        """It has no name any more."""
        self.quiet_since = 0.0
        """When it was last seen to have changed, by the clock that never goes back."""
        self.is_at_end = False
        self._descriptors, self._limit = descriptors, limit
        self._blocks: PlainBlocks | ZippedBlocks | None = None
        self._size = generation.size
        self._forget()

    def _forget(self) -> None:
        self._trail = Trail(self.generation.offset, b"")
        self._lines: list[Line] = []
        self._cutter = Cutter(self._limit)
        self._before = b""
        """The last bytes before the offset."""
        self._last = b""
        """The same after what was given."""

    # -- reading ---------------------------------------------------------------------------------------------

    def read(self, room: int, turn: int) -> int:
        """Read on, and say how many lines may be taken: up to `room` of up to `turn` bytes, or one that is longer. 0
        if none came to its end by reading so many: there is more unless `is_at_end`."""
        self._fill(room, turn)
        return self._count(room, turn)

    def portion(self, count: int, parser: Parser, at: float) -> Portion:
        """The first `count` lines of those that were read."""
        generation, lines = self.generation, self._lines[:count]
        skipped = 0
        if generation.is_open_ended and lines[0] in _NEWLINES:
            skipped = len(lines[0])  # of the line that was taken without it
        where = Where(generation.id, generation.path, generation.offset + skipped, generation.lines + 1, at)
        parsed = parser.parse(lines[1:] if skipped else lines, where)
        after = self._after(lines, parsed.end, len(lines) - bool(skipped), at)
        counts = parsed.counts + Counts(bytes=skipped) if skipped else parsed.counts
        return Portion(
            before=generation, after=after, events=parsed.events, places=parsed.places, dead=parsed.dead, counts=counts
        )

    def refused(self, portion: Portion, parser: Parser, error: str) -> Portion:
        """The same portion, which is one line, with its event as a dead letter."""
        before, after = portion.before, portion.after
        where = Where(before.id, before.path, before.offset, before.lines + 1, after.updated)
        parsed = parser.refused(self._lines[0], where, error)
        return Portion(before=before, after=after, events=(), places=(), dead=parsed.dead, counts=parsed.counts)

    def keep(self, after: Generation, count: int) -> None:
        """What was given is committed."""
        if count:
            self._before = self._last
        del self._lines[:count]
        self.generation = after

    def take_rest(self) -> bool:
        """Take the last line as it is: it will not get its end any more. Whether there is one."""
        rest = self._cutter.flush()
        self._lines += rest
        return bool(rest)

    def has_more(self, given: int) -> bool:
        """Whether there may be more than the lines that were given."""
        return not self.is_at_end or len(self._lines) > given

    @property
    def is_open(self) -> bool:
        return self._blocks is not None

    @property
    def has_rest(self) -> bool:
        """A line without its end."""
        return self._cutter.has_rest

    @property
    def is_complete(self) -> bool:
        """A compressed file that ends where it should."""
        return self._blocks is not None and self._blocks.is_complete

    @property
    def damage(self) -> str:
        return self._blocks.damage if self._blocks else ""

    def damaged(self, error: str, at: float) -> DeadLetter:
        """The line in the middle of which a compressed file ends."""
        rest, generation = self._cutter.rest(), self.generation
        return DeadLetter(
            generation=generation.id,
            path=generation.path,
            offset=generation.offset + rest.nuls,
            length=rest.length,
            line=generation.lines + 1,
            kind="damaged",
            error=error,
            head=rest.head,
            digest=rest.sha256,
            at=at,
        )

    # -- the file --------------------------------------------------------------------------------------------

    def grew(self, seen: Seen, now: float) -> None:
        """Its file was found changed."""
        self.base, self.rank = seen.base, seen.rank
        self.is_kept_open = False
        self.quiet_since = now
        self.generation = msgspec.structs.replace(self.generation, size=seen.size, modified=seen.modified)
        self._size = seen.size
        self.is_at_end = False

    def with_head(self) -> Generation:
        """The generation with how its file begins by now, if that is open."""
        handle = self._descriptors.get(self)
        if handle is None or self.generation.compression:
            return self.generation
        if os.fstat(handle).st_size >= self.generation.size:  # else it was truncated, and is another one
            head = head_of(lambda place, count: os.pread(handle, count, place))
            self.generation = msgspec.structs.replace(self.generation, head=head)
        return self.generation

    def may_have_grown(self, seen: Seen) -> bool:
        """Whether reading on would tell by itself that the file is another one: it is open, was read in part, and is
        not shorter."""
        if self._blocks is None or not self.generation.offset:
            return False
        return self._blocks.size_read <= seen.size

    def has_grown(self) -> bool:
        """Of a file without a name, which is open."""
        handle = self._descriptors.get(self)
        return handle is not None and self._blocks is not None and os.fstat(handle).st_size > self._blocks.size_read

    def goes_on_as(self, generation: Generation) -> None:
        """The same generation, as it was decided; in another place or file perhaps."""
        before, self.generation = self.generation, generation
        has_shrunk = self._blocks is not None and self._blocks.size_read > generation.size
        is_as_known = (before.identity, before.offset) == (generation.identity, generation.offset)
        # While nothing is consumed, the first block is compared with how the file began at the last look.
        is_head_known = bool(generation.offset) or before.head == generation.head
        if has_shrunk or not is_as_known or not is_head_known:
            self.restart()

    def restart(self) -> None:
        """Let go of all that was read ahead, and of the file."""
        self.close()
        self._forget()
        self.is_at_end = False

    def close(self) -> None:
        self.is_kept_open = False
        self._blocks = None
        self._descriptors.close(self)

    def keep_open(self) -> bool:
        """Its name is gone; whether it can still be read."""
        self.is_kept_open = self._descriptors.keep(self)
        return self.is_kept_open

    def _handle(self) -> int:
        handle = self._descriptors.get(self)
        if handle is None:
            handle = self._descriptors.open(self, self.generation.path, self.generation.identity)
        return handle

    def _open(self) -> PlainBlocks | ZippedBlocks:
        """At the offset, after making sure that the file is what it was."""
        generation = self.generation
        tail, head = generation.tail, generation.head
        blocks: PlainBlocks | ZippedBlocks
        if generation.compression:
            blocks = ZippedBlocks(PlainBlocks(self._handle, 0, b""))
            self._before = blocks.skip_to(generation.offset)
            if blocks.position < generation.offset and not blocks.is_complete and not blocks.damage:
                raise NotYetThere
        else:
            handle = self._handle()
            self._before = os.pread(handle, tail.length, generation.offset - tail.length)
            if mark(os.pread(handle, head.length, 0)) != head:
                raise NotTheFile
            blocks = PlainBlocks(self._handle, generation.offset, self._before)
        if mark(self._before) != tail:
            raise NotTheFile
        self._trail = Trail(generation.offset, self._before)
        return blocks

    def _fill(self, room: int, turn: int) -> None:
        if self._blocks is None:
            self._blocks = self._open()
        fed = 0
        while not self.is_at_end and fed <= turn and len(self._lines) < room and self._held < turn:
            fed += self._feed(self._blocks)

    def _feed(self, blocks: PlainBlocks | ZippedBlocks) -> int:
        data, start = blocks.read(max(0, self._size - blocks.position))
        if len(data) == start:
            self.is_at_end = True
            return 0
        if self._trail.position == 0 and not self.generation.compression:
            self._check_head(data)
        self._trail.add(data, start)
        self._lines += self._cutter.cut(data, start)
        if self._cutter.unfinished and not self._cutter.has_rest and (hole := blocks.skip_hole()):
            self._trail.add_nuls(hole)
            self._cutter.add_nuls(hole)
        return len(data) - start

    def _check_head(self, data: bytes) -> None:
        """The first block has no bytes before it that tell whether the file is what it was."""
        head = self.generation.head
        if mark(data[: head.length]) != head:
            raise NotTheFile

    @property
    def _held(self) -> int:
        """Bytes of the lines that were read and not kept."""
        return self._trail.position - self.generation.offset - self._cutter.unfinished

    def _count(self, room: int, turn: int) -> int:
        count = min(room, len(self._lines))
        if self._held <= turn:
            return count
        ends = list(accumulate(map(len, self._lines[:count])))
        return max(1, bisect_right(ends, turn))

    def _after(self, lines: list[Line], end: int, count: int, at: float) -> Generation:
        before, head = self.generation, self.generation.head
        self._last = last_bytes(lines, self._before)
        if before.offset < REACH:
            head = mark(first_bytes(lines, self._before))
        return msgspec.structs.replace(
            before,
            offset=end,
            lines=before.lines + count,
            head=head,
            tail=mark(self._last),
            posts=self._trail.posts_until(before.posts, end),
            size=before.size if before.compression else max(before.size, end),
            is_open_ended=not _is_ended(lines[-1]),
            updated=at,
        )


def _is_ended(line: Line) -> bool:
    return line.is_ended if isinstance(line, OddLine) else line.endswith(b"\n")
