"""What was deleted is brought back, into the place that it came from or another one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from waycairn.backups.catalogue import find_whole, holder, open_contents
from waycairn.backups.holding import being_deleted
from waycairn.backups.making import Told, ignore
from waycairn.backups.registry import source_of
from waycairn.backups.source import Source, Wish
from waycairn.errors import BackupExpired
from waycairn.model.backups import BackupProgress, BackupRecord, BackupStage, BackupState, Restored
from waycairn.store import StoreCore
from waycairn.upkeep.auditing import audited
from waycairn.world.crashpoints import crashpoint

_HOLD = 86_400.0
"""Seconds that a backup is there for, at least, from the last hour on in which somebody restored from it."""
_RENEW = 3600.0


def restore(
    core: StoreCore,
    backup: str,
    *,
    to: Any = None,
    overwrite: bool = False,
    only: Sequence[str] | None = None,
    is_missing_only: bool = False,
    source: Source | None = None,
    told: Told = ignore,
) -> Restored:
    """Called again after a crash it goes on. Raises BackupNotFound, BackupExpired, WouldOverwrite, SchemaChanged, Damaged."""
    record = find_whole(core, backup)
    if to is None and record.state is BackupState.DELETING and (owner := holder(core, record)) is not None:
        raise being_deleted(record, owner)
    hold = _Hold(core, record)
    facts: dict[str, Any] = {
        "kind": record.kind,
        "label": record.label,
        "overwrite": overwrite,
        "only": only and list(only),
    }
    with audited(core, "backup.restore", record.id, **facts) as act:
        hold.renew()
        crashpoint("backup.restore")
        contents = open_contents(core, record)
        source = source or source_of(core, record.kind, record.source, to)

        def progress(records: int, size: int) -> None:
            hold.renew_if_due()
            told(
                BackupProgress(
                    stage=BackupStage.RESTORE,
                    records=records,
                    size=size,
                    total_records=record.records if only is None else None,
                    total_size=record.size if only is None else None,
                )
            )

        wish = Wish(to=to, overwrite=overwrite, only=only, progress=progress, is_missing_only=is_missing_only)
        restored = source.restore(contents, wish)
        crashpoint("backup.restored")
        if to is None and only is None and not is_missing_only:
            _note_restored(core, record)
        act.facts.update(
            to=restored.to or _words(to),
            records=restored.records,
            skipped=restored.skipped,
            overwritten=restored.overwritten,
        )
    return restored


def _note_restored(core: StoreCore, record: BackupRecord) -> None:
    """All of it is back where it was: it is not deleted any more, and can be deleted again."""
    for was, said in (
        (BackupState.DELETING, "all of it was restored after its delete was cut off"),
        (BackupState.DELETED, "all of it was restored after it was deleted"),
    ):
        now = core.clock.now()
        core.catalog.change_backup(record.id, [was], now, state=BackupState.VERIFIED, deleted=None, error=said)


def _words(to: Any) -> str | None:
    """Where to, for the log: nothing that could hold a password."""
    return os.fspath(to) if isinstance(to, str | os.PathLike) and "://" not in str(to) else None


class _Hold:
    """Keeps a backup from expiring while it is restored from, wherever the one runs who looks for expired ones."""

    def __init__(self, core: StoreCore, record: BackupRecord) -> None:
        self._core = core
        self._record = record
        self._due = 0.0

    def renew_if_due(self) -> None:
        if self._core.clock.monotonic() >= self._due:
            self.renew()

    def renew(self) -> None:
        self._due = self._core.clock.monotonic() + _RENEW
        now = self._core.clock.now()
        if not self._core.catalog.hold_backup(self._record.id, now + _HOLD, now):
            raise BackupExpired(
                f"backup {self._record.id} ({self._record.label}) has expired at this moment, or was given up. What is "
                "restored already stays; its payload is gone or about to go.",
                backup=self._record.id,
            )
