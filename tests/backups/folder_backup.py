"""A backup in a plain folder: what a source is exported to and read from where no store is the subject."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import msgspec

from waycairn.backups.source import Contents, Source
from waycairn.errors import Damaged
from waycairn.model.backups import BackupRecord, BackupState, Member
from waycairn.model.ids import RunId

ID = RunId("0123456789abc")
_PIECE = 100_000
"""Read in pieces of another size than they were written in."""


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
    def member(self, name: str, **facts: Any) -> Iterator[FolderWriter]:
        if name in self.members or name.startswith("/") or ".." in name.split("/"):
            raise ValueError(name)
        name.encode()  # it is text
        self._number += 1
        file = self.folder / str(self._number)
        with FolderWriter(file, facts) as writer:
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


class FolderWriter:
    def __init__(self, file: Path, facts: dict[str, Any]) -> None:
        self.file, self.facts = file, facts
        self.sum, self.size, self.records = hashlib.sha256(), 0, 0

    def __enter__(self) -> Self:
        self._handle = self.file.open("wb")
        return self

    def __exit__(self, *_: object) -> None:
        self._handle.close()

    def write(self, data: bytes | memoryview, records: int = 0, *, is_chunk: bool = False) -> None:
        assert len(data) <= 8 * 2**20
        self._handle.write(data)
        self.sum.update(data)
        self.size += len(data)
        self.records += records

    def note(self, **facts: Any) -> None:
        self.facts.update(facts)


class FolderContents:
    def __init__(self, folder: Path) -> None:
        index = msgspec.json.decode((folder / "index.json").read_bytes(), type=dict[str, Any])
        self.folder = folder
        self.members: Mapping[str, Member] = {
            name: msgspec.convert(member, Member) for name, member in index["members"].items()
        }
        self.record = BackupRecord(
            id=RunId(index["id"]),
            kind="paths",
            label="",
            owner="",
            source=index["source"],
            state=BackupState.VERIFIED,
            created=0,
            updated=0,
        )

    def read(self, name: str, start: int = 0) -> Iterator[bytes]:
        member = self.members[name]
        found = hashlib.sha256()
        with (self.folder / str(member.spans[0][0])).open("rb") as file:
            left = start
            while piece := file.read(_PIECE):
                found.update(piece)
                part, left = piece[left:], max(0, left - len(piece))
                if part:
                    yield part
        if found.hexdigest() != member.sha256:
            raise Damaged(name)


def back_up(source: Source, folder: Path, before: Contents | None = None, backup: str = ID) -> FolderContents:
    target = FolderTarget(folder, before)
    source.export(target, before)
    index = {"id": backup, "source": source.describe(), "members": target.members}
    (folder / "index.json").write_bytes(msgspec.json.encode(index))
    contents = FolderContents(folder)
    contents.target = target
    return contents
