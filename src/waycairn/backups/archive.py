"""A backup as one .tar that needs no waycairn: what `extract` writes to a folder, in one file, read from anywhere.

    tar -xf backup.tar && sha256sum -c SHA256SUMS

Nothing in it changes while the backup is there, so a download that was cut off goes on where it ended.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import BinaryIO

from waycairn.backups.archive_layout import ArchiveLayout, Content, Entry
from waycairn.backups.catalogue import BackupContents
from waycairn.backups.extracting import ABOUT, DATA, SUMS, members_about, refuse_clear
from waycairn.backups.making import Told, ignore
from waycairn.backups.payload import VERSION, sums_of
from waycairn.backups.spans import read_span
from waycairn.model.backups import BackupProgress, BackupStage
from waycairn.store import StoreCore
from waycairn.upkeep.auditing import audited

_LAYOUT = b"1"
"""Of how it is laid out: another one is another archive."""


class Archive:
    """Not for two threads at once."""

    def __init__(self, contents: BackupContents) -> None:
        self._contents = contents
        self._members = list(contents.members.values())
        self._tails = (about_archive(contents), sums_of(self._members))
        entries = [Entry(f"{DATA}/{member.name}", member.size) for member in self._members]
        entries += [Entry(name, len(data)) for name, data in zip((ABOUT, SUMS), self._tails, strict=True)]
        self._layout = ArchiveLayout(entries, int(contents.record.created))

    @property
    def size(self) -> int:
        """Bytes, before any was read."""
        return self._layout.size

    @property
    def tag(self) -> str:
        """Another one where a byte of it is another one: of its members the sums are in it."""
        moment = str(int(self._contents.record.created)).encode()
        return hashlib.sha256(b"\0".join((_LAYOUT, moment, *self._tails))).hexdigest()

    def read(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """From an offset on, in pieces. Raises Damaged before the first byte that is not what was exported."""
        for piece in self._layout.pieces(start, self.size if stop is None else stop):
            if isinstance(piece, Content):
                yield from self._content(piece)
            else:
                yield piece

    def _content(self, piece: Content) -> Iterator[bytes]:
        if piece.number < len(self._members):
            return read_span(self._contents, self._members[piece.number].name, piece.first, piece.last)
        return iter((self._tails[piece.number - len(self._members)][piece.first : piece.last],))


def about_archive(contents: BackupContents) -> bytes:
    """What `backup.json` says in an archive: only what stays as it is."""
    record = contents.record
    facts = {
        "id": record.id,
        "kind": record.kind,
        "label": record.label,
        "owner": record.owner,
        "source": dict(record.source),
        "created": record.created,
        "records": record.records,
        "size": record.size,
        "digest": record.digest,
    }
    document = {"version": VERSION, "backup": facts, "members": members_about(contents)}
    return json.dumps(document, indent=2).encode() + b"\n"


def write_archive(
    core: StoreCore, contents: BackupContents, file: BinaryIO, where: str, *, decrypt: bool, told: Told = ignore
) -> int:
    """Write it as one .tar to a file that is open, which is not made durable here; how many bytes. Raises BackupRefused for an
    encrypted store without `decrypt`, Damaged."""
    record = contents.record
    facts = {"to": where, "label": record.label, "format": "tar"}
    with audited(core, "backup.extract", record.id, reads_only=True, **facts) as act:
        refuse_clear(core, record.id, f"in {where}", decrypt)
        archive, size = Archive(contents), 0
        for piece in archive.read():
            file.write(piece)
            size += len(piece)
            told(BackupProgress(stage=BackupStage.EXPORT, size=size, total_size=archive.size))
        act.facts.update(members=len(contents.members), bytes=record.size, decrypted=core.is_encrypted)
    return size
