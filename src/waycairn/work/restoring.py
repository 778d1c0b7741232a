"""From the newest intact checkpoint back into the user's object; from a damaged one to the one before it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from waycairn.codec import Types
from waycairn.errors import CheckpointNotFound, Damaged
from waycairn.model.ids import RunId
from waycairn.model.records import CheckpointFilter, CheckpointRecord, Stored
from waycairn.model.states import CheckpointStatus
from waycairn.store import StoreCore
from waycairn.work.state import StateSlot
from waycairn.work.tracking import PARTS, RNG, STATE, STEPS, Part, PlainPart, Tracked
from waycairn.world import history

if TYPE_CHECKING:
    from waycairn.work.cut import Cutter

log = logging.getLogger("waycairn")


def attach_state(cutter: Cutter, target: Any, *, has_begun: bool) -> bool:
    """Make `target` the state of the run, restored if there is a checkpoint; returns whether it was.

    `has_begun` says that loops or steps of this entry ran already, so that going back behind them needs a new entry.
    """
    slot = StateSlot(target)
    if isinstance(cutter.state, Tracked):
        return attach_tracked(cutter, {STATE: PlainPart(target)}, strict=False, has_begun=has_begun)
    record, value, fell_back = _newest_intact(cutter, lambda found: _state_in(cutter, found, slot))
    if record is None:
        baseline = slot.encode()  # an early TypeError is better than one at the first cut, an hour later
        cutter.state = slot
        cutter.note_baseline(baseline)
        return False
    if fell_back:
        _go_back(cutter, record, has_begun=has_begun)
    if PARTS in record.checkpoint.metadata:
        # It holds what run.track keeps, which is to be tracked before the next checkpoint.
        cutter.state = tracked = Tracked()
        cutter.restored = record
        tracked.unclaimed = set(record.checkpoint.metadata[PARTS])
        return attach_tracked(cutter, {STATE: PlainPart(target)}, strict=False, has_begun=has_begun)
    slot.restore(value)
    cutter.state = slot
    cutter.note_restored(record)
    return True


def _state_in(cutter: Cutter, record: CheckpointRecord, slot: StateSlot) -> Any:
    if PARTS in record.checkpoint.metadata:
        return cutter.store.verify(record.checkpoint.stored)
    return cutter.store.load(record.checkpoint.stored, types=slot.types)


def tracked_of(cutter: Cutter) -> Tracked:
    """What the run tracks, nothing at first; a state that it has already is a part of it from now on."""
    if isinstance(cutter.state, Tracked):
        return cutter.state
    tracked = Tracked()
    if isinstance(cutter.state, StateSlot):
        tracked.parts[STATE] = PlainPart(cutter.state.target)
    cutter.state = tracked
    return tracked


def attach_tracked(cutter: Cutter, parts: Mapping[str, Part], *, strict: bool, has_begun: bool) -> bool:
    """Track these, restored from the checkpoint that this entry goes on from; returns whether there is one.

    With `strict`, ValueError where that one does not hold them; nothing is changed then.
    """
    tracked = tracked_of(cutter)
    if cutter.restored is not None:
        _restore_more(cutter, tracked, cutter.restored, parts, strict=strict, has_begun=has_begun)
        return True
    if tracked.is_sought:
        tracked.parts.update(parts)
        return False
    tracked.is_sought = True
    wanted = {**tracked.parts, **parts}
    record, value, fell_back = _newest_intact(cutter, lambda found: _parts_in(cutter, found, wanted))
    if record is None:
        tracked.parts.update(parts)
        return False
    if fell_back:
        _go_back(cutter, record, has_begun=has_begun)
    _admit(cutter, tracked, record, parts, strict=strict)
    tracked.restore(value)
    cutter.note_restored(record)
    return True


def _restore_more(
    cutter: Cutter,
    tracked: Tracked,
    record: CheckpointRecord,
    parts: Mapping[str, Part],
    *,
    strict: bool,
    has_begun: bool,
) -> None:
    # Those before are put back once more, while nothing has changed them: only what is loaded at once shows which
    # arrays of different parts share their memory.
    wanted = parts if has_begun or not parts else {**tracked.parts, **parts}
    value = _parts_in(cutter, record, wanted)
    _admit(cutter, tracked, record, parts, strict=strict)
    tracked.restore(value, steps=not tracked.steps, rng=not has_begun)


def _admit(
    cutter: Cutter, tracked: Tracked, record: CheckpointRecord, parts: Mapping[str, Part], *, strict: bool
) -> None:
    held = set(record.checkpoint.metadata.get(PARTS, (STATE,)))
    missing = sorted(set(parts) - held)
    if missing and strict:
        raise ValueError(
            f"checkpoint {record.id}, from which this run goes on, holds no {', '.join(missing)} (it holds "
            f"{', '.join(sorted(held)) or 'nothing'}). Nothing was changed. Give it the name that it had, or say "
            "run.track(..., strict=False) to begin with it as it is."
        )
    for name in missing:
        if name != STATE:
            log.warning("checkpoint %s holds no %s: it begins as it is", record.id, name)
    tracked.parts.update(parts)
    if cutter.restored is None:
        tracked.unclaimed = held
    tracked.unclaimed -= set(tracked.parts)


def let_go(tracked: Tracked) -> None:
    """What the checkpoint holds and nobody tracks is not in the next one, and that is meant."""
    if tracked.unclaimed:
        log.warning("no longer tracked, and not in later checkpoints: %s", ", ".join(sorted(tracked.unclaimed)))
        tracked.unclaimed = set()


def _parts_in(cutter: Cutter, record: CheckpointRecord, parts: Mapping[str, Part]) -> Mapping[str, Any]:
    """What it holds of these. All of it is verified, so that falling back later is never needed."""
    stored, store = record.checkpoint.stored, cutter.store
    types = Types.of(*(kind for part in parts.values() for kind in part.types))
    held = record.checkpoint.metadata.get(PARTS)
    if held is None:
        return {STATE: store.load(stored, types=types)}
    if set(held) <= set(parts):
        whole: Mapping[str, Any] = store.load(stored, types=types)
        return whole
    store.verify(stored)
    names = [*(name for name in held if name in parts), STEPS, RNG]
    return {name: value for name in names if (value := _only(store, stored, types, name)) is not None}


def _only(store: StoreCore, stored: Stored, types: Types, name: str) -> Any:
    try:
        return store.load(stored, types=types, only=name)
    except KeyError:
        return None


def _newest_intact(
    cutter: Cutter, load: Callable[[CheckpointRecord], Any]
) -> tuple[CheckpointRecord | None, Any, bool]:
    store = cutter.store
    damaged: list[str] = []
    while True:
        record = store.catalog.latest_checkpoint(cutter.run, role="state")
        if record is None:
            break
        try:
            return record, load(record), bool(damaged)
        except Damaged as error:
            with suppress(CheckpointNotFound):
                note_damage(store, record, error)
                damaged.append(f"{record.id} ({error})")
    if damaged or _had_state(cutter):
        raise Damaged(
            f"no checkpoint of this run's state is intact: {'; '.join(damaged) or 'all were found damaged before'}. "
            "Nothing was changed; items and steps that were committed are still listed. Restore the store from a "
            "backup, or give the run up and start anew: waycairn discard",
            run=cutter.run,
        )
    return None, None, False


def _had_state(cutter: Cutter) -> bool:
    which = CheckpointFilter(run=cutter.run, role="state", status=CheckpointStatus.DAMAGED, limit=1)
    return bool(cutter.store.catalog.list_checkpoints(which))


def note_damage(store: StoreCore, record: CheckpointRecord, error: Damaged) -> None:
    """Keep it for inspection, never restore from it again. Raises CheckpointNotFound if it was deleted while it was read:
    then a sweep took its bytes, and nothing is damaged."""
    if store.catalog.get_checkpoint(record.run, record.sequence) is None:
        raise CheckpointNotFound(
            f"checkpoint {record.id} was deleted while it was read, and a sweep gave its bytes back. Nothing of it was "
            "returned. See `waycairn checkpoints` for those that are there; a pinned one stays (waycairn pin).",
            checkpoint=record.id,
        ) from error
    log.warning("checkpoint %s is damaged and is not used: %s", record.id, error)
    store.catalog.mark_checkpoint(record.run, record.sequence, CheckpointStatus.DAMAGED, str(error))
    # Else the next save of the same content would find the damaged chunks again, and be damaged from its first day.
    from waycairn.upkeep.quarantine import quarantine

    quarantine(store, record.checkpoint.stored)


def _go_back(cutter: Cutter, record: CheckpointRecord, *, has_begun: bool) -> None:
    """Everything in a cut carries one sequence: items, steps and outputs go back with the state."""
    store = cutter.store
    if history.is_on():
        for run, sequence in store.catalog.cuts_at(cutter.run, record.sequence).items():
            history.note(history.GoingBack(run=run, sequence=sequence))
    store.catalog.rewind(cutter.run, cutter.epoch, record.sequence, store.clock.now())
    log.warning("went back to checkpoint %s: what was done after it runs again", record.id)
    fresh = store.catalog.get_run(cutter.run)
    assert fresh is not None, "the run that is entered is there"
    cutter.sequence, cutter.progress = fresh.sequence, fresh.progress
    if has_begun:
        raise Damaged(
            f"the newest checkpoint of the state is damaged; the run was cut back to {record.id}, but loops or steps "
            "ran in this entry already. Nothing else was changed. Run the job again: it goes on from there. (Call "
            "run.state before loops and steps.)",
            run=cutter.run,
        )
    lengths = store.catalog.outputs(cutter.run)
    for path, output in cutter.outputs.items():
        output.cut_back(lengths[path].length)
        output.note_committed(output.length)


def newest_value(store: StoreCore, run: RunId, kind: str, default: Any, types: Types | None) -> Any:
    """The newest intact saved value of that kind; damaged ones are marked and passed over."""
    while True:
        record = store.catalog.latest_checkpoint(run, kind=kind, role="value")
        if record is None:
            return default
        try:
            return store.load(record.checkpoint.stored, types=types)
        except Damaged as error:
            with suppress(CheckpointNotFound):
                note_damage(store, record, error)
