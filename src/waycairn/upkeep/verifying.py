"""Reading everything back and comparing it with its hashes: each block once, whatever needs it, in the order of the files.

1. Packs: are they there and long enough; at level `structure` also header, footer and trailer.
2. Chunks: page by page through the index; at level `data` each block is read, decompressed and hashed, by two threads.
   Damaged chunks are marked, so that no save finds them again: the same content is written anew.
3. States: manifest and root hash by the index that was just read, and whether a damaged chunk is among what they need.
   Nothing is read again for that.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress

from waycairn.chunks import IndexTable, check_ends
from waycairn.chunks.referring import runs_in
from waycairn.errors import Damaged
from waycairn.model.damage import PackRow
from waycairn.model.ids import CheckpointId, PackId
from waycairn.model.records import ChunkPlace, RunRecord
from waycairn.model.states import CheckpointStatus
from waycairn.model.verify_part import ALL, Level, Part
from waycairn.store import StoreCore
from waycairn.upkeep.places import away_packs
from waycairn.upkeep.quarantine import CANNOT_BE_WRITTEN, mark, placed
from waycairn.upkeep.stored_states import Only, StoredState, states
from waycairn.upkeep.verified import Broken, Restores, Verified
from waycairn.world.crashpoints import crashpoint

__all__ = ["NOTE", "Broken", "Tell", "Verified", "verify", "verify_when_due"]

NOTE = "verify"
"""The name under which the catalog remembers the last verification of a whole store."""
_PAGE = 512
"""Chunks that are asked for at once; blocks that lie in the catalog come with them."""
_MARK_AT_ONCE = 1000

Tell = Callable[[str, int], None]
"""Called now and then with what is looked at and how many bytes were read since the last call."""


def verify(
    core: StoreCore,
    only: Only = None,
    *,
    level: Level = "data",
    part: str = "all",
    marking: bool = True,
    tell: Tell = lambda _what, _size: None,
) -> Verified:
    """Verify the store, a run with its phases or one checkpoint. Damaged checkpoints are marked (unless `marking` is false: then
    nothing is changed), so that nobody restores them. Also while jobs work in the store, and a sweep. Raises ValueError for a part that is none.

    What was marked before is counted, and stays marked: `waycairn repair` looks whether it can be read again.
    """
    began = core.clock.monotonic()
    found = Verified(level=level, part=part)
    look = _Look(core, only, level=level, part=Part.parse(part), found=found, marking=marking, tell=tell)
    look.packs()
    look.chunks()
    look.states()
    _restores(core, found)
    found.seconds = core.clock.monotonic() - began
    if only is None and marking:
        look.note()
    return found


class _Stopped(Exception):
    """In the midst of reading."""


def verify_when_due(core: StoreCore, now: float, stop: Callable[[], bool] = lambda: False) -> Verified | None:
    """As the settings say, if the last verification is long enough ago; else None, and also if `stop` says so meanwhile:
    then nothing was marked and nothing is noted."""
    settings = core.settings.verify
    last = core.catalog.upkeep_note(NOTE)
    # A time in the future is of a clock that was set back: it must not keep verifications away.
    if not settings.interval or (last is not None and 0 <= now - last.at < settings.interval):
        return None

    def look_whether_to_stop(_what: str, _size: int) -> None:
        if stop():
            raise _Stopped

    try:
        return verify(core, part=settings.upkeep_read_data, tell=look_whether_to_stop)
    except _Stopped:
        return None


class _Look:
    """One verification."""

    def __init__(
        self, core: StoreCore, only: Only, *, level: Level, part: Part, found: Verified, marking: bool, tell: Tell
    ) -> None:
        self._core = core
        self._only = only
        self._level = level
        self._part = part
        self._found = found
        self._marking = marking
        self._tell = tell
        self._table = IndexTable()
        self._rows: Sequence[PackRow] = core.catalog.pack_rows()
        self._away = away_packs(core)
        found.away_packs = len(self._away)
        self._sizes: dict[PackId, int] = {}
        self._chosen = part.packs(self._rows)
        last = core.catalog.upkeep_note(NOTE)
        self._turn = 1 + int(last.facts.get("turn", 0)) if last else 0
        self._marked = dict(core.catalog.marked_chunks())
        self._unread = self._marked.keys()
        self._bad: dict[int, str] = {}
        self._bases: dict[int, int] = {}

    # -- packs -----------------------------------------------------------------------------------------------------

    def packs(self) -> None:
        """Which are there; and what is said at their ends."""
        if self._only is not None:
            return  # only some of them concern it, and those are read
        used = self._core.catalog.pack_ends()
        for row in self._rows:
            if row.id not in used or row.id in self._away:
                continue  # condemned: a sweep removes the file before the row; or in an archive that is not there
            self._tell(f"pack {row.id}", 0)
            if damage := self._damage_of_pack(row, used[row.id]):
                self._found.damaged_packs[row.id] = damage

    def _damage_of_pack(self, row: PackRow, end: int) -> str | None:
        info = self._core.blobs.head(row.id)
        self._sizes[row.id] = 0 if info is None else info.size
        if info is None or info.size < max(row.size, end):
            there = "is missing" if info is None else f"has {info.size} bytes of {max(row.size, end)}"
            # A sweep may have removed it since the rows were read.
            return f"pack {row.id} {there}" if row.id in self._core.catalog.pack_ends() else None
        if self._level == "quick":
            return None
        try:
            digest = check_ends(self._core.blobs, self._core.catalog.info, row.id)
        except Damaged as error:
            return str(error)
        return None if digest == row.digest else f"pack {row.id} is not the one that was committed: its digest differs"

    # -- chunks ----------------------------------------------------------------------------------------------------

    def chunks(self) -> None:
        reading: set[int] = set()
        for done in self._core.examine(self._pages(reading)):
            self._found.chunks += done.chunks
            self._found.raw_bytes += done.raw_bytes
            self._found.stored_bytes += done.stored_bytes
            self._bad.update((place.number, damage) for place, damage in done.bad)
            self._tell("chunks", done.raw_bytes)
        self._bad = self._confirmed(self._bad)
        if self._marking:
            mark(self._core, {number: self._bad[number] for number in self._bad.keys() - self._marked.keys()})
        crashpoint("verify.chunks")
        unread = {number: damage for number, damage in self._marked.items() if number not in reading}
        self._found.damaged_chunks = self._with_differences({**unread, **self._bad})

    def _pages(self, reading: set[int]) -> Iterator[Sequence[ChunkPlace]]:
        """Those to be read; all of them get into the table. `reading` takes up the marked ones among them."""
        for places in self._index():
            self._table.add(places)
            self._bases.update((place.number, place.block.base) for place in places if place.block.base is not None)
            if self._level != "data":
                self._bad.update(filter(None, map(self._beyond, places)))
                continue
            wanted = [place for place in places if self._is_wanted(place)]
            reading.update(place.number for place in wanted if place.number in self._unread)
            yield wanted

    def _index(self) -> Iterator[Sequence[ChunkPlace]]:
        if self._only is not None:
            yield from self._needed()
            return
        after = -1
        while page := self._core.catalog.index_after(after, _PAGE):
            self._bad.update(
                (number, f"chunk {number} lies in a block that the index has lost") for number in page.homeless
            )
            after = page.last
            yield page.places

    def _needed(self) -> Iterator[Sequence[ChunkPlace]]:
        """Of the states that were asked for. A manifest that cannot be read names none: it is told later."""
        numbers: set[int] = set()
        for state in states(self._core, self._only):
            if state.checkpoint is None or state.checkpoint.status is not CheckpointStatus.DAMAGED:
                numbers.update(number for first, count in _runs_of(state) for number in range(first, first + count))
        return placed(self._core, numbers)

    def _is_wanted(self, place: ChunkPlace) -> bool:
        pack = place.block.pack
        if pack in self._away:
            return False
        if self._part is ALL or self._only is not None:
            return True
        return self._part.has_inline(place.block.number, self._turn) if pack is None else pack in self._chosen

    def _beyond(self, place: ChunkPlace) -> tuple[int, str] | None:
        """What a look at the sizes of the packs tells of a chunk."""
        block = place.block
        if block.pack is None or block.offset + block.stored_length <= self._sizes.get(block.pack, 1 << 62):
            return None
        return place.number, f"chunk {place.number} lies in pack {block.pack}, which is missing or too short"

    def _confirmed(self, bad: Mapping[int, str]) -> dict[int, str]:
        """A sweep or an optimize may have moved or removed them since their place was read: once more, by their place as of
        now."""
        confirmed: dict[int, str] = {}
        for numbers in _some(sorted(bad)):
            places = self._core.catalog.locate_chunks(numbers)
            for done in self._core.examine([list(places.values())]):
                confirmed.update((place.number, damage) for place, damage in done.bad)
            homeless = (number for number in numbers if number not in places and self._is_homeless(number))
            confirmed.update((number, bad[number]) for number in homeless)
        return confirmed

    def _with_differences(self, bad: dict[int, str]) -> dict[int, str]:
        """Also those that are the difference to a damaged one."""
        hurt = set(bad)
        while hurt:
            hurt = {number for number, base in self._bases.items() if base in hurt and number not in bad}
            for number in hurt:
                below = bad[self._bases[number]]
                bad[number] = f"chunk {number} is the difference to a damaged one: {below}"
        return bad

    def _is_homeless(self, number: int) -> bool:
        page = self._core.catalog.index_after(number - 1, 1)
        return page is not None and number in page.homeless

    # -- states ----------------------------------------------------------------------------------------------------

    def states(self) -> None:
        roots = self._core.roots(self._table)
        bad = sorted(self._found.damaged_chunks)
        for state in states(self._core, self._only):
            self._count(state)
            if state.checkpoint is not None and state.checkpoint.status is CheckpointStatus.DAMAGED:
                known = state.checkpoint.damage or "marked without a reason"
                self._add(state, known, known=True)
                continue
            damage = None
            try:
                runs = (
                    [(run.first, run.count) for run in roots.runs_of(state.stored)]
                    if self._level != "quick"
                    else _runs_of(state)
                )
            except Damaged:
                damage, runs = self._opened(state), list(_runs_of(state))
            damage = damage or self._among(runs, bad)
            if damage and self._is_there(state):
                self._add(state, damage, known=False)

    def _count(self, state: StoredState) -> None:
        if state.checkpoint is not None:
            self._found.checkpoints += 1
        elif state.is_step:
            self._found.steps += 1
        else:
            self._found.results += 1

    def _opened(self, state: StoredState) -> str | None:
        """By the index as it is now: what was committed since it was read is not in the table."""
        try:
            self._core.open(state.stored)
        except Damaged as error:
            return str(error)
        return None

    def _among(self, runs: Collection[tuple[int, int]], bad: Sequence[int]) -> str | None:
        for first, count in runs if bad else ():
            at = bisect_left(bad, first)
            if at < len(bad) and bad[at] < first + count:
                return self._found.damaged_chunks[bad[at]]
        return None

    def _is_there(self, state: StoredState) -> bool:
        """Not deleted meanwhile, and swept."""
        if state.checkpoint is not None:
            return self._core.catalog.get_checkpoint(state.checkpoint.run, state.checkpoint.sequence) is not None
        return state.run is None or self._core.catalog.get_run(state.run.id) is not None

    def _add(self, state: StoredState, damage: str, *, known: bool) -> None:
        record = state.checkpoint
        if record is not None and not known and self._marking:
            with suppress(*CANNOT_BE_WRITTEN):
                self._core.catalog.mark_checkpoint(record.run, record.sequence, CheckpointStatus.DAMAGED, damage)
            crashpoint("verify.checkpoint")
        run = record.run if record is not None else state.run.id if state.run is not None else None
        self._found.broken.append(Broken(state.name, damage, known, run))

    # -- notes -----------------------------------------------------------------------------------------------------

    def note(self) -> None:
        """What was found intact, and when."""
        intact = self._intact() if self._level == "data" else []
        self._found.packs = len(intact)
        now = self._core.clock.now()
        with suppress(*CANNOT_BE_WRITTEN):
            self._core.catalog.note_verified(intact, now)
            self._core.catalog.note_upkeep(NOTE, now, {**self._found.facts(), "turn": self._turn})
        crashpoint("verify.noted")

    def _intact(self) -> list[PackId]:
        """Of those that were read."""
        places = self._core.catalog.locate_chunks(sorted(self._found.damaged_chunks))
        hurt = {place.block.pack for place in places.values()} | self._found.damaged_packs.keys()
        return [row.id for row in self._rows if row.id in self._chosen and row.id in self._sizes and row.id not in hurt]


def _runs_of(state: StoredState) -> Sequence[tuple[int, int]]:
    """The chunks that it needs; none if its manifest cannot be read."""
    try:
        return runs_in(state.stored.manifest)
    except Damaged:
        return ()


def _some(numbers: Sequence[int]) -> Iterator[list[int]]:
    return (list(numbers[at : at + _MARK_AT_ONCE]) for at in range(0, len(numbers), _MARK_AT_ONCE))


def _restores(core: StoreCore, found: Verified) -> None:
    """The newest intact checkpoint of each run that has damage."""
    for id_ in dict.fromkeys(broken.run for broken in found.broken):
        run = None if id_ is None else core.catalog.get_run(id_)
        if run is not None:
            found.restores.append(Restores(run.id, run.name, _newest(core, run)))


def _newest(core: StoreCore, run: RunRecord) -> CheckpointId | None:
    for role in ("state", "value", "result"):
        record = core.catalog.latest_checkpoint(run.id, role=role)
        if record is not None:
            return record.id
    return None
