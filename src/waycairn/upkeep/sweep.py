"""A sweep: the bytes of what was deleted, replaced or never committed are given back. Interruptible at any point.

What must never happen is that something goes which a commit refers to, one that is there or one that is under way. Three
things see to that, each by itself enough against most of what can go wrong:

- rows are removed in a transaction that looks once more at what was committed since (see `catalog.sweeping`), and that
  moves the sweep epoch: a save under way that leans on older chunks, or has just written packs, is refused by it and
  looks again what is there;
- files go only after that transaction, and only those that rows name: a pack without blocks is condemned for good;
- files that no row names are left alone for a grace time, and then go by the same way. A save that takes longer is not
  lost by that: its commit is refused and it is written again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from msgspec import structs

from waycairn.chunks.referring import REFERS_TO_NOTHING, runs_in
from waycairn.errors import SweptMeanwhile
from waycairn.model.ids import PackId
from waycairn.model.policies import Policies
from waycairn.model.retaining import given_up
from waycairn.model.sweeping import Awaited, Condemned, Mark, PackFill, Parts, Stride, SweepReport, summary
from waycairn.ports import Blobs
from waycairn.process import FileOwnership
from waycairn.store import StoreCore
from waycairn.upkeep import events
from waycairn.upkeep.auditing import audited, cut_if_due, record
from waycairn.upkeep.condemned import delete_condemned
from waycairn.upkeep.leftovers import leftovers, remove_leftovers
from waycairn.upkeep.retain import Tally, drop_retained, give_up, leave_to_others, spare, would_drop
from waycairn.world.crashpoints import crashpoint

_ROUNDS = 8
"""Of giving up checkpoints for room."""
_SPARE = 0.25
"""Of the catalog's file: so much may be empty, for the rows of the next saves."""
_FEWEST, _FIRST, _MOST = 200, 2_000, 150_000
"""Chunks and their blocks that one transaction removes. The pages of so many rows fit into the cache of a connection."""
_MARKS = 8
"""Sweeps of others that may come between a mark and its transaction before this one leaves the rest to them."""


def never() -> bool:
    return False


def sweep(
    core: StoreCore,
    *,
    dry_run: bool = False,
    grace: float | None = None,
    is_asked: bool = True,
    stop: Callable[[], bool] = never,
) -> SweepReport:
    """All of it once. Of several at once each removes what the others have not. `stop` is asked between transactions. Raises
    Damaged if a manifest cannot be read: then nothing of chunks and packs was removed. One that nobody asked for stands in
    the audit log only if policies let checkpoints go: else it gives back the bytes of what commits dropped, and nothing that
    has a name."""
    began = core.clock.monotonic()
    if grace is None:
        grace = core.settings.upkeep.grace
    crashpoint("sweep.begin")
    if dry_run:
        report = _would_remove(core, grace)
    elif is_asked:
        report = _remove_audited(core, grace, stop)
    else:
        report = core.meter.timed("sweep", _remove, core, grace, stop)
        if report.checkpoints:
            record(core, "sweep", facts=summary(report))
    crashpoint("sweep.done")
    report = replace(report, seconds=core.clock.monotonic() - began)
    events.swept(core, report)
    return report


def _remove_audited(core: StoreCore, grace: float, stop: Callable[[], bool]) -> SweepReport:
    with audited(core, "sweep", grace=grace) as act:
        report: SweepReport = core.meter.timed("sweep", _remove, core, grace, stop)
        act.facts.update(summary(report))
    cut_if_due(core)
    return report


def _remove(core: StoreCore, grace: float, stop: Callable[[], bool]) -> SweepReport:
    policies = Policies.of(core.settings.retention)
    tally = Tally(lists=False)
    # 1. Checkpoints that policies let go.
    drop_retained(core, policies, tally, stop)
    # 2. Rows that nothing refers to; packs are condemned by that.
    report = _remove_rows(core, SweepReport(), stop)
    # 3. If it is still too much: checkpoints in the order of sacrifice, and their rows.
    report = _make_room(core, policies, tally, report, stop)
    report = replace(report, checkpoints=tally.dropped, rules=tally.rules)
    if stop():
        return replace(report, stopped=True)
    # 4. Packs that no row names are condemned, too, once they are old enough.
    unknown = unknown_packs(core, core.blobs, long_ago(core.blobs, grace))
    condemned = core.catalog.condemn_unknown(unknown) if unknown else ()
    crashpoint("sweep.leftovers")
    # 5. Only now files: those of condemned packs, also of sweeps that died here.
    report = _remove_files(core, report, frozenset(condemned))
    # 6. What was never finished, and what dead owners and writers left: no row ever named them.
    unfinished = core.blobs.delete_unfinished(long_ago(core.blobs, grace))
    owners = core.ownership.sweep() if isinstance(core.ownership, FileOwnership) else 0
    left = leftovers(core, core.blobs.now())
    remove_leftovers(left)
    report = replace(
        report,
        unfinished=unfinished,
        owner_files=owners,
        temporary=len(left),
        temporary_bytes=sum(one.size for one in left),
    )
    return _forget_bytes(core, report)


def _make_room(
    core: StoreCore, policies: Policies, tally: Tally, report: SweepReport, stop: Callable[[], bool]
) -> SweepReport:
    """Chunks that others share are not freed by giving one up: looked at again after each round."""
    for _ in range(_ROUNDS if policies.max_size is not None else 0):
        excess = core.catalog.stored_bytes() - (policies.max_size or 0)
        if excess <= 0 or stop():
            return replace(report, over_bytes=0)
        gone = give_up(core, policies, excess)
        if not gone:
            return replace(report, over_bytes=excess)
        tally.give_up(gone)
        report = _remove_rows(core, replace(report, over_bytes=excess), stop)
    return report


def _forget_bytes(core: StoreCore, report: SweepReport) -> SweepReport:
    """What was deleted is zeros in the database, but may stand in its log; and the room that it left is given back if it
    is much."""
    if not (report.checkpoints or report.chunks):
        return report
    shrunk = core.catalog.shrink(spare=_SPARE)
    return replace(report, shrunk_bytes=shrunk, log_emptied=core.catalog.settle_log())


def _remove_rows(core: StoreCore, report: SweepReport, stop: Callable[[], bool] = never) -> SweepReport:
    for _ in range(_MARKS):
        mark = core.catalog.mark(runs_in, REFERS_TO_NOTHING)
        crashpoint("sweep.marked")
        try:
            for done in _condemn(core, mark, stop):
                report = replace(
                    report,
                    chunks=report.chunks + done.chunks,
                    blocks=report.blocks + done.blocks,
                    inline_bytes=report.inline_bytes + done.inline_bytes,
                )
        except SweptMeanwhile:
            continue
        break
    return report


def _condemn(core: StoreCore, mark: Mark, stop: Callable[[], bool]) -> Iterator[Condemned]:
    """What was marked, in parts of a size that others can bear. Raises SweptMeanwhile."""
    stride, parts = Stride(_FEWEST, _FIRST, _MOST), Parts(mark.dead)
    newest = mark.sequences
    while (part := parts.take(stride.size)) and not stop():
        began = core.clock.monotonic()
        try:
            done = core.catalog.condemn(mark, part, runs_in, REFERS_TO_NOTHING, yields=stride.yields)
        except Awaited:
            parts.put_back(part)
            stride.was_awaited()
            continue
        crashpoint("sweep.condemned")
        core.forget_chunks()
        yield done
        pause = stride.took(done.chunks + len(part), core.clock.monotonic() - began, done.newest != newest)
        mark, newest = structs.replace(mark, epoch=done.epoch), done.newest
        leave_to_others(core, pause)


def long_ago(blobs: Blobs, grace: float) -> float:
    """What was modified before this moment is old enough; without a grace time also what was modified in this very tick of
    the clock."""
    return math.nextafter(blobs.now() - grace, math.inf)


def unknown_packs(core: StoreCore, blobs: Blobs, before: float) -> dict[PackId, int]:
    """Of these blobs: old enough, and asked for by name, never on the strength of a list alone, neither that of the disk nor
    ours."""
    old = {info.name: info.size for info in blobs.list() if info.modified < before}
    known = core.catalog.known_packs(list(old)) if old else ()
    return {name: size for name, size in old.items() if name not in known}


def _remove_files(core: StoreCore, report: SweepReport, leftovers: frozenset[PackId]) -> SweepReport:
    fills = core.catalog.pack_fill()
    condemned = [name for name, fill in fills.items() if not fill.blocks]
    gone = {name: fills[name].size for name in delete_condemned(core, condemned)}
    left = [size for name, size in gone.items() if name in leftovers]
    kept_packs, dead_bytes = _partly_dead(fills)
    return replace(
        report,
        packs=len(gone) - len(left),
        pack_bytes=sum(gone.values()) - sum(left),
        leftovers=len(left),
        leftover_bytes=sum(left),
        kept_packs=kept_packs,
        dead_bytes=dead_bytes,
    )


def _would_remove(core: StoreCore, grace: float) -> SweepReport:
    """The same by looking alone."""
    policies = Policies.of(core.settings.retention)
    tally = Tally(lists=True)
    gone = would_drop(core, policies, tally)
    mark, over = _would_make_room(core, policies, tally, gone)
    whole = [block for block in mark.dead if block.is_whole]
    held = core.catalog.packs_of(whole)
    fills = _without(core.catalog.pack_fill(), held)
    packs = [fill.size for fill in fills.values() if not fill.blocks]
    inline = core.catalog.bytes_of(whole) - sum(fill.stored_bytes for fill in held.values())
    left = unknown_packs(core, core.blobs, long_ago(core.blobs, grace))
    temporary = leftovers(core, core.blobs.now())
    kept_packs, dead_bytes = _partly_dead(fills)
    return SweepReport(
        dry_run=True,
        checkpoints=tally.dropped,
        rules=tally.rules,
        decisions=tally.decisions,
        over_bytes=over,
        chunks=mark.chunks,
        blocks=len(whole),
        inline_bytes=inline,
        packs=len(packs),
        pack_bytes=sum(packs),
        leftovers=len(left),
        leftover_bytes=sum(left.values()),
        unfinished=core.blobs.delete_unfinished(long_ago(core.blobs, grace), dry_run=True),
        temporary=len(temporary),
        temporary_bytes=sum(one.size for one in temporary),
        owner_files=len(core.ownership.abandoned()) if isinstance(core.ownership, FileOwnership) else 0,
        kept_packs=kept_packs,
        dead_bytes=dead_bytes,
    )


def _would_make_room(core: StoreCore, policies: Policies, tally: Tally, gone: dict[int, set[int]]) -> tuple[Mark, int]:
    """What nothing would refer to then, and by how much it would still be too much."""
    mark = core.catalog.mark(runs_in, REFERS_TO_NOTHING, gone)
    excess = 0
    for _ in range(_ROUNDS if policies.max_size is not None else 0):
        dead = core.catalog.bytes_of(block for block in mark.dead if block.is_whole)
        excess = core.catalog.stored_bytes() - dead - (policies.max_size or 0)
        chosen = given_up(spare(core, policies, gone), excess)
        if not chosen:
            break
        tally.give_up(chosen)
        for one in chosen:
            gone.setdefault(one.num, set()).add(one.sequence)
        mark = core.catalog.mark(runs_in, REFERS_TO_NOTHING, gone)
    return mark, max(0, excess)


def _without(fills: Mapping[PackId, PackFill], dead: Mapping[PackId, PackFill]) -> dict[PackId, PackFill]:
    """How full the packs would be."""
    fills = dict(fills)
    for name, fill in dead.items():
        now = fills.get(name, fill)
        fills[name] = PackFill(now.size, now.blocks - fill.blocks, now.stored_bytes - fill.stored_bytes)
    return fills


def _partly_dead(fills: Mapping[PackId, PackFill]) -> tuple[int, int]:
    """How many packs hold bytes of blocks that are gone beside others that live, and at least how many bytes."""
    dead = [fill.dead_bytes for fill in fills.values() if fill.dead_bytes]
    return len(dead), sum(dead)
