"""Repair: the chunk index is completed from the packs, and what is damaged in one place is taken from another.

What is sound is not touched. A row is written only where one is missing that a manifest needs, or where the chunk cannot be
read by the row that is there, and only after the bytes were read by the new row and found to be the chunk. Nothing is
deleted, neither packs nor checkpoints. All rows go in one transaction under the sweep epoch, after a copy of the catalog was
put aside; killed anywhere it can be begun again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from msgspec import structs

from waycairn.chunks import Listing, list_what_is_proven
from waycairn.chunks.referring import runs_in
from waycairn.errors import Damaged, SweptMeanwhile
from waycairn.model.damage import Mending
from waycairn.model.ids import CheckpointId, PackId
from waycairn.model.records import CheckpointFilter, ChunkPlace, NewBlock, NewChunk, NewPack
from waycairn.model.repair import RepairReport
from waycairn.model.spans import Spans
from waycairn.model.states import CUT_BACK, CheckpointStatus
from waycairn.store import StoreCore
from waycairn.upkeep.quarantine import placed
from waycairn.upkeep.stored_states import states
from waycairn.upkeep.verifying import verify
from waycairn.world.crashpoints import crashpoint

NOTE = "repair"
_PAGE = 512
_MANY = 65_536
_AGAIN = 4
"""Sweeps that may come between a look and its transaction, one after the other."""
_ROUNDS = 16
"""Differences upon differences, each of which can be read only when the one below it was mended."""


def repair(core: StoreCore, *, dry_run: bool = False) -> RepairReport:
    """All of it once: verify, then mend. Jobs may work in the store meanwhile. Raises SweptMeanwhile, with nothing wrong, if
    sweeps come between again and again."""
    began = core.clock.monotonic()
    crashpoint("repair.begin")
    report = RepairReport(dry_run=dry_run)
    verified = verify(core, marking=not dry_run)
    damaged = set(verified.damaged_chunks)
    for _ in range(_ROUNDS):
        report, mended = _in_peace(core, report, damaged)
        damaged -= mended
        if dry_run or not mended:
            break
    core.forget_chunks()
    report = replace(report, healed=tuple(_healed(core, dry_run=dry_run)))
    if not dry_run:
        facts = {
            "chunks": report.chunks,
            "replaced": report.replaced,
            "healed": len(report.healed),
            "lost": report.lost,
        }
        core.catalog.note_upkeep(NOTE, core.clock.now(), facts)
    crashpoint("repair.done")
    return replace(report, seconds=core.clock.monotonic() - began)


def _in_peace(core: StoreCore, report: RepairReport, damaged: Collection[int]) -> tuple[RepairReport, set[int]]:
    """One round; again if a sweep came between, because what was looked at may be gone."""
    for _ in range(_AGAIN):
        with suppress(SweptMeanwhile):
            return _mend(core, report, damaged)
    return _mend(core, report, damaged)


def _mend(core: StoreCore, report: RepairReport, damaged: Collection[int]) -> tuple[RepairReport, set[int]]:
    # 1. What is wrong.
    found = _look(core, damaged)
    listings = list(_listings(core))
    report = replace(report, unlisted=tuple((pack, one.damage) for pack, one in listings if one.damage))
    # 2. What is right, proven by reading it.
    mending, report = _mending(core, found, listings, report)
    mended = {chunk.number for chunk in mending.chunks} | set(mending.released)
    if report.dry_run:
        return report, mended
    # 3. The old catalog is put aside, then all rows change at once.
    if report.copy is None and (mended or mending.packs):
        crashpoint("repair.copy")
        report = replace(report, copy=core.catalog.copy_aside("before-repair"))
    crashpoint("repair.mend")
    core.catalog.mend(mending, found.epoch)
    crashpoint("repair.mended")
    return report, mended


@dataclass(slots=True)
class _Found:
    """What is wrong with the index."""

    epoch: int
    highest: int = 0
    """Number of a chunk that is there or needed."""
    missing: set[int] = field(default_factory=set)
    """Numbers that something needs, without a row, or with one that leads nowhere."""
    failing: dict[int, ChunkPlace] = field(default_factory=dict)
    """Chunks that cannot be read by the row that is there."""
    intact: set[int] = field(default_factory=set)
    """Chunks that are marked and can be read."""


# -- looking -------------------------------------------------------------------------------------------------------


def _look(core: StoreCore, damaged: Collection[int]) -> _Found:
    """`damaged`: chunks that a verification found."""
    found = _Found(core.catalog.sweep_epoch())
    present, bases = _present(core, found)
    needed = _needed(core) | Spans((base, 1) for base in bases)
    found.highest = max([found.highest, *(first + count - 1 for first, count in needed)])
    found.missing = {number for number in found.missing if number in needed}
    found.missing.update(_without(needed, present))
    marked = core.catalog.marked_chunks()
    suspects = {number for number in (*damaged, *marked) if number not in found.missing}
    for places in placed(core, suspects):
        bad = {place.number: place for done in core.examine([places]) for place, _ in done.bad}
        found.failing |= bad
        found.intact.update(place.number for place in places if place.number in marked and place.number not in bad)
    return found


def _present(core: StoreCore, found: _Found) -> tuple[Spans, set[int]]:
    """Chunks with a row that leads somewhere, and what they are the difference to."""
    runs: list[tuple[int, int]] = []
    bases: set[int] = set()
    after = -1
    while page := core.catalog.index_after(after, _PAGE):
        after = found.highest = page.last
        found.missing.update(page.homeless)
        runs += ((place.number, 1) for place in page.places)
        bases.update(place.block.base for place in page.places if place.block.base is not None)
        if len(runs) > _MANY:
            runs = list(Spans(runs))
    return Spans(runs), bases


def _needed(core: StoreCore) -> Spans:
    """By every manifest that can be read, also those of damaged checkpoints: these are what is to be mended."""
    runs: set[tuple[int, int]] = set()
    for state in states(core):
        try:
            runs.update(runs_in(state.stored.manifest))
        except Damaged:
            continue  # nobody knows what it needs; `verify` names it
        if len(runs) > _MANY:
            runs = set(Spans(runs))
    return Spans(runs)


def _without(needed: Spans, present: Spans) -> Iterator[int]:
    """Numbers of the one that are not in the other."""
    there = iter(present)
    first, count = next(there, (1 << 62, 0))
    for start, length in needed:
        at = start
        while at < start + length:
            while first + count <= at:
                first, count = next(there, (1 << 62, 1))
            if at < first:
                end = min(first, start + length)
                yield from range(at, end)
                at = end
            else:
                at = min(first + count, start + length)


def _listings(core: StoreCore) -> Iterator[tuple[PackId, Listing]]:
    for info in core.blobs.list():
        try:
            yield info.name, list_what_is_proven(core.blobs, core.catalog.info, info.name)
        except Damaged:
            continue  # gone meanwhile: a sweep
        crashpoint("repair.listed")


# -- mending -------------------------------------------------------------------------------------------------------


def _mending(
    core: StoreCore, found: _Found, listings: Sequence[tuple[PackId, Listing]], report: RepairReport
) -> tuple[Mending, RepairReport]:
    wanted = found.missing | found.failing.keys()
    taken = _apart(core, found, _taken(core, _offers(listings, wanted)))
    twins = _twins(core, {number: place for number, place in found.failing.items() if number not in taken})
    packs = _unknown(core, listings, taken)
    blocks = {place.block.number: place.block for place in taken.values()}
    listed = [chunk.number for _, one in listings if one.damage is None for chunk in one.data.chunks]
    mending = Mending(
        packs=packs,
        blocks=list(blocks.values()),
        chunks=[_row(place) for place in (taken | twins).values()],
        released=sorted(found.intact | taken.keys() | twins.keys()),
        behind=1 + max([found.highest, *listed]),
    )
    return mending, replace(
        report,
        chunks=report.chunks + len(taken),
        blocks=report.blocks + len(blocks),
        packs=report.packs + len(packs),
        replaced=report.replaced + len(twins),
        released=report.released + len(found.intact),
        lost=len(wanted - taken.keys() - twins.keys()),
    )


def _unknown(
    core: StoreCore, listings: Iterable[tuple[PackId, Listing]], taken: Mapping[int, ChunkPlace]
) -> list[NewPack]:
    """Packs without a row in which blocks lie."""
    used = {place.block.pack for place in taken.values()} | core.catalog.pack_ends().keys()
    known = core.catalog.packs()
    packs = (pack for _, listing in listings for pack in listing.data.packs)
    return [pack for pack in packs if pack.id in used and pack.id not in known]


def _apart(core: StoreCore, found: _Found, taken: Mapping[int, ChunkPlace]) -> dict[int, ChunkPlace]:
    """A block that others are read by keeps its row: the block of a chunk that is put back beside it is named by that chunk,
    as it would be had it been the first."""
    rows = {
        place.number: place for page in placed(core, {one.block.number for one in taken.values()}) for place in page
    }
    apart: dict[int, ChunkPlace] = {}
    for number, place in taken.items():
        row = rows.get(place.block.number)
        is_kept = row is not None and row.number not in found.failing and row.block.number == place.block.number
        clashes = is_kept and row is not None and row.block != place.block
        apart[number] = structs.replace(place, block=structs.replace(place.block, number=number)) if clashes else place
    return apart


def _row(place: ChunkPlace) -> NewChunk:
    return NewChunk(place.number, place.id, place.block.number, place.start, place.length)


def _offers(listings: Iterable[tuple[PackId, Listing]], wanted: set[int]) -> Mapping[int, list[ChunkPlace]]:
    """Number to the places that packs name for it, those of intact lists first."""
    offers: defaultdict[int, list[ChunkPlace]] = defaultdict(list)
    for _, listing in sorted(listings, key=lambda one: one[1].damage is not None):
        blocks: dict[int, NewBlock] = {block.number: block for block in listing.data.blocks}
        for chunk in listing.data.chunks:
            if chunk.number in wanted:
                place = ChunkPlace(chunk.number, chunk.id, chunk.start, chunk.length, blocks[chunk.block])
                offers[chunk.number].append(place)
    return offers


def _taken(core: StoreCore, offers: Mapping[int, Sequence[ChunkPlace]]) -> dict[int, ChunkPlace]:
    """Of each number the first place that can be read and is that chunk. What is the difference to a chunk that has to be
    mended itself is left for the next round."""
    taken: dict[int, ChunkPlace] = {}
    for at in range(max(map(len, offers.values()), default=0)):
        asked = {number: places[at] for number, places in offers.items() if number not in taken and len(places) > at}
        bad = {place.number for done in core.examine(_in_parts(asked)) for place, _ in done.bad}
        taken |= {number: place for number, place in asked.items() if number not in bad}
    return taken


def _in_parts(places: Mapping[int, ChunkPlace]) -> Iterator[list[ChunkPlace]]:
    ordered = [places[number] for number in sorted(places)]
    return (ordered[at : at + _PAGE] for at in range(0, len(ordered), _PAGE))


def _twins(core: StoreCore, failing: Mapping[int, ChunkPlace]) -> dict[int, ChunkPlace]:
    """The same content under another number, where it can be read."""
    found = core.catalog.find_chunks([place.id for place in failing.values()])
    others = {number: found[place.id] for number, place in failing.items() if found.get(place.id, number) != number}
    places = {place.number: place for page in placed(core, set(others.values())) for place in page}
    bad = {place.number for done in core.examine(_in_parts(places)) for place, _ in done.bad}
    return {
        number: structs.replace(places[other], number=number)
        for number, other in others.items()
        if other in places and other not in bad
    }


# -- checkpoints ---------------------------------------------------------------------------------------------------


def _healed(core: StoreCore, *, dry_run: bool) -> Iterator[CheckpointId]:
    """Those that are marked damaged and can be read: restored from again, unless their run went back behind them."""
    for record in core.catalog.list_checkpoints(CheckpointFilter(status=CheckpointStatus.DAMAGED)):
        try:
            core.verify(record.checkpoint.stored)
        except Damaged:
            continue
        is_behind = (record.damage or "").startswith(CUT_BACK)
        if not dry_run:
            status = CheckpointStatus.SET_ASIDE if is_behind else CheckpointStatus.VALID
            damage = (record.damage or "").partition(";")[0] if is_behind else None
            core.catalog.mark_checkpoint(record.run, record.sequence, status, damage)
            crashpoint("repair.healed")
        yield record.id
