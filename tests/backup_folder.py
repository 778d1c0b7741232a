"""A backup as plain files in a folder: a real Target and Contents for the tests of sources."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from waycairn.errors import Damaged
from waycairn.model.backups import BackupRecord, BackupState, Member
from waycairn.model.ids import RunId

_PIECE = 100_000
"""Odd on purpose: pieces end in the middle of lines."""


class FolderBackup:
    """Exported with `export`, and read as Contents, in the same process or another."""

    def __init__(self, folder: Path, source: dict | None = None) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(exist_ok=True)
        self.reported: list[tuple[int, int]] = []
        if source is not None:
            (self.folder / "source.json").write_bytes(msgspec.json.encode(source))

    @classmethod
    def of(cls, source, folder: Path) -> FolderBackup:
        backup = cls(folder, dict(source.describe()))
        source.export(backup, None)
        return backup

    # -- Target -------------------------------------------------------------------------------------------------------

    @contextmanager
    def member(self, name: str, **facts):
        if name in self.members or name.startswith("/") or ".." in name.split("/"):
            raise ValueError(name)
        with (self.folder / f"{len(self.members):06}.data").open("wb") as file:
            writer = _Writer(file, facts)
            yield writer
        member = Member(
            name=name, size=writer.size, sha256=writer.sha256.hexdigest(), records=writer.records, facts=writer.facts
        )
        index = [*self.members.values(), member]
        (self.folder / "index.json").write_bytes(msgspec.json.encode(index))

    def carry(self, member: Member) -> bool:
        return False

    def progress(self, records: int, size: int) -> None:
        self.reported.append((records, size))

    # -- Contents -----------------------------------------------------------------------------------------------------

    @property
    def record(self) -> BackupRecord:
        source = msgspec.json.decode((self.folder / "source.json").read_bytes())
        now = time.time()
        return BackupRecord(
            id=RunId("test"),
            kind="rows",
            label="",
            owner="",
            source=source,
            state=BackupState.VERIFIED,
            created=now,
            updated=now,
        )

    @property
    def members(self) -> dict[str, Member]:
        index = self.folder / "index.json"
        found = msgspec.json.decode(index.read_bytes(), type=list[Member]) if index.exists() else []
        return {member.name: member for member in found}

    def read(self, name: str, start: int = 0) -> Iterator[bytes]:
        number = list(self.members).index(name)
        path = self.folder / f"{number:06}.data"
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != self.members[name].sha256:
                raise Damaged
            file.seek(start)
            while piece := file.read(_PIECE):
                yield piece

    def text(self, name: str) -> str:
        return b"".join(self.read(name)).decode()

    def lines(self, name: str) -> list:
        return [msgspec.json.decode(line) for line in self.text(name).splitlines()]


class _Writer:
    def __init__(self, file, facts) -> None:
        self.file, self.facts = file, facts
        self.size = self.records = 0
        self.sha256 = hashlib.sha256()

    def write(self, data, records: int = 0) -> None:
        self.file.write(data)
        self.sha256.update(data)
        self.size += len(data)
        self.records += records

    def note(self, **facts) -> None:
        self.facts = {**self.facts, **facts}
