"""Checkpoints moved to another directory, and back: their rows stay, the packs that only they need lie elsewhere.

What others need, too, stays. Everything moves by `repacking`: copied into new packs at the other place, flushed, read back,
switched by one transaction a pack; the old packs go after it. So it may be interrupted anywhere, and is gone on with by the
same call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from waycairn.chunks import check_pack
from waycairn.chunks.recompressing import compressed_again
from waycairn.chunks.referring import REFERS_TO_NOTHING, runs_in
from waycairn.chunks.repacking import split
from waycairn.errors import Damaged, StoreError, StoreUnreachable
from waycairn.model.archiving import ArchiveReport, Chosen
from waycairn.model.ids import PackId
from waycairn.model.repacking import Copied, PackFacts, PackOrigin, StoredBlock
from waycairn.model.spans import Spans
from waycairn.store import StoreCore
from waycairn.upkeep.inline import inline_blocks
from waycairn.upkeep.optimize import compact, remove_condemned
from waycairn.upkeep.places import places
from waycairn.upkeep.repacking import Mover
from waycairn.upkeep.sweep import long_ago, unknown_packs
from waycairn.world.crashpoints import crashpoint

PLACES = "archives"
"""Under this name what upkeep did says which archives were written to."""


def archive(core: StoreCore, chosen: Chosen, place: str, *, grace: float | None = None) -> ArchiveReport:
    """Move what only these need to a directory; what calls that died left there goes after `grace` seconds (by default
    `upkeep.grace`). Raises Damaged if a manifest cannot be read, or what was copied does not
    read back: then nothing more was moved; StoreFull, WriteFailed."""
    began = core.clock.monotonic()
    place = places(core).named(Path(place))
    crashpoint("archive.begin")
    # 1. The place is noted before anything lies there, so that what a kill leaves there is found.
    _note(core, place)
    _remove_leftovers(core, place, grace)
    # 2. Blocks in which they lie together with others are split.
    needs = core.catalog.referred_by(runs_in, REFERS_TO_NOTHING, chosen.runs, chosen.checkpoints)

    def is_theirs(number: int) -> bool:
        return number in needs.theirs and number not in needs.others

    facts = core.catalog.pack_facts()
    unreadable = _split(core, facts, is_theirs)
    # 3. What only these need is copied there, read back, and switched.
    now, level = core.clock.now(), core.settings.optimize.level
    mover = _Checked(
        core,
        seal=compressed_again(level),
        origin=PackOrigin(created=now, level=level, place=place, verified=now),
        target=places(core).at(place),
        unless=needs,
    )
    moved = mover.move(_blocks(mover, elsewhere(core, place), lambda block: all(map(is_theirs, _numbers(block)))))
    crashpoint("archive.moved")
    # 4. What is left of the packs that they lay in is written anew, and the packs go.
    freed = _make_room(core, facts)
    crashpoint("archive.done")
    return ArchiveReport(
        place=place,
        checkpoints=len(chosen.checkpoints) + chosen.of_runs,
        packs=moved.packs,
        blocks=moved.blocks,
        moved_bytes=moved.stored_bytes,
        freed_bytes=freed,
        unreadable=sorted({*unreadable, *mover.told()}),
        seconds=core.clock.monotonic() - began,
    )


def _split(core: StoreCore, facts: Mapping[PackId, PackFacts], is_theirs: Callable[[int], bool]) -> list[str]:
    """Beside the catalog; what could not be read."""
    mover = Mover(core, seal=split(is_theirs), origin=PackOrigin(created=core.clock.now()))
    here = [name for name, one in facts.items() if one.blocks and one.place is None]
    mover.move(_blocks(mover, here, lambda block: 0 < sum(map(is_theirs, _numbers(block))) < len(block.chunks)))
    return mover.told()


def elsewhere(core: StoreCore, place: str) -> list[PackId]:
    """Packs that do not lie at that place."""
    return [name for name, one in core.catalog.pack_facts().items() if one.blocks and one.place != place]


def _numbers(block: StoredBlock) -> list[int]:
    return [chunk.number for chunk in block.chunks]


def restore(core: StoreCore, chosen: Chosen | None, *, grace: float | None = None) -> ArchiveReport:
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
        return theirs is None or any(number in theirs for number in _numbers(block))

    moved = mover.move(_blocks(mover, packs, is_theirs, inline=False))
    crashpoint("archive.moved")
    remove_condemned(core)
    for place in known_places(core):
        _remove_leftovers(core, place, grace)
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
                check_pack(self._target, self.core.catalog.info, pack.id)
        except StoreError:
            for pack in copied.packs:
                with suppress(StoreError):
                    self._target.delete(pack.id)
            raise
        crashpoint("archive.verified")


def _blocks(
    mover: Mover, packs: Iterable[PackId], wanted: Callable[[StoredBlock], bool], *, inline: bool = True
) -> Iterator[StoredBlock]:
    """The wanted blocks of these packs, and with `inline` those of the catalog. What lies in an archive that is away stays
    there."""
    for pack in packs:
        try:
            blocks = mover.copying.live_blocks(pack)
        except Damaged as error:
            mover.refuse(f"pack {pack}", error)
            continue
        except StoreUnreachable as error:
            if getattr(error, "place", None) is None:
                raise
            continue
        yield from filter(wanted, blocks)
    if inline:
        yield from filter(wanted, inline_blocks(mover.core))


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


def _remove_leftovers(core: StoreCore, place: str, grace: float | None) -> int:
    """Packs there that no row names, of calls that died before their transaction, once they are old enough; and those that
    were never finished. By name and under the lock of a sweep, like those of the main place."""
    if not places(core).is_reachable(place):
        return 0
    blobs = places(core).at(place)
    if grace is None:
        grace = core.settings.upkeep.grace
    before = long_ago(blobs, grace)
    unknown = unknown_packs(core, blobs, before)
    condemned = core.catalog.condemn_unknown(unknown) if unknown else ()
    for name in condemned:
        crashpoint("archive.leftover")
        blobs.delete(name)
    core.catalog.forget_packs(list(condemned))
    return len(condemned) + blobs.delete_unfinished(before)
