"""A backup as files in a folder: what a source exports to and is restored from in the tests of sources."""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager

import msgspec

from waycairn.errors import Damaged
from waycairn.model.backups import BackupRecord, BackupState, Member
from waycairn.model.ids import RunId


class FolderTarget:
    """Members as files; `pieces` is the longest that was written at once."""

    def __init__(self, folder, stop_after=None):
        self.folder = folder
        self.members = {}
        self.told = []
        self.pieces = 0
        self._stop_after = stop_after
        folder.mkdir(parents=True)

    @contextmanager
    def member(self, name, **facts):
        if name in self.members or name.startswith("/") or ".." in name.split("/"):
            raise ValueError(name)
        path = self.folder / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            writer = _Writer(file, facts, self)
            yield writer
        self.members[name] = Member(
            name=name, size=writer.size, sha256=writer.total.hexdigest(), records=writer.records, facts=writer.facts
        )

    def carry(self, member):
        return False

    def progress(self, records, size):
        assert size >= 0
        self.told.append((records, size))
        if self._stop_after is not None and size > self._stop_after:
            raise InterruptedError

    def finish(self, source):
        record = {"kind": source.kind, "label": source.label, "source": dict(source.describe())}
        index = {"record": record, "members": list(self.members.values())}
        (self.folder / "index.json").write_bytes(msgspec.json.encode(index))
        return FolderContents(self.folder)


class _Writer:
    def __init__(self, file, facts, target):
        self._file, self.facts, self._target = file, dict(facts), target
        self.total, self.size, self.records = hashlib.sha256(), 0, 0

    def write(self, data, records=0, *, is_chunk=False):
        self._file.write(data)
        self.total.update(data)
        self.size += len(data)
        self.records += records
        self._target.pieces = max(self._target.pieces, len(data))

    def note(self, **facts):
        self.facts |= json.loads(json.dumps(facts))


class FolderContents:
    """Every byte was compared with its hash before the first one is handed out."""

    def __init__(self, folder):
        self.folder = folder
        index = json.loads((folder / "index.json").read_text())
        self.members = {one["name"]: msgspec.convert(one, Member) for one in index["members"]}
        self.record = BackupRecord(
            id=RunId("backup"), owner="test", state=BackupState.VERIFIED, created=0.0, updated=0.0, **index["record"]
        )

    def read(self, name, start=0):
        data = (self.folder / "data" / name).read_bytes()
        if hashlib.sha256(data).hexdigest() != self.members[name].sha256:
            raise Damaged(f"member {name} is damaged")
        for at in range(start, len(data), 100_000):
            yield data[at : min(at + 100_000, len(data))]


def backed_up(source, folder):
    """Exported, and read back."""
    target = FolderTarget(folder)
    source.export(target, None)
    return target.finish(source)
