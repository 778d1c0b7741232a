"""Facts for health: backups of what was deleted, or half deleted."""

from __future__ import annotations

from dataclasses import replace

from waycairn.model.backups import BackupFilter, BackupRecord, BackupState
from waycairn.model.health_rules import Facts, Waiting
from waycairn.store import StoreCore
from waycairn.upkeep.sizes import duration_text

_SOON = 86_400.0
_CUT_OFF = 3600.0
"""Seconds for which a delete goes on, at most, without anybody being worried."""


def backups_of(core: StoreCore, now: float, facts: Facts) -> Facts:
    """The facts with those of backups. Raises errors of the store."""
    found = core.catalog.list_backups(BackupFilter(states=[BackupState.DELETING, BackupState.DELETED]))
    return replace(
        facts,
        damaged_backups=[_waiting(one, one.error) for one in found if one.error],
        cut_off_deletes=[
            _waiting(one, f"since {duration_text(now - one.updated)}")
            for one in found
            if one.state is BackupState.DELETING and now - one.updated > _CUT_OFF
        ],
        leaving_backups=[
            _waiting(one, f"in {duration_text(one.expires - now)}")
            for one in found
            if one.state is BackupState.DELETED
            and one.expires is not None
            and not one.pinned
            and one.expires - now < _SOON
        ],
    )


def _waiting(backup: BackupRecord, why: str) -> Waiting:
    return Waiting(name=backup.label, id=backup.id, why=why)
