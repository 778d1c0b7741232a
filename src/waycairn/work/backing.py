"""The part of `Store` that backs up what is to be deleted."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from waycairn.store import StoreCore

if TYPE_CHECKING:
    from waycairn.backups.backup import Backup
    from waycairn.backups.keeping import Pruned
    from waycairn.backups.making import Told
    from waycairn.backups.safeguard import Safeguard
    from waycairn.backups.source import Source
    from waycairn.model.backups import BackupRecord, BackupState, Restored
    from waycairn.model.records import RunRecord


class Backing:
    """Backups are whole before anything is deleted, and stay for a time."""

    core: StoreCore

    def safeguard(
        self,
        what: Source | str | os.PathLike[str],
        *,
        keep: float | str | None = None,
        decline: str | None = None,
        told: Told | None = None,
    ) -> Safeguard:
        """As `wc.safeguard`, with the backup in this store."""
        from waycairn.backups.making import ignore
        from waycairn.backups.registry import source_for
        from waycairn.backups.safeguard import Safeguard

        return Safeguard(lambda: self.core, source_for(what), keep=keep, decline=decline, told=told or ignore)

    def restore(
        self,
        backup: str,
        *,
        to: Any = None,
        overwrite: bool = False,
        only: Sequence[str] | None = None,
        told: Told | None = None,
    ) -> Restored:
        """As `wc.restore`, out of this store."""
        from waycairn.backups.making import ignore
        from waycairn.backups.restoring import restore

        return restore(self.core, backup, to=to, overwrite=overwrite, only=only, told=told or ignore)

    def backups(
        self,
        *,
        owner: str | None = None,
        kind: str | None = None,
        state: BackupState | str | Sequence[BackupState | str] | None = None,
        limit: int | None = None,
    ) -> Sequence[BackupRecord]:
        """The catalogue of backups, newest first; those that expired are in it, too."""
        from waycairn.model.backups import BackupFilter, BackupState

        states = None
        if state is not None:
            states = [BackupState(one) for one in ([state] if isinstance(state, str) else state)]
        return self.core.catalog.list_backups(BackupFilter(owner=owner, kind=kind, states=states, limit=limit))

    def backup(self, backup: str) -> Backup:
        """One backup, to be read, restored, extended, given up. Raises BackupNotFound."""
        from waycairn.backups.backup import Backup
        from waycairn.backups.catalogue import find

        return Backup(self.core, find(self.core, backup))

    def prune_backups(self) -> Pruned:
        """Let go of backups whose time is over, and of what is left of those whose process died while it made them. The bytes
        come back with the next sweep. A sweep does this by itself."""
        from waycairn.backups.keeping import prune

        return prune(self.core)


def refuse_backup(core: StoreCore, run: RunRecord, act: str) -> None:
    """Before an act that would take the payload of a backup away behind its row."""
    if run.task is not None:
        from waycairn.backups.keeping import refuse_if_backup

        refuse_if_backup(core, run, act)
