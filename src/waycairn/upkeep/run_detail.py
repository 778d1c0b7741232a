"""One run and what is below it, counted rather than read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from waycairn.model.records import OutputLength, RunRecord
from waycairn.store import StoreCore
from waycairn.upkeep.standing import Standing, below, root_of, standing_of


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDetail:
    standing: Standing
    phases: Sequence[Standing]
    """All runs below it, oldest first."""
    loops: Mapping[str, int]
    """Of each, how many items are done."""
    waiting: Sequence[str]
    """Loops and queues of which something waits."""
    checkpoints: int
    steps: int
    outputs: Sequence[OutputLength]


def look_at(core: StoreCore, run: RunRecord) -> RunDetail:
    """At a run or a phase."""
    standing = standing_of(core, run)
    checkpoints, steps = core.catalog.count_of_run(run.id)
    return RunDetail(
        standing=standing,
        phases=phases_below(run, below(core, root_of(core, run), standing.holder)),
        loops=core.catalog.loops(run.id),
        waiting=core.catalog.waiting(run.id),
        checkpoints=checkpoints,
        steps=steps,
        outputs=list(core.catalog.outputs(run.id).values()),
    )


def phases_below(run: RunRecord, listed: Sequence[Standing]) -> list[Standing]:
    """Those of the phases of its root that are below this one, at any depth. A phase is begun after what it is below."""
    inside = {run.id}
    found = []
    for phase in listed:
        if phase.run.parent in inside:
            inside.add(phase.run.id)
            found.append(phase)
    return found
