"""The source of a backup is deleted: refused unless the backup is durable, read back and verified."""

from __future__ import annotations

from contextlib import suppress

from waycairn.backups.catalogue import BackupContents, find, open_contents
from waycairn.backups.holding import held_for_delete
from waycairn.backups.making import LONGEST_ERROR, Told, ignore, verify_again
from waycairn.backups.source import Source, Unguarded
from waycairn.errors import BackupError, BackupRefused, CommitUnknown, WaycairnError
from waycairn.model.backups import BackupProgress, BackupRecord, BackupStage, BackupState
from waycairn.store import StoreCore
from waycairn.upkeep.auditing import audited
from waycairn.world.crashpoints import crashpoint

_READY = (BackupState.VERIFIED, BackupState.DELETING)


def delete_source(core: StoreCore, record: BackupRecord, source: Source, told: Told = ignore) -> BackupRecord:
    """Delete exactly what was exported. Called again after a crash it finishes; once it is done it does nothing.

    Raises BackupRefused, SourceChanged, and what keeps the source from being deleted: then nothing was, or it is back. After
    CommitUnknown nobody knows; call it again.
    """
    if record.state is BackupState.DELETED:
        return record
    with audited(core, "backup.delete_source", record.id, kind=record.kind, label=record.label, records=record.records):
        _refuse_unless_ready(record)
        if core.clock.now() - (record.verified or 0.0) > core.settings.backups.trust_verified:
            record = verify_again(core, record, told)
        contents = open_contents(core, record)
        with held_for_delete(core, record):
            _delete_held(core, contents, source, told)
    return find(core, record.id)


def _delete_held(core: StoreCore, contents: BackupContents, source: Source, told: Told) -> None:
    record = contents.record
    if not _change(core, record, _READY, BackupState.DELETING):
        now = find(core, record.id)
        if now.state is BackupState.DELETED:
            return  # by another process, a moment ago
        _refuse_unless_ready(now)
        raise _changed_meanwhile(record, "Nothing was deleted. Try again.")
    crashpoint("backup.deleting")
    told(BackupProgress(stage=BackupStage.DELETE, total_records=record.records))
    _delete(core, contents, source)
    crashpoint("backup.source.deleted")
    if not _change(core, record, [BackupState.DELETING], BackupState.DELETED, deleted=core.clock.now()):
        raise _changed_meanwhile(record, f"Its source was deleted: waycairn backup restore {record.id}")
    crashpoint("backup.deleted")
    told(BackupProgress(stage=BackupStage.DELETE, records=record.records, total_records=record.records))


def _delete(core: StoreCore, contents: BackupContents, source: Source) -> None:
    record = contents.record
    try:
        source.delete(contents)
    except CommitUnknown:
        raise
    except Exception as error:
        error.add_note(f"Backup {record.id} ({record.label}) is whole.")
        # Where not all could be put back it may be all there is of the rest: nothing lets it go.
        is_back = getattr(error, "left", None) is None
        now, what = (
            (BackupState.VERIFIED, "nothing is deleted")
            if is_back
            else (BackupState.DELETING, "some of it may be gone")
        )
        said = f"the delete failed, {what}: {type(error).__name__}: {error}"[:LONGEST_ERROR]
        with suppress(WaycairnError, OSError):  # what went wrong first is what the caller learns
            _change(core, record, [BackupState.DELETING], now, error=said)
        raise
    except BaseException as error:
        error.add_note(
            f"The delete of what backup {record.id} ({record.label}) holds was interrupted, and the backup is whole. "
            f"Finish it by deleting again, or bring all of it back: waycairn backup restore {record.id}"
        )
        raise


def _refuse_unless_ready(record: BackupRecord) -> None:
    if record.state not in _READY:
        why = f": {record.error}" if record.error else ""
        raise BackupRefused(
            f"backup {record.id} ({record.label}) is {record.state}, and only with a verified one its source is deleted{why}. "
            "Nothing was deleted. Make a new backup.",
            backup=record.id,
            state=record.state,
        )


def _changed_meanwhile(record: BackupRecord, means: str) -> BackupError:
    return BackupError(
        f"backup {record.id} ({record.label}) was changed by another process while its source was deleted. {means}",
        backup=record.id,
    )


def _change(
    core: StoreCore,
    record: BackupRecord,
    expected: tuple[BackupState, ...] | list[BackupState],
    state: BackupState,
    **more: str | float | None,
) -> bool:
    changes = {"error": None, **more}
    return core.catalog.change_backup(record.id, expected, core.clock.now(), state=state, **changes)


def delete_unguarded(core: StoreCore, source: Source, reason: str) -> None:
    """Where a person declined the backup. TypeError for a source that knows only how to delete what was exported."""
    if not isinstance(source, Unguarded):
        raise TypeError(
            f"{source.label} ({source.kind}) can only be deleted with a backup: its source has no `delete_without_backup`. "
            "Nothing was deleted."
        )
    with audited(
        core, "backup.delete_source", None, kind=source.kind, label=source.label, declined=reason, backup=None
    ):
        source.delete_without_backup()
