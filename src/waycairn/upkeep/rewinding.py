"""A rewind: a run goes on from one of its earlier checkpoints, and what was done later is undone."""

from __future__ import annotations

from waycairn.errors import RunIsHeld
from waycairn.model.records import CheckpointRecord, RunRecord
from waycairn.model.states import RunStatus
from waycairn.store import StoreCore
from waycairn.upkeep.auditing import audited_commit
from waycairn.upkeep.cutting import check_cut
from waycairn.upkeep.holding import held
from waycairn.world import history
from waycairn.world.crashpoints import crashpoint


def rewind(core: StoreCore, run: RunRecord, checkpoint: CheckpointRecord) -> RunRecord:
    """One transaction, under a lock that keeps others from entering the run meanwhile."""
    facts = {"checkpoint": checkpoint.id, "name": run.name, "key": run.key, "from": run.sequence}
    with audited_commit(core, "run.rewind", run.id, rides_with=_is_done, **facts):
        check_cut(core, run, checkpoint, "rewound")
        if run.status is RunStatus.DISCARDED:
            raise ValueError(
                f"run {run.name!r} ({run.id}) was given up, and entering it begins anew. Nothing was changed. To go on from "
                f"that checkpoint: waycairn fork {run.id} {checkpoint.id} NAME"
            )
        owner = core.ownership.holder(run)
        if owner is not None:
            raise held(run, owner)
        _go_back(core, run, checkpoint)
    record = core.catalog.get_run(run.id)
    assert record is not None, "a run that was just rewound is there"
    return record


def _is_done(result: object) -> bool:
    return result is None


def _go_back(core: StoreCore, run: RunRecord, checkpoint: CheckpointRecord) -> None:
    hold = core.ownership.claim(run.id, run.epoch + 1)
    if hold is None:
        raise RunIsHeld(
            f"run {run.name!r} is being entered by another process at this moment. Nothing was changed. Try again.",
            run=run.id,
        )
    try:
        crashpoint("rewind.begin")
        if history.is_on():
            for id_, sequence in core.catalog.cuts_at(run.id, checkpoint.sequence).items():
                history.note(history.GoingBack(run=id_, sequence=sequence))
        core.catalog.reopen(run.id, run.epoch, checkpoint.sequence, core.clock.now())
        crashpoint("rewind.done")
    finally:
        hold.release()
