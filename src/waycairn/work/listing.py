"""What a store remembers, read: runs and their checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from waycairn.errors import CheckpointNotFound, RunNotFound
from waycairn.model.ids import RunId, split_checkpoint_id
from waycairn.model.records import CheckpointFilter, CheckpointRecord, RunFilter, RunRecord
from waycairn.model.states import CheckpointStatus, RunStatus
from waycairn.store import StoreCore


class Listing:
    """The part of `Store` that finds things."""

    core: StoreCore
    url: str

    def runs(
        self,
        *,
        name: str | None = None,
        key: str | None = None,
        status: RunStatus | str | Sequence[RunStatus | str] | None = None,
        task: str | None = None,
        tag: str | None = None,
        limit: int | None = None,
    ) -> Sequence[RunRecord]:
        """Runs, newest first; phases are listed by `phases`."""
        wanted = None
        if status is not None:
            wanted = [RunStatus(one) for one in ([status] if isinstance(status, str) else status)]
        return self.core.catalog.list_runs(
            RunFilter(name=name, key=key, status=wanted, task=task, tag=tag, limit=limit)
        )

    def find(self, run: str, key: str | None = None) -> RunRecord:
        """By id, or by name (and key): the newest of that name. Raises RunNotFound."""
        may_be_id = key is None and run.isascii() and "\0" not in run  # what no database takes is the id of none
        found = self.core.catalog.get_run(RunId(run)) if may_be_id else None
        found = found or self.core.catalog.find_run(None, run, key)
        if found is None:
            named = self.runs(name=run, key=key, limit=1)
            found = named[0] if named else None
        if found is None:
            keyed = "" if key is None else f" with key {key!r}"
            raise RunNotFound(
                f"there is no run {run!r}{keyed} in the store at {self.url}. See `waycairn runs`.",
                run=run,
            )
        return found

    def phases(self, run: str) -> Sequence[RunRecord]:
        """The runs below a run, oldest first."""
        found = self.find(run)
        below = self.core.catalog.list_runs(RunFilter(root=found.root, roots_only=False))
        return [record for record in reversed(below) if record.id != found.root]

    def holder(self, run: RunRecord) -> Any:
        """The living owner of a run (model.records.Owner), None if its owner is dead or it was left."""
        return self.core.ownership.holder(run)

    def checkpoints(
        self, run: str | None = None, *, name_glob: str | None = None, **which: Any
    ) -> Sequence[CheckpointRecord]:
        """Checkpoints, newest first; filters as in model.records.CheckpointFilter. `name_glob`: of runs, phases among them,
        with a name like `train-*`."""
        wanted = None if run is None else self.find(run).id
        if which.get("status") is not None:
            which["status"] = CheckpointStatus(which["status"])
        if name_glob is None:
            return self.core.catalog.list_checkpoints(CheckpointFilter(run=wanted, **which))
        below = self.core.catalog.list_runs(RunFilter(root=wanted, roots_only=False))
        named = [one.id for one in below if fnmatchcase(one.name, name_glob)]
        found = [one for id_ in named for one in self.core.catalog.list_checkpoints(CheckpointFilter(run=id_, **which))]
        found.sort(key=lambda one: (one.created, one.run, one.sequence), reverse=True)
        return found[: which.get("limit")]

    def checkpoint(self, checkpoint: str) -> CheckpointRecord:
        """One checkpoint by id. Raises CheckpointNotFound."""
        run, sequence = split_checkpoint_id(checkpoint)
        found = self.core.catalog.get_checkpoint(run, sequence)
        if found is None:
            raise CheckpointNotFound(
                f"there is no checkpoint {checkpoint} in the store at {self.url}. See `waycairn checkpoints`.",
                checkpoint=checkpoint,
            )
        return found
