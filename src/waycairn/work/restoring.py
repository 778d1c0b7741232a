"""From the newest intact checkpoint back into the user's object; from a damaged one to the one before it."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any

from waycairn.codec import Types
from waycairn.errors import CheckpointNotFound, Damaged
from waycairn.model.ids import RunId
from waycairn.model.records import CheckpointFilter, CheckpointRecord
from waycairn.model.states import CheckpointStatus
from waycairn.store import StoreCore
from waycairn.work.cut import Cutter
from waycairn.work.state import StateSlot
from waycairn.world import history

log = logging.getLogger("waycairn")


def attach_state(cutter: Cutter, target: Any, *, has_begun: bool) -> bool:
    """Make `target` the state of the run, restored if there is a checkpoint; returns whether it was.

    `has_begun` says that loops or steps of this entry ran already, so that going back behind them needs a new entry.
    """
    slot = StateSlot(target)
    record, value, fell_back = _newest_intact(cutter, slot)
    if record is None:
        baseline = slot.encode()  # an early TypeError is better than one at the first cut, an hour later
        cutter.state = slot
        cutter.note_baseline(baseline)
        return False
    if fell_back:
        _go_back(cutter, record, has_begun=has_begun)
    slot.restore(value)
    cutter.state = slot
    cutter.note_restored(record.sequence)
    return True


def _newest_intact(cutter: Cutter, slot: StateSlot) -> tuple[CheckpointRecord | None, Any, bool]:
    store = cutter.store
    damaged: list[str] = []
    while True:
        record = store.catalog.latest_checkpoint(cutter.run, role="state")
        if record is None:
            break
        try:
            return record, store.load(record.checkpoint.stored, types=slot.types), bool(damaged)
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


def _go_back(cutter: Cutter, record: CheckpointRecord, *, has_begun: bool) -> None:
    """Everything in a cut carries one sequence: items, steps and outputs go back with the state."""
    store = cutter.store
    history.note(history.GoingBack(run=cutter.run, sequence=record.sequence))
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
