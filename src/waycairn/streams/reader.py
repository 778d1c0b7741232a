"""Reads growing files: what is new in them, in batches, each with the generations as they are after it.

The reader remembers nothing that was not kept: `take` gives a batch, and only `keep` moves on. It holds no database and
knows no run.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Sequence
from typing import TypeAlias

import msgspec

from waycairn.ports import Clock
from waycairn.streams.content import opened
from waycairn.streams.decisions import Decision, Gone, is_open, sleeps
from waycairn.streams.descriptors import Descriptors, NotTheFile
from waycairn.streams.discovery import AnyPath, Discovery, Seen
from waycairn.streams.endings import Damaged, Ended, Endings
from waycairn.streams.lag import Lag, lag_between
from waycairn.streams.matching import Matching
from waycairn.streams.options import ReadOptions
from waycairn.streams.parsing import Parser
from waycairn.streams.records import FileState, Generation, Portion, Taken
from waycairn.streams.roster import Roster
from waycairn.streams.tails import NotYetThere, Tail

_Given: TypeAlias = tuple[Tail, int, Portion]
"""The lines of the tail that make the portion: none for what is said of the file as a whole."""
_READ = {FileState.ACTIVE, FileState.ROTATED}


class Reader:
    """Reads the files of some patterns on from generations as they were stored. Not thread-safe.

    Batches are taken one after the other: each is kept or put back before the next is asked for.
    """

    def __init__(
        self,
        patterns: Sequence[AnyPath],
        generations: Sequence[Generation],
        parser: Parser,
        options: ReadOptions,
        clock: Clock,
    ) -> None:
        self._parser, self._options, self._clock = parser, options, clock
        self._endings = Endings(options)
        self._discovery = Discovery(patterns)
        self._descriptors = Descriptors(options.open_files)
        known = [one for one in generations if not self._is_expired(one)]
        self._roster = Roster(known, max((one.id for one in generations), default=0))
        self._tails: dict[int, Tail] = {}
        self._groups: dict[bytes, set[Tail]] = {}
        """By the path of which they are rotated forms: the older ones are read first."""
        self._ready: OrderedDict[Tail, None] = OrderedDict()
        """Those that may have something to read, in the order of their turns."""
        self._settled: dict[bytes, Seen] = {}
        """Files as they were when it was decided what they are."""
        self._given: Taken | None = None
        self._out: list[_Given] = []
        self._is_put_back = False
        self._is_look_due = True
        self._has_looked = False
        self._originals: set[int | None] = set()
        """Those that have copies which sleep."""
        self._ending: set[Tail] = set()
        """Those that will be finished at some time."""
        self._are_ends_due = self._is_undecided = False
        self._at = 0.0

    def _is_expired(self, generation: Generation) -> bool:
        age = self._clock.now() - generation.updated
        return generation.state is FileState.MISSING and age > self._options.keep_missing

    # -- looking ---------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Look which files are there and have changed. What was found rides in the next batch. While a batch is out,
        it is put off until that is kept."""
        self._is_look_due = True
        if self._given is None:
            self._look()

    def _look(self) -> None:
        self._is_look_due = False
        self._are_ends_due = True
        now = self._clock.monotonic()
        found, noticed = self._discovery.scan()
        self._roster.noticed += noticed
        gone = self._settled.keys() - found.keys()
        for path in self._roster.unreadable.keys() - found.keys():
            del self._roster.unreadable[path]
        changed = [seen for path, seen in found.items() if self._settled.get(path) is not seen]
        self._look_at_deleted(now)
        self._is_undecided = False
        if not changed and not gone and self._has_looked:
            return
        for path in gone:
            del self._settled[path]
        grown = {seen.path: number for seen in changed if (number := self._grew(seen, now))}
        unknown = [seen for seen in changed if seen.path not in grown]
        for seen in unknown:
            self._settled.pop(seen.path, None)
        if unknown or gone or not self._has_looked or self._originals.intersection(grown.values()):
            self._look_into_moved(found)
            self._decide(unknown, grown.values(), now)
        self._has_looked = True

    def _look_at_deleted(self, now: float) -> None:
        """No directory tells about files without a name."""
        for tail in self._ending:
            if tail.is_kept_open and tail.has_grown():
                tail.quiet_since, tail.is_at_end = now, False
                self._ready[tail] = None

    def _look_into_moved(self, found: dict[bytes, Seen]) -> None:
        """Files of which nothing was consumed and that are not where they were: how they begin is all that tells them
        under another name."""
        for number, tail in self._tails.items():
            seen = found.get(tail.generation.path)
            if not tail.generation.offset and (seen is None or seen.identity != tail.generation.identity):
                self._roster.generations[number] = tail.with_head()

    def _grew(self, seen: Seen, now: float) -> int:
        """The generation of a file that is open and is longer now, else 0. Whether its bytes are still the same is seen
        when reading goes on."""
        before = self._settled.get(seen.path)
        if before is None or before.identity != seen.identity:
            return 0
        tail = next((tail for tail in self._groups.get(seen.base, ()) if self._file_of(tail) is before), None)
        if tail is None or not tail.may_have_grown(seen):
            return 0
        self._roster.files[tail.generation.id] = self._settled[seen.path] = seen
        tail.grew(seen, now)
        self._roster.generations[tail.generation.id] = tail.generation
        self._ready[tail] = None
        return tail.generation.id

    def _file_of(self, tail: Tail) -> Seen | None:
        return self._roster.files.get(tail.generation.id)

    def _decide(self, unknown: list[Seen], grown: Collection[int], now: float) -> None:
        roster = self._roster
        settled = {number: seen for number, seen in roster.files.items() if self._settled.get(seen.path) is seen}
        known = list(roster.generations.values())
        matching = Matching(
            known, settled, grown, look_into=opened, base_of=self._discovery.base_of, on_copy=self._options.on_copy
        )
        for decision in matching.decide(sorted(unknown, key=lambda seen: (seen.base, seen.rank, seen.path))):
            self._apply(decision, now)
        self._follow(now)
        self._originals = {one.copy_of for one in roster.generations.values() if sleeps(one)}

    def _apply(self, decision: Decision, now: float) -> None:
        at = self._clock.now()
        if not isinstance(decision, Gone):
            self._roster.unreadable.pop(decision.seen.path, None)
            self._roster.apply(decision, at)
            if not is_open(decision):
                self._settled[decision.seen.path] = decision.seen
            elif decision.seen.path not in self._roster.unreadable:
                self._is_undecided = True
            return
        tail = self._tails.get(decision.generation.id)
        if tail is None or not (tail.is_kept_open or tail.keep_open()):
            self._roster.apply(decision, at)
        elif decision.generation.id in self._roster.files:  # its name went just now
            tail.quiet_since, tail.is_at_end = now, False
            self._roster.deleted(tail.generation, at)

    def _follow(self, now: float) -> None:
        """Tails for the generations that are to be read, as they are now."""
        for number in self._roster.touched:
            generation, tail = self._roster.generations[number], self._tails.get(number)
            if generation.state not in _READ:
                self._drop(tail)
                continue
            if tail is None:
                tail = self._tails[number] = Tail(generation, self._descriptors, self._options.line_limit)
            tail.goes_on_as(generation)
            seen = self._roster.files.get(number)
            self._groups.get(tail.base, set()).discard(tail)
            if seen:
                tail.grew(seen, now)
                self._roster.generations[number] = tail.generation
            self._groups.setdefault(tail.base, set()).add(tail)
            self._ready[tail] = None
            if self._endings.concern(tail):
                self._ending.add(tail)
        self._roster.touched.clear()

    def _drop(self, tail: Tail | None) -> None:
        if tail is None:
            return
        tail.close()
        self._tails.pop(tail.generation.id, None)
        self._ready.pop(tail, None)
        self._ending.discard(tail)
        group = self._groups.get(tail.base, set())
        group.discard(tail)
        if not group:
            self._groups.pop(tail.base, None)

    # -- taking ----------------------------------------------------------------------------------------------

    def take(self, events: int, until: float | None = None) -> Taken | None:
        """The next batch: up to `events` lines, or as many as are had until that time of the monotonic clock. None if
        there is nothing to read just now and nothing has changed. Never waits."""
        if self._given is None:
            return self._take_new(events, until)
        if not self._is_put_back:
            raise RuntimeError("a batch is out already: keep it or put it back before the next is taken")
        self._is_put_back = False
        self._given = self._taken([(tail, count, self._again(tail, count, old)) for tail, count, old in self._out])
        return self._given

    def _again(self, tail: Tail, count: int, old: Portion) -> Portion:
        """New events: those of the batch that was not committed may have been changed by those who had them."""
        return tail.portion(count, self._parser, self._at) if count else old

    def _take_new(self, events: int, until: float | None) -> Taken | None:
        self._at = self._clock.now()
        out: list[_Given] = []
        for _ in range(2):  # once more if what was read made somebody doubt what file it is
            if self._is_look_due:
                self._look()
            out = self._next(max(1, events), until)
            if out:  # while these are out, nobody looks
                break
        if not (out or self._roster.changed or self._roster.noticed):
            return None
        self._given = self._taken(out)
        return self._given

    def _next(self, events: int, until: float | None) -> list[_Given]:
        out = self._finished() if self._are_ends_due else []
        # At the end of all files some may be finished, and their last lines are ready.
        return out or self._portions(events, until) or self._finished() or self._portions(events, until)

    def _taken(self, out: list[_Given]) -> Taken:
        self._out = out
        changed = {**self._roster.changed, **{portion.after.id: portion.after for _, _, portion in out}}
        return Taken(
            portions=[portion for _, _, portion in out],
            changed=list(changed.values()),
            noticed=list(self._roster.noticed),
        )

    def _portions(self, events: int, until: float | None) -> list[_Given]:
        out: dict[Tail, _Given] = {}
        later: dict[Tail, None] = {}
        budget = self._options.turn
        try:
            while self._ready and events > 0 and budget > 0 and not self._is_late(until):
                tail, _ = self._ready.popitem(last=False)
                later[tail] = None
                if tail.generation.id in self._roster.jumped or self._waits_for_elder(tail, out):
                    continue
                count = self._lines_of(tail, events, budget)
                if count:
                    portion = tail.portion(count, self._parser, self._at)
                    out[tail] = (tail, count, portion)
                    events -= count
                    budget -= portion.counts.bytes
                    continue
                del later[tail]
                # There is more of it, if a line is longer than a turn; or it is the turn of those that waited for it.
                again = [tail] if tail.has_more(0) else self._groups[tail.base] & later.keys() - out.keys()
                self._ready.update(dict.fromkeys(again))
        finally:
            self._ready.update(later)
        return list(out.values())

    def _is_late(self, until: float | None) -> bool:
        return until is not None and self._clock.monotonic() >= until

    def _lines_of(self, tail: Tail, events: int, turn: int) -> int:
        try:
            return tail.read(events, turn)
        except NotTheFile:
            self._doubt(tail)
        except NotYetThere:
            tail.restart()
        except FileNotFoundError:
            self._doubt(tail)
        except OSError as error:
            tail.restart()
            self._settled.pop(tail.generation.path, None)  # the next look tries again
            self._roster.refuse(tail.generation.path, f"cannot be read: {error.strerror}")
        tail.is_at_end = True  # nothing can be had of it until somebody has looked again
        return 0

    def _doubt(self, tail: Tail) -> None:
        """Its bytes are not what they were: who it is, is decided anew."""
        tail.restart()
        self._settled.pop(tail.generation.path, None)
        self._is_look_due = True

    def _waits_for_elder(self, tail: Tail, out: dict[Tail, _Given]) -> bool:
        """Of the rotated forms of one file the older are read first, as far as they can be read now."""
        group = self._groups.get(tail.base, ())
        if len(group) < 2:
            return False
        order = (tail.rank, tail.generation.id)
        elders = [other for other in group if (other.rank, other.generation.id) < order]
        return any(other.has_more(out[other][1] if other in out else 0) for other in elders)

    # -- ends ------------------------------------------------------------------------------------------------

    def _finished(self) -> list[_Given]:
        """What follows from files that are finished: last lines become ready, generations are done, and those that are
        damaged give a dead letter."""
        self._are_ends_due = False
        now = self._clock.monotonic()
        out = []
        for tail in [tail for tail in self._ending if tail not in self._ready and not tail.has_more(0)]:
            match self._endings.of(tail, now - tail.quiet_since):
                case Damaged(error):
                    out.append(self._damaged(tail, error))
                case Ended(is_done):
                    self._end(tail, is_done)
        return out

    def _end(self, tail: Tail, is_done: bool) -> None:
        if tail.take_rest():
            self._ready[tail] = None
        elif is_done:
            self._roster.finish(tail.generation, self._at)
            self._drop(tail)

    def _damaged(self, tail: Tail, error: str) -> _Given:
        dead, counts = self._parser.refuse(tail.damaged(error, self._at))
        after = msgspec.structs.replace(tail.generation, state=FileState.DONE, updated=self._at)
        portion = Portion(before=tail.generation, after=after, events=(), places=(), dead=dead, counts=counts)
        return tail, 0, portion

    @property
    def is_drained(self) -> bool:
        """With `once`: everything that is there was read and kept. A rotated file whose last line has no end is waited
        for until it is finished."""
        if not self._options.once or self._given or self._ready or self._is_look_due or self._roster.changed:
            return False
        return not self._is_undecided and not any(self._endings.is_waited_for(tail) for tail in self._ending)

    @property
    def unreadable(self) -> dict[bytes, str]:
        """What is there and cannot be read, and why, as of now."""
        return {**self._discovery.failed, **self._roster.unreadable}

    # -- keeping ---------------------------------------------------------------------------------------------

    def keep(self, taken: Taken) -> None:
        """It is committed."""
        self._check(taken)
        out, self._out, self._given = self._out, [], None
        self._roster.keep(taken.changed)
        for tail, count, portion in out:
            tail.keep(portion.after, count)
            if portion.after.state not in _READ:
                self._drop(tail)
            elif tail.has_more(0):
                self._ready[tail] = None

    def put_back(self, taken: Taken) -> None:
        """It was not committed: the next batch is the same again."""
        self._check(taken)
        self._is_put_back = True

    def forget(self, taken: Taken) -> None:
        """It was not committed: its lines are read again, in batches of another size perhaps."""
        self._check(taken)
        for tail, _, _ in reversed(self._out):  # it keeps its turn
            self._ready[tail] = None
            self._ready.move_to_end(tail, last=False)
        self._given, self._out = None, []

    def refuse(self, taken: Taken, error: str) -> Taken:
        """The same batch, of one line, with that as a dead letter. Raises LineUnusable where there are to be none."""
        self._check(taken)
        ((tail, count, portion),) = self._out
        self._given = self._taken([(tail, count, tail.refused(portion, self._parser, error))])
        return self._given

    def _check(self, taken: Taken) -> None:
        if taken is not self._given or self._is_put_back:
            raise ValueError("this batch is not the one that is out")

    # -- beside ----------------------------------------------------------------------------------------------

    def lag(self) -> Lag:
        """How far it is behind the files as they were looked at last."""
        pairs = [(self._roster.generations[number], seen) for number, seen in self._roster.files.items()]
        return lag_between(pairs, self._clock.now())

    def close(self) -> None:
        """Close all files. Nothing is lost by it: what was not kept is read again by the next reader."""
        self._descriptors.close_all()
