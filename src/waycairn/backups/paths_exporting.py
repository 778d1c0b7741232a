"""Trees, read into a backup. What changes while it is read is read again."""

from __future__ import annotations

import os
import stat
import time
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress

from waycairn.backups.paths_attributes import attributes_of, kind_of
from waycairn.backups.paths_content import READ, CutShort, is_noise, pieces
from waycairn.backups.paths_entry import (
    Entry,
    Kind,
    entry_of,
    facts_of,
    file_entry,
    head_of,
    identity_of,
    line_of,
    shown,
)
from waycairn.backups.paths_mounts import mounts_at_or_below
from waycairn.backups.paths_names import TREE, escaped, member_name
from waycairn.backups.paths_sparse import data_of
from waycairn.backups.paths_tree import Tree
from waycairn.backups.source import Target
from waycairn.errors import BackupError, BackupRefused, SourceChanged
from waycairn.model.backups import Member

_TRIES = 3
_LINES = 1000
"""Of `tree.jsonl` that are written at once."""


class _Changed(Exception):
    pass


class Export:
    """One export, by one thread."""

    def __init__(self, target: Target, before: Mapping[str, Member]) -> None:
        self._target = target
        self._before = before
        self._lines: list[bytes] = []
        self._others = 0
        """Of the lines, those that are no folders."""
        self._twins: dict[tuple[int, int], str] = {}
        """Members of files that have several names, by device and inode."""
        self._records = self._size = 0

    def add(self, root: str, at: bytes) -> None:
        """All that lies at a path. Raises BackupError if anything of it cannot be read."""
        refuse_mounts(at)
        try:
            with Tree(at) as tree:
                top = tree.state(b"")
                for path, state in tree.walk():
                    self._add(tree, root, path, state, top.st_dev)
        except FileNotFoundError as error:
            raise missing(at) from error

    def finish(self, roots: list[str]) -> None:
        with self._target.member(TREE) as member:
            member.write(head_of(roots), self._others)
            for first in range(0, len(self._lines), _LINES):
                member.write(b"".join(self._lines[first : first + _LINES]))
        self._target.progress(self._records, self._size)

    def _add(self, tree: Tree, root: str, path: bytes, state: os.stat_result, device: int) -> None:
        kind = kind_of(state)
        try:
            if kind is Kind.FILE:
                self._add_file(tree, root, path, state)
            elif kind is Kind.FOLDER:
                if state.st_dev != device:
                    raise _other_file_system(shown(tree.at, path))
                self._note(entry_of(root, path, kind, state, attributes=attributes_of(tree.folder(path))))
            elif kind is Kind.LINK:
                folder, name = tree.place(path)
                target = b64encode(os.readlink(name, dir_fd=folder)).decode()
                self._note(entry_of(root, path, kind, state, target=target))
            elif kind is None:
                raise _device(shown(tree.at, path))
            else:
                self._note(entry_of(root, path, kind, state))
        except FileNotFoundError:
            if not path:
                raise
        except OSError as error:
            raise BackupError(
                f"{shown(tree.at, path)} cannot be read ({error.strerror or error}). Nothing was deleted. "
                "See its owner, its permissions and the disk, then make the backup again.",
                path=os.fsdecode(tree.at + b"/" + path),
            ) from error

    def _note(self, entry: Entry) -> None:
        self._lines.append(line_of(entry))
        if not entry.is_folder:
            self._others += 1
            self._tell(1, 0)

    def _tell(self, records: int, size: int) -> None:
        self._records += records
        self._size += size
        self._target.progress(self._records, self._size)

    def _add_file(self, tree: Tree, root: str, path: bytes, state: os.stat_result) -> None:
        same = (state.st_dev, state.st_ino)
        if state.st_nlink > 1 and same in self._twins:
            self._note(entry_of(root, path, Kind.TWIN, state, target=self._twins[same]))
            return
        name = member_name(root, path)
        if self._carries(name, state):
            self._tell(1, state.st_size)
        else:
            self._read_unchanged(tree, root, path)
        if state.st_nlink > 1:
            self._twins[same] = name

    def _carries(self, name: str, state: os.stat_result) -> bool:
        member = self._before.get(name)
        if member is None or name == TREE:
            return False
        entry = file_entry(member)
        return entry.identity == identity_of(state) and entry.is_settled and self._target.carry(member)

    def _read_unchanged(self, tree: Tree, root: str, path: bytes) -> None:
        for _ in range(_TRIES):
            told = self._records, self._size
            with suppress(_Changed, CutShort):
                self._read(tree, root, path)
                return
            self._records, self._size = told
        raise SourceChanged(
            f"{shown(tree.at, path)} was changed each of the {_TRIES} times that it was read. Nothing was deleted. "
            "Stop what writes to it, or leave it out, then make the backup again.",
            path=os.fsdecode(tree.at + b"/" + path),
        )

    def _read(self, tree: Tree, root: str, path: bytes) -> None:
        folder, name = tree.place(path)
        handle = os.open(name, READ, dir_fd=folder)
        try:
            now, state = time.time_ns(), os.fstat(handle)
            if not stat.S_ISREG(state.st_mode):
                raise _Changed
            more = {"read": now, "data": data_of(handle, state), "attributes": attributes_of(handle)}
            entry = entry_of(root, path, Kind.FILE, state, **more)
            with self._target.member(entry.name, **facts_of(entry)) as member:
                member.write(b"", 1)
                for piece in pieces(handle, entry.ranges):
                    member.write(piece, is_chunk=is_noise(piece))
                    self._tell(0, len(piece))
                if identity_of(os.fstat(handle)) != identity_of(state):
                    raise _Changed
        finally:
            os.close(handle)
        self._tell(1, entry.size - sum(length for _, length in entry.ranges))


def refuse_mounts(at: bytes) -> None:
    """A delete would go through a mount into what is none of this folder."""
    for point in mounts_at_or_below(at):
        raise _other_file_system(escaped(point))


def _other_file_system(path: str) -> BackupRefused:
    return BackupRefused(
        f"another file system is mounted at {path}. Nothing was backed up, nothing was deleted. "
        "Unmount it, or name the folders beside it instead.",
        path=path,
    )


def _device(path: str) -> BackupRefused:
    return BackupRefused(
        f"{path} is a device, which has no content to be backed up. Nothing was deleted. Move it away, or leave it out.",
        path=path,
    )


def missing(at: bytes) -> BackupError:
    return BackupError(
        f"there is nothing at {escaped(at)}. Nothing was backed up, nothing was deleted. Check the path.",
        path=os.fsdecode(at),
    )
