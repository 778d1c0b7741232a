"""An optimize: what a sweep left in packs is taken out of them, small packs are joined, cold ones compressed better.

Everything is moved by `repacking`, so each job is safe by itself and a pass that ends anywhere is gone on with by the next
one: what it switched stays switched, what it only copied is swept as left behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from waycairn.chunks.recompressing import compressed_again, promises
from waycairn.chunks.repacking import as_they_are
from waycairn.errors import Damaged
from waycairn.model.ids import PackId
from waycairn.model.optimize_settings import OptimizeSettings
from waycairn.model.optimizing import Action, Job, OptimizeReport, fragmentation, plan, within
from waycairn.model.repacking import PackFacts, PackOrigin, StoredBlock
from waycairn.store import StoreCore
from waycairn.upkeep.condemned import delete_condemned
from waycairn.upkeep.inline import inline_blocks
from waycairn.upkeep.places import places
from waycairn.upkeep.repacking import Mover, Repacked
from waycairn.upkeep.sweep import never, sweep
from waycairn.world.crashpoints import crashpoint

NOTE = "optimize"
"""The name under which the catalog remembers the last pass."""
_SAMPLES = 8
"""Blocks of a pack that are tried before all of it is compressed again."""
_WORTH_IT = 0.05
"""Copying a pack to save less than this share of it costs more than it gives."""
_MANY_INLINE = 1024 * 1024
"""Bytes in the catalog below which a pack of their own takes more than it saves."""


@dataclass(slots=True)
class _Pass:
    """What one pass has done so far."""

    actions: list[Action] = field(default_factory=list)
    copied: int = 0
    added: int = 0
    """Bytes of new packs beside the catalog."""
    compressed: int = 0
    unreadable: list[str] = field(default_factory=list)
    away: set[str] = field(default_factory=set)


def optimize(
    core: StoreCore,
    *,
    dry_run: bool = False,
    max_bytes: int | None = None,
    recompress: bool | None = None,
    settings: OptimizeSettings | None = None,
    stop: Callable[[], bool] = never,
) -> OptimizeReport:
    """A sweep, then packs that are worth it are written anew. `max_bytes` bounds what is copied, the next pass goes on;
    `recompress` compresses everything again (True) or nothing (False), else what is cold. Of several at once each does what
    the others have not. `stop` is asked between jobs. Raises Damaged if a sweep would; StoreFull: then what was done stays done."""
    began = core.clock.monotonic()
    settings = settings or core.settings.optimize
    most = settings.max_bytes if max_bytes is None else max_bytes
    crashpoint("optimize.begin")
    if dry_run:
        report = _would(core, settings, most, recompress)
    else:
        report = _do(core, settings, most, recompress, stop=stop)
        core.catalog.note_upkeep(NOTE, core.clock.now() + core.catalog.clock_offset(), facts_of(report))
    crashpoint("optimize.done")
    return replace(report, seconds=core.clock.monotonic() - began)


def facts_of(report: OptimizeReport) -> dict[str, int]:
    """What is noted of a pass."""
    return {
        "packs": sum(action.packs for action in report.actions),
        "copied_bytes": report.copied_bytes,
        "freed_bytes": report.freed_bytes,
        "archived_bytes": report.archived_bytes,
    }


def _do(
    core: StoreCore,
    settings: OptimizeSettings,
    most: int | None,
    recompress: bool | None,
    *,
    stop: Callable[[], bool],
) -> OptimizeReport:
    # 1. What nothing refers to goes; packs of which something is left hold dead bytes from then on.
    swept = sweep(core, is_asked=False, stop=stop)
    facts = core.catalog.pack_facts()
    # 2. These are copied without them, a bounded number of bytes, and switched.
    jobs, left = within(plan(facts, settings, core.clock.now(), compress=recompress), most)
    done = _Pass()
    for job in jobs:
        if stop():
            break
        _work(core, job, facts, done)
        crashpoint("optimize.job")
    if recompress:
        _move_inline(core, settings, None if most is None else max(0, most - done.copied), done)
    # 3. Old checkpoints go to the archive, where there is one.
    archived = 0 if stop() else _archive_old(core, settings, done)
    # 4. The old packs are condemned by that, and go.
    removed = remove_condemned(core)
    before, after = fragmentation(facts), fragmentation(core.catalog.pack_facts())
    return OptimizeReport(
        before=replace(
            before, pack_bytes=before.pack_bytes + swept.freed_bytes, dead_bytes=before.dead_bytes + swept.freed_bytes
        ),
        after=after,
        actions=done.actions,
        copied_bytes=done.copied,
        freed_bytes=swept.freed_bytes + removed - done.added,
        compressed_bytes=done.compressed,
        archived_bytes=archived,
        left_bytes=left,
        unreadable=done.unreadable,
        away=sorted(done.away),
    )


def remove_condemned(core: StoreCore) -> int:
    """Packs without blocks; the bytes of those that lay beside the catalog."""
    facts = core.catalog.pack_facts()
    gone = delete_condemned(core, [name for name, one in facts.items() if not one.blocks])
    return sum(facts[name].size for name in gone if facts[name].place is None)


def compact(core: StoreCore) -> None:
    """Take dead bytes out of packs, and nothing else."""
    facts = core.catalog.pack_facts()
    for job in plan(facts, core.settings.optimize, core.clock.now(), compress=False):
        if job.kind == "compact":
            _work(core, job, facts, _Pass())


# -- one job -------------------------------------------------------------------------------------------------------


def _work(core: StoreCore, job: Job, facts: Mapping[PackId, PackFacts], done: _Pass) -> None:
    if job.place is not None and not places(core).is_reachable(job.place):
        done.away.add(job.place)
        return
    mover = Mover(
        core,
        seal=compressed_again(job.level) if job.compress and job.level else as_they_are,
        origin=PackOrigin(created=job.created, level=job.level, place=job.place),
        target=places(core).at(job.place),
    )
    packs = _worth_it(core, mover, job) if job.kind == "recompress" else job.packs
    if not packs:
        return
    moved = mover.move(_live_blocks(mover, packs))
    done.compressed += moved.freed_bytes if job.compress else 0
    freed = moved.freed_bytes + sum(facts[name].dead_bytes for name in packs)
    action = Action(kind=job.kind, packs=len(packs), copied_bytes=moved.stored_bytes, freed_bytes=freed)
    _add(done, action, moved, mover)


def _move_inline(core: StoreCore, settings: OptimizeSettings, most: int | None, done: _Pass) -> None:
    if core.catalog.inline_bytes()[1] < _MANY_INLINE:
        return
    origin = PackOrigin(created=core.clock.now(), level=settings.level)
    mover = Mover(core, seal=compressed_again(settings.level), origin=origin)
    moved = mover.move(inline_blocks(core, most))
    if moved.blocks:
        action = Action(kind="inline", packs=0, copied_bytes=moved.stored_bytes, freed_bytes=moved.freed_bytes)
        _add(done, action, moved, mover)
        done.compressed += moved.freed_bytes
        # They took room in the catalog before, which its file uses again.
        done.added -= moved.stored_bytes + moved.freed_bytes


def _add(done: _Pass, action: Action, moved: Repacked, mover: Mover) -> None:
    done.unreadable += mover.told()
    done.copied += moved.stored_bytes
    done.added += 0 if mover.is_away else moved.pack_bytes
    done.actions.append(action)


def _archive_old(core: StoreCore, settings: OptimizeSettings, done: _Pass) -> int:
    if settings.archive is None:
        return 0
    from waycairn.upkeep.archive import archive
    from waycairn.upkeep.choosing import old

    chosen = old(core, settings.archive_after)
    if chosen.is_empty:
        return 0
    moved = archive(core, chosen, settings.archive)
    done.unreadable += moved.unreadable
    if moved.blocks:
        done.actions.append(
            Action(kind="archive", packs=moved.packs, copied_bytes=moved.moved_bytes, freed_bytes=moved.freed_bytes)
        )
    return moved.moved_bytes


def _live_blocks(mover: Mover, packs: Iterable[PackId]) -> Iterator[StoredBlock]:
    """Of one pack after the other. One whose list is damaged stays as it is."""
    for pack in packs:
        try:
            blocks = mover.copying.live_blocks(pack)
        except Damaged as error:
            mover.refuse(f"pack {pack}", error)
            continue
        yield from blocks


def _worth_it(core: StoreCore, mover: Mover, job: Job) -> list[PackId]:
    """Those of which some blocks get so much smaller; of the others it is noted that they were tried."""
    assert job.level is not None
    level = job.level
    worth: list[PackId] = []
    not_worth: list[PackId] = []
    for pack in job.packs:
        (worth if _promise(mover, pack, level) >= _WORTH_IT else not_worth).append(pack)
    if not_worth:
        core.catalog.note_level(not_worth, level)
    return worth


def _promise(mover: Mover, pack: PackId, level: int) -> float:
    try:
        blocks = mover.copying.live_blocks(pack)
    except Damaged:
        return 0.0
    some = blocks[:: max(1, len(blocks) // _SAMPLES)][:_SAMPLES]
    return promises(list(mover.copying.open(some)), level)


# -- by looking alone ----------------------------------------------------------------------------------------------


def _would(core: StoreCore, settings: OptimizeSettings, most: int | None, recompress: bool | None) -> OptimizeReport:
    facts = core.catalog.pack_facts()
    jobs, left = within(plan(facts, settings, core.clock.now(), compress=recompress), most)
    actions = [_planned(core, job, facts) for job in jobs]
    actions = [action for action in actions if action.packs]
    before = fragmentation(facts)
    freed = sum(action.freed_bytes for action in actions)
    dead = sum(job.dead_bytes for job in jobs if job.place is None)
    return OptimizeReport(
        dry_run=True,
        before=before,
        after=replace(before, pack_bytes=before.pack_bytes - freed, dead_bytes=before.dead_bytes - dead),
        actions=actions,
        copied_bytes=sum(action.copied_bytes for action in actions),
        freed_bytes=freed,
        left_bytes=left,
    )


def _planned(core: StoreCore, job: Job, facts: Mapping[PackId, PackFacts]) -> Action:
    if job.kind != "recompress" or job.level is None:
        return Action(kind=job.kind, packs=len(job.packs), copied_bytes=job.bytes, freed_bytes=job.dead_bytes)
    mover = Mover(core)
    promised = {name: _promise(mover, name, job.level) for name in job.packs}
    worth = [name for name, promise in promised.items() if promise >= _WORTH_IT]
    return Action(
        kind=job.kind,
        packs=len(worth),
        copied_bytes=sum(facts[name].live_bytes for name in worth),
        freed_bytes=sum(int(facts[name].live_bytes * promised[name]) for name in worth),
    )
