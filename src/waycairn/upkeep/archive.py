"""Checkpoints moved to another directory, and back: their rows stay, the packs that only they need lie elsewhere.

What others need, too, stays. Everything moves by `repacking`: copied into new packs at the other place, flushed, read back,
switched by one transaction a pack; the old packs go after it. So it may be interrupted anywhere, and is gone on with by the
same call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path

from waycairn.chunks import check_pack
from waycairn.chunks.recompressing import compressed_again
from waycairn.chunks.referring import REFERS_TO_NOTHING, runs_in
from waycairn.errors import Damaged, StoreError, StoreUnreachable
from waycairn.model.archiving import ArchiveReport, Chosen
from waycairn.model.ids import PackId
from waycairn.model.repacking import Copied, PackFacts, PackOrigin, StoredBlock
from waycairn.model.spans import Spans
from waycairn.store import StoreCore
from waycairn.upkeep.inline import inline_blocks
from waycairn.upkeep.optimize import compact, places, remove_condemned
from waycairn.upkeep.repacking import Mover
from waycairn.world.crashpoints import crashpoint

PLACES = "archives"
"""Under this name what upkeep did says which archives were written to."""


def archive(core: StoreCore, chosen: Chosen, place: str) -> ArchiveReport:
    """Move what only these need to a directory. Raises Damaged if a manifest cannot be read, or what was copied does not
    read back: then nothing more was moved; StoreFull, WriteFailed."""
    began = core.clock.monotonic()
    place = str(Path(place).expanduser().absolute())
    crashpoint("archive.begin")
    # 1. The place is noted before anything lies there, so that what a kill leaves there is found.
    _note(core, place)
    _remove_leftovers(core, place)
    # 2. What only these need is copied there, read back, and switched.
    needs = core.catalog.referred_by(runs_in, REFERS_TO_NOTHING, chosen.runs, chosen.checkpoints)
    now = core.clock.now()
    level = core.settings.optimize.level
    mover = _Checked(
        core,
        seal=compressed_again(level),
        origin=PackOrigin(created=now, level=level, place=place, verified=now),
        target=places(core).at(place),
        unless=needs,
    )

    def is_theirs(block: StoredBlock) -> bool:
        return any(one.number in needs.theirs for one in block.chunks) and not any(
            one.number in needs.others for one in block.chunks
        )

    facts = core.catalog.pack_facts()
    packs = [name for name, one in facts.items() if one.blocks and one.place != place]
    blocks = _chosen(mover, packs, facts, is_theirs)
    moved = mover.move(chain(blocks, (block for block in inline_blocks(core) if is_theirs(block))))
    crashpoint("archive.moved")
    # 3. What is left of the packs that they lay in is written anew, and the packs go.
    freed = _make_room(core, facts)
    crashpoint("archive.done")
    return ArchiveReport(
        place=place,
        checkpoints=len(chosen.checkpoints) + chosen.of_runs,
        packs=moved.packs,
        blocks=moved.blocks,
        moved_bytes=moved.stored_bytes,
        freed_bytes=freed,
        unreadable=mover.told(),
        seconds=core.clock.monotonic() - began,
    )


def restore(core: StoreCore, chosen: Chosen | None) -> ArchiveReport:
    """Bring back what these need, or all that is archived. Raises StoreUnreachable if an archive is away, and nothing was
    changed."""
    began = core.clock.monotonic()
    crashpoint("archive.begin")
    facts = core.catalog.pack_facts()
    packs = [name for name, one in facts.items() if one.blocks and one.place is not None]
    for place in {facts[name].place for name in packs}:
        _require(core, str(place))
    theirs = _needed(core, chosen)
    now = core.clock.now()
    mover = _Checked(core, origin=PackOrigin(created=now, level=_level(facts, packs), verified=now))

    def is_theirs(block: StoredBlock) -> bool:
        return theirs is None or any(one.number in theirs for one in block.chunks)

    moved = mover.move(_chosen(mover, packs, facts, is_theirs))
    crashpoint("archive.moved")
    remove_condemned(core)
    for place in known_places(core):
        _remove_leftovers(core, place)
    crashpoint("archive.done")
    return ArchiveReport(
        place=None,
        checkpoints=0 if chosen is None else len(chosen.checkpoints) + chosen.of_runs,
        packs=moved.packs,
        blocks=moved.blocks,
        moved_bytes=moved.stored_bytes,
        freed_bytes=0,
        unreadable=mover.told(),
        seconds=core.clock.monotonic() - began,
    )


class _Checked(Mover):
    """Every new pack is read back before a row says that it is there."""

    def _check(self, copied: Copied) -> None:
        try:
            for pack in copied.packs:
                check_pack(self._target, self._core.catalog.info, pack.id)
        except StoreError:
            for pack in copied.packs:
                with suppress(StoreError):
                    self._target.delete(pack.id)
            raise
        crashpoint("archive.verified")


def _chosen(
    mover: Mover, packs: Iterable[PackId], facts: Mapping[PackId, PackFacts], wanted: Callable[[StoredBlock], bool]
) -> Iterator[StoredBlock]:
    """The wanted blocks of these packs. What lies in another archive that is away stays there."""
    for pack in packs:
        try:
            blocks = mover.copying.live_blocks(pack)
        except Damaged as error:
            mover.refuse(f"pack {pack}", error)
            continue
        except StoreUnreachable:
            if facts[pack].place is None:
                raise
            continue
        yield from filter(wanted, blocks)


def _needed(core: StoreCore, chosen: Chosen | None) -> Spans | None:
    if chosen is None:
        return None
    return core.catalog.referred_by(runs_in, REFERS_TO_NOTHING, chosen.runs, chosen.checkpoints).theirs


def _level(facts: Mapping[PackId, PackFacts], packs: Sequence[PackId]) -> int | None:
    levels = {facts[name].level for name in packs}
    return levels.pop() if len(levels) == 1 else None


def _make_room(core: StoreCore, before: Mapping[PackId, PackFacts]) -> int:
    """Bytes that are free beside the catalog now."""
    compact(core)
    remove_condemned(core)
    size = sum(one.size for one in before.values() if one.place is None)
    return max(0, size - sum(one.size for one in core.catalog.pack_facts().values() if one.place is None))


# -- places --------------------------------------------------------------------------------------------------------


def known_places(core: StoreCore) -> list[str]:
    """Archives that something lies in, or that were written to once."""
    note = core.catalog.upkeep_note(PLACES)
    noted = [] if note is None else [str(place) for place in note.facts.get("places", ())]
    return sorted({*core.catalog.places(), *noted})


def _note(core: StoreCore, place: str) -> None:
    known = known_places(core)
    if place not in known:
        core.catalog.note_upkeep(PLACES, core.clock.now(), {"places": [*known, place]})
    crashpoint("archive.noted")


def _require(core: StoreCore, place: str) -> None:
    if not places(core).is_reachable(place):
        raise StoreUnreachable(
            f"the archive {place} is not there now. Nothing was changed and nothing is lost. Bring it back (mount it), then "
            "try again.",
            place=place,
        )


def _remove_leftovers(core: StoreCore, place: str) -> int:
    """Packs there that no row names, of calls that died before their transaction, once they are old enough; and those that
    were never finished. By name and under the lock of a sweep, like those of the main place."""
    from waycairn.upkeep.sweep import GRACE

    if not places(core).is_reachable(place):
        return 0
    blobs = places(core).at(place)
    before = blobs.now() - GRACE
    old = {info.name: info.size for info in blobs.list() if info.modified < before}
    known = core.catalog.known_packs(list(old)) if old else ()
    unknown = {name: size for name, size in old.items() if name not in known}
    condemned = core.catalog.condemn_unknown(unknown) if unknown else ()
    for name in condemned:
        crashpoint("archive.leftover")
        blobs.delete(name)
    core.catalog.forget_packs(list(condemned))
    return len(condemned) + blobs.delete_unfinished(before)
