"""A backup as users hold it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from waycairn.backups.archive import write_archive
from waycairn.backups.catalogue import BackupContents, find, find_whole, is_interrupted, open_contents
from waycairn.backups.deleting import delete_source, delete_unguarded
from waycairn.backups.extracting import extract
from waycairn.backups.keeping import extend, pin, remove
from waycairn.backups.making import Told, ignore, verify_again
from waycairn.backups.registry import source_of
from waycairn.backups.restoring import restore
from waycairn.backups.searching import Hit, find_record, search
from waycairn.backups.source import Source
from waycairn.errors import BackupRefused
from waycairn.model.backups import BackupProgress, BackupRecord, BackupStage, Member, Restored
from waycairn.model.ids import RunId
from waycairn.store import StoreCore


class Backup:
    """One backup of a store. Each method looks at it as it is now; not for two threads at once."""

    def __init__(
        self,
        core: StoreCore,
        record: BackupRecord,
        source: Source | None = None,
        contents: BackupContents | None = None,
    ) -> None:
        self._core = core
        self._id = record.id
        self._source = source
        self._found = contents

    @property
    def id(self) -> RunId:
        return self._id

    @property
    def record(self) -> BackupRecord:
        """Its row, read now."""
        return find(self._core, self.id)

    @property
    def is_interrupted(self) -> bool:
        """`exporting`: the process that made it died; it guards nothing, and nothing was deleted. `deleting`: the one that deleted
        its source died; the backup is whole, and `delete` finishes that, `restore` brings all of it back."""
        return is_interrupted(self._core, self.record)

    @property
    def members(self) -> Mapping[str, Member]:
        """What it holds, in the order in which it was exported. Raises BackupExpired, BackupError, Damaged."""
        return self._contents.members

    @property
    def _contents(self) -> BackupContents:
        if self._found is None:
            self._found = open_contents(self._core, find_whole(self._core, self.id))
        return self._found

    def read(self, member: str, start: int = 0) -> Iterator[bytes]:
        """The bytes of a member from an offset on, in pieces. KeyError if it is not there; Damaged."""
        return self._contents.read(member, start)

    def search(self, text: str, members: Sequence[str] | None = None, limit: int | None = 100) -> Iterator[Hit]:
        """Lines that hold a text, a key for example; `members` are names with `*` for any letters."""
        return search(self._contents, text, members, limit)

    def find_record(self, member: str, key: str) -> dict[str, Any]:
        """One row of a table by its key, as JSON values; of several columns joined with commas."""
        return find_record(self._contents, member, key)

    def delete(self, source: Source | None = None, *, told: Told = ignore) -> BackupRecord | None:
        """Delete exactly what was exported. Called again after a crash, it finishes; `source` names it where the backup was made
        by another process and does not tell which it was (rows). Raises BackupRefused unless all of it is
        durable, read back and verified; SourceChanged where the source is not what it was. Then nothing was deleted. None where the backup was declined."""
        record = find(self._core, self.id)
        source = source or self._source or source_of(self._core, record.kind, record.source)
        return delete_source(self._core, record, source, told)

    def restore(
        self, *, to: Any = None, overwrite: bool = False, only: Sequence[str] | None = None, told: Told = ignore
    ) -> Restored:
        """As `wc.restore`."""
        return restore(self._core, self.id, to=to, overwrite=overwrite, only=only, told=told)

    def verify(self, told: Told = ignore) -> BackupRecord:
        """Read all of it back and compare it with its sums. Raises Damaged; then its source cannot be deleted with it."""
        return verify_again(self._core, find_whole(self._core, self.id), told)

    def extract_to(self, folder: str | os.PathLike[str], *, decrypt: bool = False, told: Told = ignore) -> Path:
        """Write it as a folder that needs no waycairn, with SHA256SUMS for `sha256sum -c`. Raises WouldOverwrite for a folder
        that is not empty; BackupRefused for an encrypted store without `decrypt`."""
        return extract(self._core, self._contents, folder, decrypt=decrypt, told=told)

    def archive_to(self, file: BinaryIO, where: str, *, decrypt: bool = False, told: Told = ignore) -> int:
        """Write the same as one .tar to a file that is open for it; how many bytes. `where` says for the audit log where that
        lies. Raises BackupRefused as `extract_to`."""
        return write_archive(self._core, self._contents, file, where, decrypt=decrypt, told=told)

    def extend(self, keep: float | str | None = None) -> BackupRecord:
        """It stays so long from now on ("30d", "forever"); None: by the setting `backups.keep`."""
        return extend(self._core, self.id, keep)

    def pin(self) -> BackupRecord:
        """It stays, whatever its time says."""
        return pin(self._core, self.id)

    def unpin(self) -> BackupRecord:
        return pin(self._core, self.id, False)

    def remove(self) -> BackupRecord:
        """Give it up: its payload goes, its row stays. Raises BackupRefused for one that is pinned or that may be all that is
        left of its source."""
        return remove(self._core, self.id)


class Declined(Backup):
    """In place of a backup that a person declined: there is none, and what asks for it is refused."""

    def __init__(self, core: StoreCore, source: Source, reason: str) -> None:
        self._core = core
        self._source: Source = source
        self._found = None
        self._reason = reason

    @property
    def id(self) -> RunId:
        raise BackupRefused(f"the backup of {self._source.label} was declined ({self._reason}), so there is none.")

    def delete(self, source: Source | None = None, *, told: Told = ignore) -> None:
        """Delete the source as it is now; nothing brings it back. TypeError if it does not know how."""
        delete_unguarded(self._core, source or self._source, self._reason)
        told(BackupProgress(stage=BackupStage.DELETE))
