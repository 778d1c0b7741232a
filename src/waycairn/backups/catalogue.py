"""Backups, found and opened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from waycairn.backups.payload import Index
from waycairn.backups.payload_reading import Payload
from waycairn.errors import BackupError, BackupExpired, BackupNotFound, Damaged
from waycairn.model.backups import WHOLE, BackupFilter, BackupRecord, BackupState, Member
from waycairn.model.ids import RunId
from waycairn.model.records import Owner
from waycairn.store import StoreCore
from waycairn.world import history


@dataclass(frozen=True, slots=True)
class BackupContents:
    """Implements `source.Contents`."""

    record: BackupRecord
    payload: Payload

    @property
    def members(self) -> Mapping[str, Member]:
        return self.payload.members

    def read(self, name: str, start: int = 0) -> Iterator[bytes]:
        return self.payload.read(name, start)


def find(core: StoreCore, backup: str) -> BackupRecord:
    """Its row. Raises BackupNotFound."""
    found = None if "\0" in backup else core.catalog.get_backup(RunId(backup))  # PostgreSQL takes no such text
    if found is None:
        raise BackupNotFound(
            f"there is no backup {backup!r} in the store at {core.url}. See `waycairn backup list`.", backup=backup
        )
    return found


def find_whole(core: StoreCore, backup: str) -> BackupRecord:
    """The row of one that can be restored from. Raises BackupNotFound, BackupExpired, BackupError."""
    found = find(core, backup)
    if found.state is BackupState.EXPIRED:
        raise BackupExpired(
            f"backup {found.id} ({found.label}) has expired, and its payload is gone. Nothing was changed.",
            backup=found.id,
        )
    if not found.state.is_whole:
        raise BackupError(
            f"backup {found.id} ({found.label}) is {found.state}: it was never finished, and its source was not deleted by "
            "waycairn. Nothing was changed. Make a new one.",
            backup=found.id,
            state=found.state,
        )
    return found


def open_contents(core: StoreCore, record: BackupRecord, index: Index | None = None) -> BackupContents:
    """With its index, if that was read before. Raises BackupError if its payload went meanwhile, Damaged."""
    return BackupContents(record, Payload(core, record.id, index))


def is_interrupted(core: StoreCore, record: BackupRecord) -> bool:
    """It was being made, or its source deleted, when the process died that did so."""
    return record.state in {BackupState.EXPORTING, BackupState.DELETING} and holder(core, record) is None


def holder(core: StoreCore, record: BackupRecord) -> Owner | None:
    """The living process that makes the backup or deletes its source."""
    run = core.catalog.get_run(record.id)
    return None if run is None else core.ownership.holder(run)


def newest_record(core: StoreCore, kind: str, description: Mapping[str, Any]) -> BackupRecord | None:
    """Of the newest whole backup of the same source."""
    found = core.catalog.list_backups(BackupFilter(kind=kind, states=WHOLE))
    return next((record for record in found if record.source == description), None)


def newest_of(core: StoreCore, kind: str, description: Mapping[str, Any]) -> BackupContents | None:
    """The same, if it can be opened."""
    record = newest_record(core, kind, description)
    with suppress(BackupError, Damaged):  # the next one is made without it
        return None if record is None else open_contents(core, record)
    return None


def drop_payload(core: StoreCore, backup: RunId) -> None:
    """Its row says already that there is none. The bytes go with the next sweep."""
    history.note(history.Deleting(what=[backup]))
    core.catalog.delete_run(backup)
    history.note(history.Deleted(what=[backup]))
