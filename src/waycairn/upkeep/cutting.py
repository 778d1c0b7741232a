"""From which checkpoints a run can go on otherwise."""

from __future__ import annotations

from waycairn.errors import CheckpointNotFound
from waycairn.model.records import PARTS, WHOLE, CheckpointFilter, CheckpointRecord, RunFilter, RunRecord
from waycairn.model.states import CheckpointStatus
from waycairn.store import StoreCore


def check_cut(core: StoreCore, run: RunRecord, checkpoint: CheckpointRecord, act: str) -> None:
    """Raises ValueError, CheckpointNotFound if a run cannot be forked or rewound there; `act` is the word for that."""
    if checkpoint.run != run.id:
        raise ValueError(
            f"checkpoint {checkpoint.id} is none of run {run.name!r} ({run.id}). Nothing was changed. See: waycairn "
            f"checkpoints {run.id}"
        )
    _check_run(core, run, act)
    if checkpoint.checkpoint.role != "state":
        raise ValueError(
            f"checkpoint {checkpoint.id} is a {checkpoint.checkpoint.role}, and no cut of the run: what else was done at that "
            "moment is not in it. Nothing was changed. Take one of a state, or one that run.checkpoint() took."
        )
    if checkpoint.status is not CheckpointStatus.VALID:
        why = (
            "the run went back behind it, and what was done in between is gone"
            if checkpoint.status is CheckpointStatus.SET_ASIDE
            else f"it is damaged: {checkpoint.damage}"
        )
        raise CheckpointNotFound(
            f"nothing can be {act} at checkpoint {checkpoint.id}: {why}. Nothing was changed. What it holds can still be read "
            f"as far as it is intact: waycairn export {checkpoint.id}",
            checkpoint=checkpoint.id,
        )


def _check_run(core: StoreCore, run: RunRecord, act: str) -> None:
    if run.parent is not None:
        raise ValueError(
            f"{run.name!r} ({run.id}) is a phase: it goes with the run above it, {run.root}, which can be {act}. Nothing was "
            "changed."
        )
    if PARTS in run.metadata or (act == "forked" and WHOLE in run.metadata):
        raise ValueError(
            f"run {run.name!r} ({run.id}) is a batch done in parts, or one of its parts: each part has its own cuts, and none "
            f"of all of them can be {act}. Nothing was changed."
        )
    for below in core.catalog.list_runs(RunFilter(root=run.id, roots_only=False)):
        if core.catalog.list_checkpoints(CheckpointFilter(run=below.id, role="stream", limit=1)):
            raise ValueError(
                f"run {run.name!r} ({run.id}) follows files into a sink: its rows and offsets are there and not in this store, "
                f"so that it cannot be {act} as a whole. Nothing was changed. To read files again: waycairn stream reset"
            )
