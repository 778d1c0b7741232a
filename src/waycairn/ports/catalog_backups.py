"""Rows about backups."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Protocol

from waycairn.model.backups import BackupFilter, BackupRecord, BackupState
from waycairn.model.ids import RunId
from waycairn.model.records import Commit


class BackupRows(Protocol):
    """The catalogue of backups. What they hold lies in runs of the same ids, which know nothing of it. All writes are durable
    when they return, and each of them says whether it happened: of two who want to go on, one is told so."""

    def add_backup(self, record: BackupRecord) -> None: ...

    def change_backup(self, backup: RunId, expected: Collection[BackupState], now: float, **columns: Any) -> bool:
        """Set columns of a row that is in one of these states. False, and nothing changed, if it is in another one, or if
        there is none."""
        ...

    def hold_backup(self, backup: RunId, until: float, now: float) -> bool:
        """It expires at this moment at the earliest. False, and nothing changed, if it is not whole any more."""
        ...

    def expire_backup(self, backup: RunId, now: float) -> bool:
        """Its time is over: expired. False, and nothing changed, if that is not so, or not any more: it is pinned, its time
        was extended, its source is being deleted."""
        ...

    def get_backup(self, backup: RunId) -> BackupRecord | None: ...

    def list_backups(self, which: BackupFilter) -> Sequence[BackupRecord]:
        """Newest first."""
        ...

    def carry_steps(self, commit: Commit, source: RunId) -> bool:
        """Commit, whose steps refer to what the steps of the same roots in the run `source` refer to. False, and nothing
        changed, if one of those is not there any more: in the same transaction, so that no sweep can take what they share."""
        ...
