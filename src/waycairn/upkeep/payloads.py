"""Whether each backup that promises to be whole has what it needs to be restored, by the names of its steps; reading it all
back is `waycairn backup verify`."""

from __future__ import annotations

from collections.abc import Iterator

from waycairn.model.backups import INDEX, TASK, WHOLE, BackupFilter, BackupRecord, part_name
from waycairn.model.records import RunFilter
from waycairn.model.states import RunStatus
from waycairn.store import StoreCore
from waycairn.upkeep.violation import Violation


def check(core: StoreCore) -> Iterator[Violation]:
    """Also while backups are made, deleted with, and pruned."""
    for backup in core.catalog.list_backups(BackupFilter(states=WHOLE)):
        what = _missing(core, backup)
        if what and _is_whole_still(core, backup):
            told = f"backup {backup.id} ({backup.label}) is {backup.state}, and {what}"
            yield Violation("I13", told, {"backup": backup.id})
    for run in core.catalog.list_runs(RunFilter(name=TASK, task=TASK, status=[RunStatus.COMPLETED])):
        # The row is there before the run, and outlives it. Others may call a job of their own "backup".
        if run.key == run.id and core.catalog.get_backup(run.id) is None:
            yield Violation("I13", f"run {run.id} is the payload of a backup that no row knows", {"run": run.id})


def _missing(core: StoreCore, backup: BackupRecord) -> str | None:
    run = core.catalog.get_run(backup.id)
    if run is None:
        return "its payload is gone"
    if (
        run.epoch == 1 and run.status is not RunStatus.COMPLETED
    ):  # of a later epoch it is held by who deletes the source
        return f"its payload is {run.status}"
    names = {found.step.name for found in core.catalog.list_steps(run.id) if found.step.scope == TASK}
    if INDEX not in names:
        return "its payload has no index"
    expected = {part_name(number) for number in range(len(names) - 1)}
    return f"part {min(expected - names)} is missing" if expected - names else None


def _is_whole_still(core: StoreCore, backup: BackupRecord) -> bool:
    """It may have expired between the two looks."""
    now = core.catalog.get_backup(backup.id)
    return now is not None and now.state.is_whole
