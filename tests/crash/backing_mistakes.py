"""Known mistakes in backing up, deleting and bringing back. Planted into jobs, never in the library."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

__all__ = ["MISTAKES"]


def backup_unread() -> None:
    """A backup is called verified without having been read back, on a medium that keeps other bytes than it was given."""
    from waycairn.backups import making, payload_writing

    encode = payload_writing.encode_part

    def encode_otherwise(pieces: list[bytes], **how: Any) -> Any:
        return encode([bytes([piece[0] ^ 1]) + piece[1:] for piece in pieces], **how)

    payload_writing.encode_part = encode_otherwise
    making.verify = lambda *_, **__: None


def deleted_unverified() -> None:
    """The source is deleted as soon as all is exported, and then the row says that the backup is verified."""
    from waycairn.backups import making

    made, verified = making._made, making._verified
    sources: list[Any] = []

    def make(core: Any, source: Any, *rest: Any) -> Any:
        sources.append(source)
        return made(core, source, *rest)

    def delete_and_verify(core: Any, record: Any, payload: Any, *rest: Any) -> Any:
        sources.pop().delete(making.BackupContents(record, payload))
        return verified(core, record, payload, *rest)

    making._made, making._verified = make, delete_and_verify


def deleted_said_first() -> None:
    """The row says that the source is deleted, and then it is."""
    from waycairn.backups import deleting
    from waycairn.model.backups import BackupState

    delete = deleting._delete

    def say_and_delete(core: Any, contents: Any, source: Any) -> None:
        now = core.clock.now()
        core.catalog.change_backup(
            contents.record.id, [BackupState.DELETING], now, state=BackupState.DELETED, deleted=now
        )
        delete(core, contents, source)

    deleting._delete = say_and_delete


def payload_first() -> None:
    """The payload of a backup whose time is over goes, and then its row says so."""
    from waycairn.backups import keeping

    expire = keeping._expire

    def drop_and_expire(core: Any, stop: Callable[[], bool]) -> int:
        now = core.clock.now()
        for row in core.catalog.list_backups(keeping.BackupFilter(states=keeping.WHOLE)):
            if row.expires is not None and row.expires <= now and not row.pinned:
                keeping.drop_payload(core, row.id)
                keeping.crashpoint("backup.payload.gone")
        return expire(core, stop)

    keeping._expire = drop_and_expire


def rows_unchecked() -> None:
    """Rows are deleted as they are by now, whatever was exported of them."""
    from waycairn.backups import rows_deleting

    remove = rows_deleting._remove
    rows_deleting._differing = lambda *_: None

    class AnyNumber:
        def __eq__(self, _: object) -> bool:
            return True

        __hash__ = None

    class Unchecked:
        records = AnyNumber()

    rows_deleting._remove = lambda selection, members: remove(selection, dict.fromkeys(members, Unchecked()))


def rename_unflushed() -> None:
    """A tree gets another name, which may not be durable when the first of it is removed."""
    from waycairn.backups import paths_aside

    paths_aside.flush = lambda handle: None


def restored_in_place() -> None:
    """A file is written under its own name, where a killed restore leaves half of it."""
    from waycairn.backups import paths_writing

    paths_writing._draft = lambda folder, entry: entry.name.rpartition("/")[2].encode()


def journal_comes_back() -> None:
    """Rows are deleted and restored with the settings of SQLite as they are: its journal comes back with a power cut, and takes
    the commit back."""
    from waycairn.backups import rows_sqlite

    rows_sqlite._durable = lambda raw: nullcontext()


MISTAKES = {
    "backup-unread": backup_unread,
    "deleted-unverified": deleted_unverified,
    "deleted-said-first": deleted_said_first,
    "payload-first": payload_first,
    "rows-unchecked": rows_unchecked,
    "rename-unflushed": rename_unflushed,
    "restored-in-place": restored_in_place,
    "journal-comes-back": journal_comes_back,
}
