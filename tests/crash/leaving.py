"""What jobs have in common that back something up, delete it, and bring it back: the same call goes on where it died.

First in a block that fails, which puts back what it deleted; then for good; then it is restored. At every instant the source
is whole, or a whole backup has all of it, or both.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import waycairn as wc
from crash.common import Acks, Told
from waycairn.backups.backup import Backup
from waycairn.backups.catalogue import BackupContents, open_contents
from waycairn.backups.making import verify
from waycairn.backups.restoring import restore
from waycairn.backups.source import Source
from waycairn.errors import SourceChanged
from waycairn.model.backup_settings import BackupSettings
from waycairn.model.backups import BackupRecord, BackupState
from waycairn.model.settings import Settings

TRIED, KEPT = "forever", "30d"
"""How long a backup is kept says which of the two it is."""
AT_ONCE = Settings(backups=BackupSettings(leftover_age=0))


class ChangedMind(Exception):
    """Of whoever began to delete."""


def leave_and_return(store: wc.Store, told: Told, label: str, find: Callable[[], Source]) -> None:
    """`find` makes the source with this label, as it is by then."""
    store.core.settings = AT_ONCE
    store.prune_backups()
    if not store.latest(f"{label}: tried"):
        _put_right(store, find())
        _try(store, told, find())
        told("back 1")
        store.save(f"{label}: tried", True)
    told("leaving 1")
    if not store.latest(f"{label}: gone"):
        _delete(store, find())
        told("deleted 1")
        store.save(f"{label}: gone", True)
    told("returning 1")
    [kept, *others] = [row for row in whole(store, label) if _is_kept(row)]
    if not store.latest(f"{label}: returned"):
        restore(store.core, kept.id, source=find())
        told("returned 1")
        store.save(f"{label}: returned", True)
    for row in (*others, *(row for row in whole(store, label) if not _is_kept(row))):
        store.backup(row.id).remove()


def _try(store: wc.Store, told: Told, source: Source) -> None:
    try:
        with store.safeguard(source, keep=TRIED) as backup:
            told("verified 1")
            backup.delete()
            _change_mind()
    except ChangedMind as changed:
        if any("could not be put back" in note for note in getattr(changed, "__notes__", ())):
            _put_right(store, source)


def _change_mind() -> None:
    raise ChangedMind


def _put_right(store: wc.Store, source: Source) -> None:
    """Who was killed in a block that fails put nothing back."""
    for row in whole(store, source.label)[:1]:
        restore(store.core, row.id, source=source)


def _delete(store: wc.Store, source: Source) -> None:
    """Finish what was begun. What is not the same any more, to whoever looks at inodes after a power cut, begins anew."""
    for row in filter(_is_kept, whole(store, source.label)):
        if row.state is BackupState.DELETED:
            return
        with suppress(SourceChanged):
            Backup(store.core, row, source).delete()
            return
    with store.safeguard(source, keep=KEPT) as backup:
        backup.delete()


def _is_kept(row: BackupRecord) -> bool:
    return row.expires is not None


def whole(store: wc.Store, label: str | None = None) -> list[BackupRecord]:
    """Newest first; of one source, or all."""
    return [row for row in store.backups() if row.state.is_whole and label in {None, row.label}]


def opened(store: wc.Store) -> list[BackupContents]:
    """All that say that they are whole: read from their first byte to their last, and compared."""
    found = [open_contents(store.core, row) for row in whole(store)]
    for contents in found:
        verify(contents.payload)
    return found


def check_whereabouts(
    store: wc.Store, acks: Acks, there: Any, wanted: Any, restored: Callable[[BackupContents], Any]
) -> None:
    """`there` is what is in the source; `restored` brings a backup back into another place, and says what is there then."""
    backups = opened(store)
    for contents in backups:
        again = _once(contents, restored)
        assert again == wanted, f"backup {contents.record.id} ({contents.record.state}) brings back {again}"
    assert there == wanted or backups, f"neither in its place nor in a backup: {there}"
    assert backups or "verified" not in acks, f"{acks} acknowledged, and there is no backup"
    if ("back" in acks and "leaving" not in acks) or "returned" in acks:
        assert there == wanted, f"{acks} acknowledged, and there is {there}"
    if "leaving" in acks and "returning" not in acks:
        assert there in ({}, wanted), f"{acks} acknowledged, and there is half of it: {there}"
        is_gone = "deleted" in acks or any(_is_kept(row) and row.state is BackupState.DELETED for row in whole(store))
        assert not there or not is_gone, f"it is deleted, and there is still {there}"


def _once(contents: BackupContents, restored: Callable[[BackupContents], Any]) -> Any:
    """What was read and compared, and has the same members, brings back the same: it takes longer than all else here."""
    members = contents.record.kind, repr(contents.members)
    if members not in _BROUGHT_BACK:
        _BROUGHT_BACK[members] = restored(contents)
    return _BROUGHT_BACK[members]


_BROUGHT_BACK: dict[tuple[str, str], Any] = {}
