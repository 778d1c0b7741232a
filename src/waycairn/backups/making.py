"""A backup is made: exported, committed, read back, and only then verified."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import replace
from typing import Any

from waycairn.backups.catalogue import BackupContents, drop_payload, find, newest_of, open_contents
from waycairn.backups.payload import digest_of
from waycairn.backups.payload_reading import Payload
from waycairn.backups.payload_writing import PayloadWriter
from waycairn.backups.source import Somewhere, Source
from waycairn.backups.telling import tell_failed, tell_ready
from waycairn.errors import BackupError, BackupExpired, Damaged, WaycairnError
from waycairn.model.backups import TASK, WHOLE, BackupProgress, BackupRecord, BackupStage, BackupState, Count
from waycairn.ports import Hold
from waycairn.process import current_account, new_root
from waycairn.store import StoreCore
from waycairn.upkeep.auditing import audited, audited_commit
from waycairn.upkeep.places import pack_folders
from waycairn.world.crashpoints import crashpoint
from waycairn.world.randomness import new_run_id

Told = Callable[[BackupProgress], None]
LONGEST_ERROR = 500


def ignore(_: BackupProgress) -> None:
    """Nobody wants to know."""


def make(
    core: StoreCore,
    source: Source,
    *,
    keep: float | str | None = None,
    told: Told = ignore,
    count: Count | None = None,
) -> BackupContents:
    """Durable, read back and verified when it returns. Whatever is raised, nothing was deleted, and the row says why it
    failed. ValueError for a `keep` that is no length of time. `count`: where the source was counted already."""
    core.settings.backups.expires(0.0, keep)  # before anything is done
    refuse_store(source, core)
    now = core.clock.now()
    record = BackupRecord(
        id=new_run_id(),
        kind=source.kind,
        label=source.label,
        owner=current_account(),
        source=dict(source.describe()),
        state=BackupState.EXPORTING,
        created=now,
        updated=now,
    )
    with audited(core, "backup.create", record.id, kind=record.kind, label=record.label) as act:
        # 1. The row, so that whatever is left of a killed process has a name.
        core.catalog.add_backup(record)
        crashpoint("backup.row")
        try:
            made = _made(core, source, record, keep=keep, told=told, count=count)
        except BaseException as error:
            _fail(core, record, error)
            raise
        done = made.record
        tell_ready(core, done)
        act.facts.update(records=done.records, bytes=done.size, stored=done.stored, members=len(made.members))
    return made


def refuse_store(source: Source, core: StoreCore) -> None:
    """Raises BackupRefused where the backup would be deleted with what it keeps: the store, or where its packs lie."""
    if isinstance(source, Somewhere):
        for place in (core.url, *map(str, pack_folders(core))):
            source.refuse_store(place)


def _made(
    core: StoreCore,
    source: Source,
    record: BackupRecord,
    *,
    keep: float | str | None,
    told: Told,
    count: Count | None,
) -> BackupContents:
    hold = _begin(core, record)
    try:
        before = newest_of(core, record.kind, record.source)
        writer = _writer(core, record, before, told, count or source.count())
        try:
            # 2. Parts, one after the other, and the index behind them.
            source.export(writer, before)
            index = writer.finish()
            # 3. All of it read back from the store.
            payload = Payload(core, record.id)
            digest = digest_of(index.members.values())
            if digest_of(payload.members.values()) != digest:
                raise Damaged(f"the index of backup {record.id} is not what was written. Nothing was deleted.")
            verify(payload, told, but=writer.carried_members)
            crashpoint("backup.read_back")
            writer.complete()
        finally:
            writer.abandon()
        # 4. Now the row may say so.
        done = _verified(core, record, payload, keep, digest)
        crashpoint("backup.verified")
        return BackupContents(done, payload)
    finally:
        hold.release()


def _begin(core: StoreCore, record: BackupRecord) -> Hold:
    """The run that holds the payload: held before it exists, as every run."""
    hold = core.ownership.claim(record.id, 1)
    if hold is None:
        raise BackupError(f"the new id {record.id} is taken by another process. Nothing was deleted. Try again.")
    try:
        run = new_root(
            record.id,
            TASK,
            record.id,
            hold.owner,
            task=TASK,
            metadata={"kind": record.kind, "label": record.label},
        )
        core.catalog.add_run(run, core.clock.now())
        crashpoint("backup.run")
    except BaseException:
        hold.release()
        raise
    return hold


def _writer(
    core: StoreCore, record: BackupRecord, before: BackupContents | None, told: Told, count: Count
) -> PayloadWriter:
    def progress(records: int, size: int) -> None:
        told(
            BackupProgress(
                stage=BackupStage.EXPORT,
                records=records,
                size=size,
                total_records=count.records,
                total_size=count.size,
            )
        )

    return PayloadWriter(
        core,
        record.id,
        before=None if before is None else before.payload,
        leans_on=core.clock.now() - core.settings.backups.trust_verified,
        progress=progress,
    )


def verify(payload: Payload, told: Told = ignore, but: Collection[str] = ()) -> None:
    """Read it back and compare every member with its sum. Raises Damaged."""
    members = [member for member in payload.members.values() if member.name not in but]
    total = sum(member.size for member in members)
    records = size = 0
    for member in members:
        for piece in payload.checked(member.name):
            size += len(piece)
            told(BackupProgress(stage=BackupStage.VERIFY, records=records, size=size, total_size=total))
        records += member.records
    payload.rest()
    told(BackupProgress(stage=BackupStage.VERIFY, records=records, size=size, total_size=total))


def _verified(
    core: StoreCore, record: BackupRecord, payload: Payload, keep: float | str | None, digest: str
) -> BackupRecord:
    now = core.clock.now()
    changes: dict[str, Any] = {
        "state": BackupState.VERIFIED,
        "verified": now,
        "expires": core.settings.backups.expires(now, keep),
        "records": sum(member.records for member in payload.members.values()),
        "size": sum(member.size for member in payload.members.values()),
        "stored": payload.stored,
        "digest": digest,
    }
    crashpoint("backup.verify")
    if not core.catalog.change_backup(record.id, [BackupState.EXPORTING], now, **changes):
        raise BackupError(f"backup {record.id} was given up by another process while it was made. Nothing was deleted.")
    return replace(record, updated=now, **changes)


def _fail(core: StoreCore, record: BackupRecord, error: BaseException) -> None:
    """Say so, and give the bytes back. Where even that fails, it is seen that the process of the row is dead."""
    error.add_note(f"Backup {record.id} ({record.label}) was not made. Nothing was deleted.")
    with suppress(WaycairnError, OSError):
        said = f"{type(error).__name__}: {error}"[:LONGEST_ERROR]
        now = core.clock.now()
        if core.catalog.change_backup(record.id, [BackupState.EXPORTING], now, state=BackupState.FAILED, error=said):
            tell_failed(core, replace(record, updated=now, error=said))
            drop_payload(core, record.id)


def verify_again(core: StoreCore, record: BackupRecord, told: Told = ignore) -> BackupRecord:
    """Read all of it back, parts that were carried over, too. What is damaged guards nothing: the row says so, and its source
    cannot be deleted any more. Raises Damaged."""
    now = core.clock.now()
    with audited_commit(core, "backup.verify", record.id, rides_with=bool, kind=record.kind, label=record.label) as act:
        try:
            _compare(open_contents(core, record), told)
        except Damaged as error:
            act.facts["damage"] = str(error)[:LONGEST_ERROR]
            _note_damage(core, record, error)
            raise
        if not core.catalog.change_backup(record.id, WHOLE, now, verified=now):
            raise BackupExpired(
                f"backup {record.id} ({record.label}) was intact, and was given up while it was read.", backup=record.id
            )
    return find(core, record.id)


def _note_damage(core: StoreCore, record: BackupRecord, error: Damaged) -> None:
    now, said = core.clock.now(), f"read back, and damaged: {error}"[:LONGEST_ERROR]
    if core.catalog.change_backup(record.id, [BackupState.VERIFIED], now, state=BackupState.FAILED, error=said):
        tell_failed(core, replace(record, updated=now, error=said))
    core.catalog.change_backup(record.id, [BackupState.DELETED, BackupState.DELETING], now, error=said)


def _compare(contents: BackupContents, told: Told) -> None:
    verify(contents.payload, told)
    if digest_of(contents.members.values()) != contents.record.digest:
        raise Damaged(f"backup {contents.record.id} does not hold what its row says. Nothing was changed.")
