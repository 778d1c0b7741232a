"""Backups as the API tells them, and those who watch are told of each change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from waycairn.backups.catalogue import find
from waycairn.backups.listing import Listed, listed
from waycairn.backups.making import Told
from waycairn.documents.backups import backup_document
from waycairn.model.backups import BackupFilter, BackupProgress, BackupRecord, BackupStage
from waycairn.server.access import Caller
from waycairn.server.serving import Serving

__all__ = ["document_for", "now_is", "tell", "telling"]


def document_for(caller: Caller, one: Listed) -> dict[str, Any]:
    return {**backup_document(one), "may_touch": caller.may_touch(one.record.owner)}


def now_is(serving: Serving, caller: Caller, backup: str) -> dict[str, Any]:
    """The answer to an act: the backup as it stands now, which those who watch are told as well."""
    one = listed(serving.store.core, find(serving.store.core, backup))
    tell(serving, one.record)
    return document_for(caller, one)


def tell(serving: Serving, record: BackupRecord | None) -> None:
    """To everybody, hence without `may_touch`: `owner` tells who may."""
    if record is not None and serving.hub.has_listeners:
        document = backup_document(listed(serving.store.core, record))
        serving.hub.publish("backups", {"backups": [document]})


def telling(serving: Serving, look: Callable[[], BackupRecord | None], told: Told) -> Told:
    """As `told`, and at the beginning of each stage those who watch are told how the backup stands."""
    stage: BackupStage | None = None

    def tell_both(progress: BackupProgress) -> None:
        nonlocal stage
        if progress.stage is not stage:
            stage = progress.stage
            tell(serving, look())
        told(progress)

    return tell_both


def newest_of(serving: Serving, owner: str) -> BackupRecord | None:
    """What that account made last: a backup has an id before anybody is told of it."""
    found = serving.store.core.catalog.list_backups(BackupFilter(owner=owner, limit=1))
    return found[0] if found else None
