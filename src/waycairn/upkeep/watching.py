"""How a run goes, looked at from another process, again and again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from waycairn.errors import RunNotFound
from waycairn.model.ids import RunId
from waycairn.model.records import RunFilter, RunRecord
from waycairn.model.states import RunStatus
from waycairn.store import StoreCore
from waycairn.upkeep.batch import Group, grouped
from waycairn.upkeep.speed import Speed
from waycairn.upkeep.standing import ORPHANED, Standing, standing_of

_NEWEST = 100
"""Failures that are grouped: what goes wrong now, not all that ever did."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """What was seen at one moment."""

    standing: Standing
    phases: Sequence[Standing]
    """Those below it that are running, oldest first."""
    failures: Sequence[Group]
    """Of the newest failed items, the most frequent first."""
    rate: float | None
    """Items a second, done or failed, of the last half minute."""
    eta: float | None
    """Seconds."""
    now: float

    @property
    def is_over(self) -> bool:
        """It was left, or its owner is dead."""
        return self.standing.word != RunStatus.RUNNING.value

    @property
    def has_died(self) -> bool:
        return self.standing.word == ORPHANED


class Watcher:
    """Looks at one run. It reads, and takes no lock: the job does not notice. Not thread-safe."""

    def __init__(self, core: StoreCore, run: RunId) -> None:
        self._core = core
        self._run = run
        self._speed = Speed()

    def look(self) -> Look:
        """Raises RunNotFound if it was deleted meanwhile."""
        standing = standing_of(self._core, self._read())
        if standing.word == ORPHANED:
            # Perhaps it was left after its row was read and before its owner was looked for.
            standing = standing_of(self._core, self._read())
        pace = self._speed.see(standing.run, self._core.clock.monotonic())
        progress = standing.run.progress
        return Look(
            standing=standing,
            phases=self._phases(standing),
            failures=grouped(self._core.catalog.newest_failures(self._run, _NEWEST)) if progress.failed else [],
            rate=pace.rate,
            eta=None if standing.holder is None else pace.eta,
            now=self._core.clock.now(),
        )

    def _read(self) -> RunRecord:
        run = self._core.catalog.get_run(self._run)
        if run is None:
            raise RunNotFound(
                f"run {self._run} was deleted while it was watched. Nothing of it is left.", run=self._run
            )
        return run

    def _phases(self, standing: Standing) -> list[Standing]:
        run, holder = standing.run, standing.holder
        if holder is None:
            return []
        running = self._core.catalog.list_runs(
            RunFilter(root=run.root, roots_only=False, status=[RunStatus.RUNNING]),
        )
        return [
            Standing(phase, phase.status.value, holder)
            for phase in reversed(running)
            if phase.id != phase.root and run.id in {phase.root, phase.parent}
        ]
