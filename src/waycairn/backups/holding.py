"""Who deletes the source of a backup holds the run of the backup meanwhile: a second one is refused while the first lives, and
goes on where it died."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from waycairn.backups.catalogue import holder
from waycairn.errors import BackupRefused
from waycairn.model.backups import BackupRecord
from waycairn.model.records import Owner
from waycairn.model.states import RunStatus
from waycairn.ports import Hold
from waycairn.store import StoreCore
from waycairn.upkeep.sizes import moment_text
from waycairn.world.crashpoints import crashpoint


@contextmanager
def held_for_delete(core: StoreCore, record: BackupRecord) -> Iterator[None]:
    """Raises BackupRefused if a living process deletes the same, says who, and since when."""
    hold = _take(core, record)
    crashpoint("backup.delete.held")
    try:
        yield
    finally:
        hold.release()


def _take(core: StoreCore, record: BackupRecord) -> Hold:
    run = core.catalog.get_run(record.id)
    if run is None:
        raise BackupRefused(
            f"the payload of backup {record.id} ({record.label}) is gone. Nothing was deleted. Make a new one."
        )
    owner = core.ownership.holder(run)
    if owner is not None:
        raise being_deleted(record, owner)
    hold = core.ownership.claim(run.id, run.epoch + 1)
    if hold is None:
        raise being_deleted(record, holder(core, record))
    try:
        now = core.clock.now()
        is_ours = core.catalog.take_over(run.id, run.epoch, hold.owner, now)
        crashpoint("backup.delete.taken")
        if is_ours:
            # What it holds is complete as before.
            core.catalog.change_run(run.id, run.epoch + 1, now, status=RunStatus.COMPLETED)
            core.ownership.forget(run.id, run.epoch + 1)
            return hold
    except BaseException:
        hold.release()
        raise
    hold.release()
    raise being_deleted(record, holder(core, record))


def being_deleted(record: BackupRecord, owner: Owner | None) -> BackupRefused:
    who = "another process"
    if owner is not None:
        since = moment_text(owner.since)
        who = f"pid {owner.pid} on {owner.host} since {since}"
    return BackupRefused(
        f"what backup {record.id} ({record.label}) holds is being deleted by {who}. This process changed nothing. Wait until that "
        "is done; or, if it hangs, stop that process and try again: what it began can be finished or taken back.",
        backup=record.id,
        owner=owner,
    )
