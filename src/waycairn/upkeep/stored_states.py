"""Everything in a store that has a manifest, by name: checkpoints, results of steps and items, what waits, and queues."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from waycairn.model.records import CheckpointFilter, CheckpointRecord, RunFilter, RunRecord, Stored
from waycairn.store import StoreCore

_PAGE = 256
"""Checkpoints that are brought at once: each may hold some kilobytes."""

Only = RunRecord | CheckpointRecord | None
"""A run with its phases, one checkpoint, or (None) everything."""


@dataclass(frozen=True, slots=True)
class StoredState:
    name: str
    """A checkpoint id, `step NAME of run ID`, `results of 50 items of loop NAME of run ID`."""
    stored: Stored
    run: RunRecord | None
    """None where one checkpoint alone was asked for."""
    checkpoint: CheckpointRecord | None = None
    """None for results, of steps and items, and for what waits."""
    is_step: bool = False


def states(core: StoreCore, only: Only = None) -> Iterator[StoredState]:
    """Of everything that is asked for: first all checkpoints, then the rest, run by run, in bounded memory."""
    if isinstance(only, CheckpointRecord):
        yield StoredState(only.id, only.checkpoint.stored, None, only)
        return
    runs = runs_of(core, only)
    for run in runs:
        for record in checkpoints_of(core, run):
            yield StoredState(record.id, record.checkpoint.stored, run, record)
    for run in runs:
        yield from _steps_of(core, run)
        yield from _results_of(core, run)


def runs_of(core: StoreCore, only: RunRecord | None) -> list[RunRecord]:
    """Of the whole store, or one with the phases below it."""
    if only is None:
        return list(core.catalog.list_runs(RunFilter(roots_only=False)))
    if only.id != only.root:
        return [only]
    return list(core.catalog.list_runs(RunFilter(root=only.root, roots_only=False)))


def of_run(core: StoreCore, run: RunRecord) -> tuple[list[CheckpointRecord], list[RunRecord]]:
    """The checkpoints of a run and of the phases below it, and those runs."""
    runs = runs_of(core, run)
    return [record for one in runs for record in checkpoints_of(core, one)], runs


def checkpoints_of(core: StoreCore, run: RunRecord) -> Iterator[CheckpointRecord]:
    """Newest first."""
    before: int | None = None
    while True:
        page = core.catalog.list_checkpoints(CheckpointFilter(run=run.id, before=before, limit=_PAGE))
        yield from page
        if len(page) < _PAGE:
            return
        before = page[-1].sequence


def _steps_of(core: StoreCore, run: RunRecord) -> Iterator[StoredState]:
    for stored in core.catalog.list_steps(run.id):
        step = stored.step
        name = f"step {step.name!r}{f' of item {step.scope}' if step.scope else ''} of run {run.id}"
        yield StoredState(name, step.result, run, is_step=True)


def _results_of(core: StoreCore, run: RunRecord) -> Iterator[StoredState]:
    """What items gave, done or waiting for their fold, and what was added to queues."""
    catalog = core.catalog
    for loop in catalog.loops(run.id):
        for block in catalog.done_items(run.id, loop):
            if block.results is not None:
                yield StoredState(
                    f"results of {block.count} items of loop {loop!r} of run {run.id}", block.results, run
                )
    for name in catalog.waiting(run.id):
        for item in catalog.computed(run.id, name):
            yield StoredState(f"a result that waits in loop {name!r} of run {run.id}", item.result, run)
        for stored in catalog.queued(run.id, name):
            yield StoredState(f"an addition to queue {name!r} of run {run.id}", stored, run)
