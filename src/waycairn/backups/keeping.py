"""How long backups stay, and what becomes of those whose time is over: the row says so first, then the payload goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from waycairn.backups.catalogue import drop_payload, find, is_interrupted
from waycairn.backups.telling import tell_failed
from waycairn.errors import BackupError, BackupExpired, BackupRefused
from waycairn.model.backups import TASK, WHOLE, BackupFilter, BackupRecord, BackupState
from waycairn.model.records import RunFilter, RunRecord
from waycairn.store import StoreCore
from waycairn.upkeep.auditing import audited, audited_commit
from waycairn.upkeep.holding import held
from waycairn.upkeep.standing import is_backup
from waycairn.world.crashpoints import crashpoint

Stop = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Pruned:
    """What a prune did."""

    expired: int = 0
    """Backups whose time was over."""
    interrupted: int = 0
    """What processes left that died while they made one."""
    payloads: int = 0
    """Runs that went; their bytes go with the next sweep."""


def extend(core: StoreCore, backup: str, keep: float | str | None = None) -> BackupRecord:
    """It stays so long from now on, or by the setting `backups.keep`; it may be shorter than before. Raises BackupExpired."""
    found = find(core, backup)
    now = core.clock.now()
    expires = core.settings.backups.expires(now, keep)
    with audited_commit(core, "backup.extend", found.id, rides_with=bool, expires=expires):
        _change_whole(core, found, expires=expires)
    return find(core, backup)


def pin(core: StoreCore, backup: str, pinned: bool = True) -> BackupRecord:
    """It stays, whatever its time says; or not any more. Raises BackupExpired."""
    found = find(core, backup)
    with audited_commit(core, "backup.extend", found.id, rides_with=bool, pinned=pinned):
        _change_whole(core, found, pinned=pinned)
    return find(core, backup)


def _change_whole(core: StoreCore, found: BackupRecord, **changes: float | bool | None) -> None:
    if not core.catalog.change_backup(found.id, WHOLE, core.clock.now(), **changes):
        raise BackupExpired(
            f"backup {found.id} ({found.label}) is not whole any more, or not yet. Nothing was changed.",
            backup=found.id,
        )


def remove(core: StoreCore, backup: str) -> BackupRecord:
    """Give a backup up: its payload goes, its row stays. Raises BackupRefused for one that is pinned, that is being made, or
    whose source was not deleted to the end."""
    found = find(core, backup)
    with audited(core, "backup.remove", found.id, kind=found.kind, label=found.label, state=found.state.value) as act:
        act.is_quiet = found.state is BackupState.EXPIRED
        _refuse_unless_free(core, found)
        if not core.catalog.change_backup(found.id, [found.state], core.clock.now(), state=BackupState.EXPIRED):
            raise BackupError(f"backup {found.id} was changed by another process. Nothing was removed. Try again.")
        crashpoint("backup.remove")
        drop_payload(core, found.id)
        crashpoint("backup.removed")
    return find(core, backup)


def _refuse_unless_free(core: StoreCore, found: BackupRecord) -> None:
    if found.pinned and found.state.is_whole:
        raise BackupRefused(
            f"backup {found.id} ({found.label}) is pinned. Nothing was removed. Unpin it first.", backup=found.id
        )
    if found.state is BackupState.DELETING:
        raise BackupRefused(
            f"the source of backup {found.id} ({found.label}) is being deleted, or its delete was cut off. Nothing was removed: "
            "it may be all that is left. Finish the delete, or restore it first.",
            backup=found.id,
        )
    run = core.catalog.get_run(found.id)
    if found.state is BackupState.EXPORTING and run is not None:
        owner = core.ownership.holder(run)
        if owner is not None:
            raise held(run, owner)


def prune(core: StoreCore, *, stop: Stop = lambda: False) -> Pruned:
    """Rows whose time is over say so; then payloads go that no row needs any more. Safe beside everything else, and it can be
    interrupted anywhere."""
    expired = _expire(core, stop)
    interrupted = _give_up_interrupted(core, stop)
    payloads = _drop_unneeded(core, stop)
    return Pruned(expired, interrupted, payloads)


def due(core: StoreCore) -> tuple[Sequence[BackupRecord], Sequence[BackupRecord]]:
    """What a prune would let go now: those whose time is over, and those whose process died while it made them."""
    return list(_over(core)), list(_left_over(core))


def _over(core: StoreCore) -> Iterator[BackupRecord]:
    for found in core.catalog.list_backups(BackupFilter(states=(BackupState.VERIFIED, BackupState.DELETED))):
        if not found.pinned and found.expires is not None and found.expires <= core.clock.now():
            yield found


def _left_over(core: StoreCore) -> Iterator[BackupRecord]:
    until = core.clock.now() - core.settings.backups.leftover_age
    for found in core.catalog.list_backups(BackupFilter(states=[BackupState.EXPORTING])):
        if found.updated <= until and is_interrupted(core, found):
            yield found


def _expire(core: StoreCore, stop: Stop) -> int:
    count = 0
    for found in takewhile(lambda _: not stop(), _over(core)):
        now = core.clock.now()
        with audited_commit(core, "backup.prune", found.id, rides_with=bool, kind=found.kind, label=found.label) as act:
            is_done = core.catalog.expire_backup(found.id, now)
            act.is_quiet = not is_done  # somebody extended it meanwhile
            count += is_done
        crashpoint("backup.expired")
    return count


def _give_up_interrupted(core: StoreCore, stop: Stop) -> int:
    count = 0
    for found in takewhile(lambda _: not stop(), _left_over(core)):
        said = "its process died while it was made"
        now = core.clock.now()
        facts = {"kind": found.kind, "label": found.label, "interrupted": True}
        with audited_commit(core, "backup.prune", found.id, rides_with=bool, **facts) as act:
            is_done = core.catalog.change_backup(
                found.id, [BackupState.EXPORTING], now, state=BackupState.FAILED, error=said
            )
            act.is_quiet = not is_done
            count += is_done
        if is_done:
            tell_failed(core, replace(found, updated=now, error=said))
        crashpoint("backup.given_up")
    return count


def _drop_unneeded(core: StoreCore, stop: Stop) -> int:
    count = 0
    for run in core.catalog.list_runs(RunFilter(task=TASK)):
        if not stop() and _is_unneeded(core, run):
            drop_payload(core, run.id)
            crashpoint("backup.payload.gone")
            count += 1
    return count


def _is_unneeded(core: StoreCore, run: RunRecord) -> bool:
    """Its row is there before it; a run without one is a job of the user that has the same task."""
    record = core.catalog.get_backup(run.id)
    return record is not None and _is_over(record, core.clock.now()) and core.ownership.holder(run) is None


def _is_over(record: BackupRecord, now: float) -> bool:
    """One that was whole and was damaged since stays as long as it was to stay: most of it can be read, or mended."""
    if record.state is BackupState.FAILED and record.verified is not None:
        return not record.pinned and record.expires is not None and record.expires <= now
    return record.state in {BackupState.EXPIRED, BackupState.FAILED}


def refuse_if_backup(core: StoreCore, run: RunRecord, act: str) -> None:
    """A run that holds the payload of a backup is removed by way of the catalogue only, whose row would promise what is gone.
    Raises BackupRefused."""
    if is_backup(core, run):
        raise BackupRefused(
            f"run {run.id} is the payload of a backup and cannot be {act} by itself. Nothing was changed. "
            f"To give the backup up: waycairn backup delete {run.id}",
            backup=run.id,
        )
