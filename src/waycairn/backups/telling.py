"""People and programs are told that a backup is ready, or that it failed: once the row says so, and without anybody waiting for it."""

from __future__ import annotations

from typing import Literal

from waycairn.model.backups import BackupRecord
from waycairn.model.notification_settings import Priority
from waycairn.store import StoreCore
from waycairn.upkeep.events import Event, emit
from waycairn.upkeep.sizes import moment_text, size_text


def tell_ready(core: StoreCore, record: BackupRecord) -> None:
    """It is durable, was read back, and is intact."""
    until = "for ever" if record.expires is None else f"until {moment_text(record.expires)}"
    text = (
        f"Backup {record.id} of {record.label} is durable, was read back, and is intact: {record.records:,} records, "
        f"{size_text(record.size)}, by {record.owner}. It stays {until}.\n\n"
        "What it means: its source can be deleted, and was not deleted yet.\n"
        f"What to do: waycairn backup show {record.id}"
    )
    _tell(core, "backup_ready", record, f"backup ready: {record.label}", text)


def tell_failed(core: StoreCore, record: BackupRecord) -> None:
    """It guards nothing; `error` says why."""
    text = (
        f"Backup {record.id} of {record.label}, by {record.owner}, failed: {record.error}.\n\n"
        "What it means: it guards nothing, and nothing was deleted with it.\n"
        f"What to do: find out why, and make a new one. See: waycairn backup show {record.id}"
    )
    _tell(core, "backup_failed", record, f"backup failed: {record.label}", text)


def _tell(
    core: StoreCore, kind: Literal["backup_ready", "backup_failed"], record: BackupRecord, subject: str, text: str
) -> None:
    facts = {
        "backup": record.id,
        "kind": record.kind,
        "label": record.label,
        "owner": record.owner,
        "records": record.records,
        "bytes": record.size,
        "expires": record.expires,
        "error": record.error,
    }
    emit(core, Event(kind=kind, at=record.updated, facts=facts))
    if not any(kind in channel.events for channel in core.settings.notifications.channels):
        return
    from waycairn.upkeep.notifying import Notification, sender_of  # loads what speaks HTTP and SMTP

    priority: Priority = "info" if kind == "backup_ready" else "warning"
    sender_of(core).send(
        Notification(
            kind=kind, priority=priority, subject=subject, text=text, store=core.url, at=record.updated, facts=facts
        )
    )
