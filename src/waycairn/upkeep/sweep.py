"""A sweep: the bytes of what was deleted, replaced or never committed are given back. Interruptible at any point.

What must never happen is that something goes which a commit refers to, one that is there or one that is under way. Three
things see to that, each by itself enough against most of what can go wrong:

- rows are removed in a transaction that looks once more at what was committed since (see `catalog.sweeping`), and that
  moves the sweep epoch: a save under way that leans on older chunks, or has just written packs, is refused by it and
  looks again what is there;
- files go only after that transaction, and only those that rows name: a pack without blocks is condemned for good;
- files that no row names are left alone for a grace time, and then go by the same way.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, replace

from waycairn.chunks.referring import REFERS_TO_NOTHING, runs_in
from waycairn.errors import SweptMeanwhile
from waycairn.model.ids import PackId
from waycairn.model.sweeping import DeadBlock, PackFill, SweepReport, slices
from waycairn.process import FileOwnership
from waycairn.store import StoreCore
from waycairn.upkeep.auditing import audited, cut_if_due
from waycairn.upkeep.condemned import delete_condemned
from waycairn.world.crashpoints import crashpoint

GRACE = 3600.0
"""Seconds before a file that no row names is taken for left behind. A save that takes longer is not lost by that: its
commit is refused and it is written again."""
_AT_ONCE = 10_000
"""Chunks that one transaction removes, so that commits wait some hundredths of a second for it."""
_MARKS = 8
"""Sweeps of others that may come between a mark and its transaction before this one leaves the rest to them."""
_PADDING = 8192
"""Bytes that a block may take beside itself: up to the next sector, and in the footer."""


def sweep(core: StoreCore, *, dry_run: bool = False, grace: float = GRACE, is_asked: bool = True) -> SweepReport:
    """All of it once. Of several at once each removes what the others have not. Raises Damaged if a manifest cannot be
    read: then nothing was removed. One that nobody asked for, beside a job, stands in no audit log: it gives back the bytes
    of what commits dropped, and nothing that has a name."""
    began = core.clock.monotonic()
    crashpoint("sweep.begin")
    if dry_run:
        report = _would_remove(core, grace)
    elif is_asked:
        report = _remove_audited(core, grace)
    else:
        report = _remove(core, grace)
    crashpoint("sweep.done")
    return replace(report, seconds=core.clock.monotonic() - began)


def _remove_audited(core: StoreCore, grace: float) -> SweepReport:
    with audited(core, "sweep", grace=grace) as act:
        report = _remove(core, grace)
        act.facts.update((name, count) for name, count in asdict(report).items() if count)
    cut_if_due(core)
    return report


def _remove(core: StoreCore, grace: float) -> SweepReport:
    # 1. Rows that nothing refers to; packs are condemned by that.
    report = _remove_rows(core, SweepReport())
    # 2. Packs that no row names are condemned, too, once they are old enough.
    unknown = _unknown_packs(core, _before(core, grace))
    condemned = core.catalog.condemn_unknown(unknown) if unknown else ()
    crashpoint("sweep.leftovers")
    # 3. Only now files: those of condemned packs, also of sweeps that died here.
    report = _remove_files(core, report, frozenset(condemned))
    # 4. What was never finished, and what dead owners left: no row ever named them.
    unfinished = core.blobs.delete_unfinished(_before(core, grace))
    owners = core.ownership.sweep() if isinstance(core.ownership, FileOwnership) else 0
    return replace(report, unfinished=unfinished, owner_files=owners)


def _remove_rows(core: StoreCore, report: SweepReport) -> SweepReport:
    for _ in range(_MARKS):
        mark = core.catalog.mark(runs_in, REFERS_TO_NOTHING)
        crashpoint("sweep.marked")
        try:
            for part in slices(mark.dead, _AT_ONCE):
                done = core.catalog.condemn(mark, part, runs_in, REFERS_TO_NOTHING)
                crashpoint("sweep.condemned")
                core.forget_chunks()
                mark = replace(mark, epoch=done.epoch)
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


def _before(core: StoreCore, grace: float) -> float:
    """What was modified before this moment is old enough; without a grace time also what was modified in this very tick of
    the clock."""
    return math.nextafter(core.blobs.now() - grace, math.inf)


def _unknown_packs(core: StoreCore, before: float) -> dict[PackId, int]:
    """Old enough, and asked for by name: never on the strength of a list alone, neither that of the disk nor ours."""
    old = {info.name: info.size for info in core.blobs.list() if info.modified < before}
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
    mark = core.catalog.mark(runs_in, REFERS_TO_NOTHING)
    whole = [block for block in mark.dead if block.is_whole]
    fills = _after(core, whole)
    gone = [fill.size for fill in fills.values() if not fill.blocks]
    left = _unknown_packs(core, _before(core, grace))
    kept_packs, dead_bytes = _partly_dead(fills)
    return SweepReport(
        dry_run=True,
        chunks=mark.chunks,
        blocks=len(whole),
        packs=len(gone),
        pack_bytes=sum(gone),
        leftovers=len(left),
        leftover_bytes=sum(left.values()),
        owner_files=len(core.ownership.abandoned()) if isinstance(core.ownership, FileOwnership) else 0,
        kept_packs=kept_packs,
        dead_bytes=dead_bytes,
    )


def _after(core: StoreCore, dead: list[DeadBlock]) -> dict[PackId, PackFill]:
    """How full the packs would be."""
    fills = dict(core.catalog.pack_fill())
    for name, fill in core.catalog.packs_of(dead).items():
        now = fills.get(name, fill)
        fills[name] = PackFill(now.size, now.blocks - fill.blocks, now.stored_bytes - fill.stored_bytes)
    return fills


def _partly_dead(fills: Mapping[PackId, PackFill]) -> tuple[int, int]:
    """How many packs hold bytes of blocks that are gone beside others that live, and at least how many bytes."""
    dead = [
        slack
        for fill in fills.values()
        if fill.blocks and (slack := fill.size - fill.stored_bytes - (fill.blocks + 2) * _PADDING) > 0
    ]
    return len(dead), sum(dead)
