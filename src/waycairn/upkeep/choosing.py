"""Which checkpoints go to an archive: those that are named, or those that are old."""

from __future__ import annotations

from collections.abc import Iterable

from waycairn.model.archiving import Chosen
from waycairn.model.ids import RunId
from waycairn.model.records import CheckpointFilter, CheckpointRecord, RunFilter, RunRecord
from waycairn.store import StoreCore
from waycairn.upkeep.stored_states import runs_of


def chosen(core: StoreCore, named: Iterable[RunRecord | CheckpointRecord], *, moving: bool = True) -> Chosen:
    """Whole runs with the phases below them, and single checkpoints. ValueError for what an unfinished run goes on from,
    if it is to be moved away."""
    runs: set[RunId] = set()
    checkpoints: set[tuple[RunId, int]] = set()
    for one in named:
        if isinstance(one, RunRecord):
            if moving and not one.status.is_finished:
                raise ValueError(
                    f"run {one.name!r} is not finished ({one.status.value}), so it may need its checkpoints at any time. "
                    "Nothing was moved. Finish it, or name single checkpoints of it."
                )
            runs |= {below.id for below in runs_of(core, one)}
        else:
            if moving:
                _refuse_newest(core, one)
            checkpoints.add((one.run, one.sequence))
    counted = sum(len(core.catalog.list_checkpoints(CheckpointFilter(run=run))) for run in runs)
    return Chosen(runs=runs, of_runs=counted, checkpoints=checkpoints)


def old(core: StoreCore, age: float) -> Chosen:
    """Checkpoints of finished runs that are older than `age` seconds, but the newest of each run and role: that is what
    somebody may ask for any day."""
    before = core.clock.now() - age
    found: set[tuple[RunId, int]] = set()
    for run in core.catalog.list_runs(RunFilter(roots_only=False)):
        if not run.status.is_finished:
            continue
        seen: set[str] = set()
        for one in core.catalog.list_checkpoints(CheckpointFilter(run=run.id)):
            if one.checkpoint.role in seen and one.created < before:
                found.add((run.id, one.sequence))
            seen.add(one.checkpoint.role)
    return Chosen(checkpoints=found)


def _refuse_newest(core: StoreCore, checkpoint: CheckpointRecord) -> None:
    run = core.catalog.get_run(checkpoint.run)
    newest = core.catalog.latest_checkpoint(checkpoint.run, role=checkpoint.checkpoint.role)
    if run is None or run.status.is_finished or newest is None or newest.sequence != checkpoint.sequence:
        return
    raise ValueError(
        f"checkpoint {checkpoint.id} is the newest of run {run.name!r}, which is not finished ({run.status.value}) and would "
        "go on from it. Nothing was moved. Finish the run, or name an older one."
    )
