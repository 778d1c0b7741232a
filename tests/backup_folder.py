"""A backup in a plain folder: what a source is exported to and read from where no store is the subject."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from waycairn.backups.source import Contents, Source
from waycairn.errors import Damaged
from waycairn.model.backups import BackupRecord, BackupState, Member
from waycairn.model.ids import RunId

ID = RunId("0123456789abc")
_PIECE = 100_000
"""Read in pieces of another size than they were written in, which end in the middle of lines."""


class FolderTarget:
    """Each member a file with a number for its name; `index.json` says what they are."""

    def __init__(self, folder: Path, before: FolderContents | None = None) -> None:
        self.folder, self.before = folder, before
        self.members: dict[str, Member] = {}
        self.carried: list[str] = []
        self.told: list[tuple[int, int]] = []
        self._number = 0
        folder.mkdir()

    @contextmanager
    def member(self, name: str, **facts: Any) -> Iterator[_Writer]:
        if name in self.members or name.startswith("/") or ".." in name.split("/"):
            raise ValueError(name)
        name.encode()  # it is text
        self._number += 1
        with (self.folder / str(self._number)).open("wb") as file:
            writer = _Writer(file, facts)
            yield writer
        self.members[name] = Member(
            name=name,
            size=writer.size,
            sha256=writer.sum.hexdigest(),
            records=writer.records,
            facts=msgspec.json.decode(msgspec.json.encode(writer.facts)),
            spans=[(self._number, 0, 1)],
        )

    def carry(self, member: Member) -> bool:
        assert self.before is not None
        file = self.before.folder / str(member.spans[0][0])
        if not file.exists():
            return False
        self._number += 1
        os.link(file, self.folder / str(self._number))
        self.members[member.name] = msgspec.structs.replace(member, spans=[(self._number, 0, 1)])
        self.carried.append(member.name)
        return True

    def progress(self, records: int, size: int) -> None:
        self.told.append((records, size))

    def finish(self, source: Source, backup: str = ID) -> FolderContents:
        index = {"id": backup, "kind": source.kind, "source": source.describe(), "members": self.members}
        (self.folder / "index.json").write_bytes(msgspec.json.encode(index))
        return FolderContents(self.folder)


class _Writer:
    def __init__(self, file: BinaryIO, facts: dict[str, Any]) -> None:
        self.facts = facts
        self._file = file
        self.sum, self.size, self.records = hashlib.sha256(), 0, 0

    def write(self, data: bytes | memoryview, records: int = 0, *, is_chunk: bool = False) -> None:
        assert len(data) <= 8 * 2**20
        self._file.write(data)
        self.sum.update(data)
        self.size += len(data)
        self.records += records

    def note(self, **facts: Any) -> None:
        self.facts.update(facts)


class FolderContents:
    """Found in that folder, in this process or another."""

    def __init__(self, folder: Path) -> None:
        index = msgspec.json.decode((folder / "index.json").read_bytes(), type=dict[str, Any])
        self.folder = folder
        self.members: Mapping[str, Member] = {
            name: msgspec.convert(member, Member) for name, member in index["members"].items()
        }
        self.record = BackupRecord(
            id=RunId(index["id"]),
            kind=index["kind"],
            label="",
            owner="",
            source=index["source"],
            state=BackupState.VERIFIED,
            created=0,
            updated=0,
        )

    def read(self, name: str, start: int = 0) -> Iterator[bytes]:
        """No byte is handed out that was not compared with its hash."""
        member = self.members[name]
        with self.file_of(name).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != member.sha256:
                raise Damaged(name)
            file.seek(start)
            while piece := file.read(_PIECE):
                yield piece

    def file_of(self, name: str) -> Path:
        return self.folder / str(self.members[name].spans[0][0])

    def text(self, name: str) -> str:
        return b"".join(self.read(name)).decode()

    def lines(self, name: str) -> list[Any]:
        return [msgspec.json.decode(line) for line in self.text(name).splitlines()]


def back_up(source: Source, folder: Path, before: Contents | None = None, backup: str = ID) -> FolderContents:
    """Exported and read back; how it went is in its `target`."""
    return exported(source, FolderTarget(folder, before), before, backup)


def exported(source: Source, target: FolderTarget, before: Contents | None = None, backup: str = ID) -> FolderContents:
    source.export(target, before)
    contents = target.finish(source, backup)
    contents.target = target
    return contents
