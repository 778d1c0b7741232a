"""Nothing is deleted that cannot be brought back: the block in which a source is deleted.

with Safeguard(...) as backup:       # exported, durable, read back, verified; or it raises, and nothing was deleted
    backup.delete()                  # or, for paths, whatever the block itself deletes
                                     # leaving by an exception puts back what was deleted in here
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from waycairn.backups.backup import Backup, Declined
from waycairn.backups.making import Told, ignore, make, refuse_store
from waycairn.backups.registry import PATHS
from waycairn.backups.restoring import restore
from waycairn.backups.source import Source
from waycairn.errors import StoreError
from waycairn.model.backups import BackupRecord, BackupState, Member, Restored
from waycairn.model.ids import RunId
from waycairn.store import StoreCore
from waycairn.upkeep.auditing import record
from waycairn.world.crashpoints import crashpoint

log = logging.getLogger("waycairn")


class Safeguard:
    """Entered once, with `with` or `async with`."""

    def __init__(
        self,
        core_of: Callable[[], StoreCore],
        source: Source,
        *,
        keep: float | str | None = None,
        decline: str | None = None,
        told: Told = ignore,
    ) -> None:
        """`decline`: why there is to be no backup. It is written to the audit log, and `delete` deletes without one."""
        if decline is not None:
            _check_reason(decline)
        self._core_of = core_of
        self._source = source
        self._keep = keep
        self._decline = decline
        self._told = told
        self._backup: Backup | None = None

    def __enter__(self) -> Backup:
        if self._backup is not None:
            raise ValueError("a safeguard is entered once; make another one for the next delete.")
        core = self._core_of()
        if self._decline is not None:
            self._backup = declined(core, self._source, self._decline)
        else:
            made = make(core, self._source, keep=self._keep, told=self._told)
            self._backup = Backup(core, made.record, self._source, contents=made)
        return self._backup

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        backup = self._backup
        if backup is None or isinstance(backup, Declined):
            return
        core = self._core_of()
        if error is None:
            _note_if_gone(core, backup.record, self._source)
        else:
            _put_back(core, backup, self._source, error)

    async def __aenter__(self) -> AsyncBackup:
        return AsyncBackup(await asyncio.to_thread(self.__enter__))

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        # Shielded: a task that is cancelled still puts back what it deleted.
        await asyncio.shield(asyncio.to_thread(self.__exit__, kind, error, trace))


def declined(core: StoreCore, source: Source, reason: str) -> Declined:
    """No backup, by an explicit choice that the audit log has. ValueError without a reason; BackupRefused where the store
    would be deleted, too."""
    _check_reason(reason)
    refuse_store(source, core)
    facts = {"kind": source.kind, "source": dict(source.describe()), "reason": reason}
    record(core, "backup.decline", source.label, facts=facts)
    return Declined(core, source, reason)


def _check_reason(reason: str) -> None:
    if not reason.strip():
        raise ValueError("who declines a backup says why: decline='...'. Nothing was deleted.")


def _note_if_gone(core: StoreCore, row: BackupRecord, source: Source) -> None:
    """Who deletes by own means tells nobody: if nothing is left, the row says that this is all there is."""
    if row.state is not BackupState.VERIFIED or row.records == 0:
        return
    try:
        left = source.count().records
    except Exception as error:  # noqa: BLE001 - the work is done; what is not there can be hard to count
        if not any(isinstance(one, FileNotFoundError) for one in (error, error.__cause__)):
            return  # whatever is wrong with it, it is there
        left = 0
    if left == 0:
        now = core.clock.now()
        core.catalog.change_backup(row.id, [BackupState.VERIFIED], now, state=BackupState.DELETED, deleted=now)


def _put_back(core: StoreCore, backup: Backup, source: Source, error: BaseException) -> None:
    """The exception goes on, with what is where, whatever becomes of this."""
    try:
        row = backup.record
        was_deleted = row.state in {BackupState.DELETED, BackupState.DELETING}
        if not was_deleted and source.kind != PATHS:
            return
        crashpoint("backup.put_back")
        restored = restore(core, row.id, is_missing_only=True, source=source)
    except Exception as failed:  # noqa: BLE001 - told with the first error, which says why all this happened
        said = (
            f"What was deleted could not be put back: {type(failed).__name__}: {failed}. Backup {backup.id} ({source.label}) "
            f"has it all: waycairn backup restore {backup.id}"
        )
        error.add_note(said)
        log.warning("%s", said)  # whoever suppresses the exception hears of it, too
        return
    now, said = core.clock.now(), f"put back after {type(error).__name__}"
    try:
        core.catalog.change_backup(
            row.id,
            [BackupState.DELETED, BackupState.DELETING],
            now,
            state=BackupState.VERIFIED,
            deleted=None,
            error=said,
        )
    except StoreError as failed:
        error.add_note(f"The row of backup {row.id} does not say yet that all is back: {failed}")
    crashpoint("backup.put_back.done")
    error.add_note(f"Put back {restored.records} of {row.label}; backup {row.id} has all of it as well.")


class AsyncBackup:
    """A Backup whose methods are awaited; see there for what each promises and raises. `with` blocks and `async with` blocks are
    the same code: this only waits in a thread."""

    def __init__(self, backup: Backup) -> None:
        self._backup = backup

    @property
    def id(self) -> RunId:
        return self._backup.id

    async def record(self) -> BackupRecord:
        return await asyncio.to_thread(lambda: self._backup.record)

    async def members(self) -> Mapping[str, Member]:
        return await asyncio.to_thread(lambda: self._backup.members)

    async def delete(self, source: Source | None = None, *, told: Told = ignore) -> BackupRecord | None:
        return await asyncio.to_thread(self._backup.delete, source, told=told)

    async def restore(
        self, *, to: Any = None, overwrite: bool = False, only: Sequence[str] | None = None, told: Told = ignore
    ) -> Restored:
        return await asyncio.to_thread(self._backup.restore, to=to, overwrite=overwrite, only=only, told=told)

    async def verify(self, told: Told = ignore) -> BackupRecord:
        return await asyncio.to_thread(self._backup.verify, told)
