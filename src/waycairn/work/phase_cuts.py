"""Where the phases below a run stand: a checkpoint of the run names it, so that going back to it takes them along."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from waycairn.model.ids import RunId
from waycairn.model.records import RunFilter, RunRecord
from waycairn.store import StoreCore

if TYPE_CHECKING:
    from waycairn.work.gathering import Gathering


class PhaseCuts:
    """Of one entry into one run."""

    def __init__(self, store: StoreCore, run: RunRecord) -> None:
        self._store = store
        self._run = run
        self._left: dict[str, Any] | None = None if run.sequence else {}
        """Those that nobody works on. None: earlier entries may have made some, look when it is asked for."""
        self._open: dict[str, Gathering] = {}

    def met(self, phase: RunRecord) -> None:
        """It is there, completed or about to begin."""
        known = self._known()
        if not phase.sequence:
            known[phase.name] = [0, {}]  # just made, and none below it
        elif known.get(phase.name, (None,))[0] != phase.sequence:
            known.update(self._listed())

    def begun(self, name: str, below: Gathering) -> None:
        """It commits through this from now on, in this entry."""
        self._open[name] = below

    def now(self) -> dict[str, Any]:
        """Name to its newest commit, and the same of what is below it; empty if the run has no phases."""
        working = {name: [below.sequence, below.phases.now()] for name, below in self._open.items()}
        return {**self._known(), **working}

    def _known(self) -> dict[str, Any]:
        if self._left is None:
            self._left = self._listed()
        return self._left

    def _listed(self) -> dict[str, Any]:
        below: dict[RunId | None, list[RunRecord]] = {}
        for one in self._store.catalog.list_runs(RunFilter(root=self._run.root, roots_only=False)):
            below.setdefault(one.parent, []).append(one)

        def cuts_of(run: RunId) -> dict[str, Any]:
            return {one.name: [one.sequence, cuts_of(one.id)] for one in below.get(run, ())}

        return cuts_of(self._run.id)
