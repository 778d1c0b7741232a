"""Other ways from a cut: a new run that begins there, or the run itself once more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from waycairn.model.forking import NewFork
from waycairn.model.ids import RunId


class BranchRows(Protocol):
    """Both take the phases below along: to where they stood at that cut."""

    def add_fork(self, fork: NewFork, now: float) -> bool:
        """In one transaction a run, interrupted, never entered, that has everything of the source up to a checkpoint of a
        state: items, failures, what waits, steps, values, results, the newest state, what was logged, lengths of outputs.
        It counts its commits on from there and shares the chunks. False, and nothing changed, if its name is taken.

        Raises RunNotFound; CheckpointNotFound if that checkpoint is not there, no state, damaged or set aside."""
        ...

    def outputs_at(self, run: RunId, sequence: int) -> Mapping[str, int]:
        """Path to length of the growing outputs of a run and the phases below it, at a checkpoint of the run."""
        ...

    def cuts_at(self, run: RunId, sequence: int) -> Mapping[RunId, int]:
        """Where a run and the phases below it stood at a checkpoint of the run: their commits, 0 for one that was not there
        yet. What `rewind` and `reopen` cut them back to."""
        ...

    def reopen(self, run: RunId, epoch: int, sequence: int, now: float) -> None:
        """What `rewind` does, for a root run that nobody works on: it gets epoch + 1, no owner and status interrupted, in the
        same transaction. Raises OwnershipLost if it has another epoch; CheckpointNotFound as `add_fork`."""
        ...
