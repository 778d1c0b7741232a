"""Reading everything back and comparing it with its hashes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from waycairn.errors import Damaged
from waycairn.model.records import CheckpointFilter, CheckpointRecord, RunFilter, RunRecord, Stored
from waycairn.model.states import CheckpointStatus
from waycairn.store import StoreCore

Tell = Callable[[str, int], None]
"""Called before each state with its name and its size in bytes."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A state that cannot be read."""

    name: str
    """A checkpoint id, `step NAME of run ID`, `results of 50 items of loop NAME of run ID`."""
    damage: str
    known: bool
    """It was found before and is marked."""


@dataclass(slots=True)
class Verified:
    checkpoints: int = 0
    steps: int = 0
    results: int = 0
    """Cuts with results of items, and results and queues that wait."""
    raw_bytes: int = 0
    """Of what was read, before compression."""
    broken: list[Broken] = field(default_factory=list)


def verify(core: StoreCore, checkpoints: Sequence[CheckpointRecord], runs: Iterable[RunRecord], tell: Tell) -> Verified:
    """Read the checkpoints, and the results of steps and items of the runs; mark damaged checkpoints, so that nobody restores them.

    What was marked before is counted and not read again. Checkpoints that a run went back behind are read like any
    other; they stay set aside, however intact their bytes are.
    """
    verified = Verified()
    intact: set[bytes] = set()
    for record in checkpoints:
        tell(record.id, record.checkpoint.stored.raw_bytes)
        verified.checkpoints += 1
        if record.status is CheckpointStatus.DAMAGED:
            verified.broken.append(Broken(record.id, record.damage or "marked without a reason", known=True))
        elif damage := _damage_of(core, record.checkpoint.stored, intact, verified):
            if core.catalog.get_checkpoint(record.run, record.sequence) is None:
                continue  # deleted meanwhile, and swept
            core.catalog.mark_checkpoint(record.run, record.sequence, CheckpointStatus.DAMAGED, damage)
            verified.broken.append(Broken(record.id, damage, known=False))
    for run in runs:
        _verify_steps(core, run, intact, verified, tell)
        for name, stored in _results_of(core, run):
            tell(name, stored.raw_bytes)
            verified.results += 1
            if damage := _damage_of(core, stored, intact, verified):
                verified.broken.append(Broken(name, damage, known=False))
    return verified


def _results_of(core: StoreCore, run: RunRecord) -> Iterator[tuple[str, Stored]]:
    """What items gave, done or waiting for their fold, and what was added to queues; with names."""
    catalog = core.catalog
    for loop in catalog.loops(run.id):
        for block in catalog.done_items(run.id, loop):
            if block.results is not None:
                yield f"results of {block.count} items of loop {loop!r} of run {run.id}", block.results
    for name in catalog.waiting(run.id):
        for item in catalog.computed(run.id, name):
            yield f"a result that waits in loop {name!r} of run {run.id}", item.result
        for stored in catalog.queued(run.id, name):
            yield f"an addition to queue {name!r} of run {run.id}", stored


def _verify_steps(core: StoreCore, run: RunRecord, intact: set[bytes], verified: Verified, tell: Tell) -> None:
    for stored in core.catalog.list_steps(run.id):
        step = stored.step
        name = f"step {step.name!r}{f' of item {step.scope}' if step.scope else ''} of run {run.id}"
        tell(name, step.result.raw_bytes)
        verified.steps += 1
        if damage := _damage_of(core, step.result, intact, verified):
            verified.broken.append(Broken(name, damage, known=False))


def _damage_of(core: StoreCore, stored: Stored, intact: set[bytes], verified: Verified) -> str | None:
    """None if it can be read. One root is one content, so the same state in two places is read once."""
    if stored.root in intact:
        return None
    verified.raw_bytes += stored.raw_bytes
    try:
        core.verify(stored)
    except Damaged as error:
        return str(error)
    intact.add(stored.root)
    return None


def everything(core: StoreCore) -> tuple[Sequence[CheckpointRecord], Sequence[RunRecord]]:
    """What `verify` takes for the whole store."""
    return core.catalog.list_checkpoints(CheckpointFilter()), core.catalog.list_runs(RunFilter(roots_only=False))


def of_run(core: StoreCore, run: RunRecord) -> tuple[Sequence[CheckpointRecord], Sequence[RunRecord]]:
    """What `verify` takes for one run and the phases below it."""
    runs = [run] if run.id != run.root else core.catalog.list_runs(RunFilter(root=run.root, roots_only=False))
    return [one for each in runs for one in core.catalog.list_checkpoints(CheckpointFilter(run=each.id))], runs
