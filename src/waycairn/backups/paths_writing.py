"""Files, links and folders, put into a tree such that each is there whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from waycairn.backups.paths_attributes import dress, dress_by_name
from waycairn.backups.paths_content import pour
from waycairn.backups.paths_entry import Entry, Kind
from waycairn.backups.paths_tree import Tree
from waycairn.world.crashpoints import crashpoint
from waycairn.world.files import flush

_MOST_FILES = 64
_MOST_BYTES = 32 * 2**20
"""Written before they are flushed together."""
_THREADS = 8
"""Flushes at the same time share commits of the file system's journal."""
BEING_RESTORED = 0o1700
"""Mode of a folder until all in it is there; how a restore that was killed knows the folders that it made."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Written under a name of its own, not durable yet."""

    tree: Tree
    path: bytes
    draft: bytes
    handle: int
    size: int


class Writer:
    """Used by one thread; a context manager, which removes what is unfinished."""

    def __init__(self, *, may_replace: bool) -> None:
        self._may_replace = may_replace
        self.placed = 0
        """Things that have their names by now."""
        self._waiting: list[_Waiting] = []
        self._flushing = ThreadPoolExecutor(_THREADS, "waycairn-restore")
        self._touched: dict[tuple[bytes, bytes | None], Tree] = {}
        """Folders with new names, to be flushed: tree and path; None: the one above the tree."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._waiting:
            os.close(one.handle)
            with suppress(OSError):
                os.unlink(one.draft, dir_fd=one.tree.place(one.path)[0])
        self._waiting.clear()
        self._flushing.shutdown()

    def file(self, tree: Tree, entry: Entry, data: Iterable[bytes]) -> None:
        """In place when `settle` returns."""
        path = entry.path
        folder, _ = tree.place(path)
        draft = _draft(folder, entry)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(draft, flags, 0o600, dir_fd=folder)
        self._waiting.append(_Waiting(tree, path, draft, handle, entry.size))
        try:
            pour(handle, entry, data)
            dress(handle, entry)
        except BaseException:
            self._forget_last(folder)
            raise
        if len(self._waiting) >= _MOST_FILES or sum(one.size for one in self._waiting) >= _MOST_BYTES:
            self.settle()

    def _forget_last(self, folder: int) -> None:
        last = self._waiting.pop()
        os.close(last.handle)
        with suppress(OSError):
            os.unlink(last.draft, dir_fd=folder)
        with suppress(OSError):
            self.settle()  # those before it are whole

    def settle(self) -> None:
        """All files are durable, then have their names."""
        list(self._flushing.map(flush, [one.handle for one in self._waiting]))
        crashpoint("backup.paths.written")
        while self._waiting:
            one = self._waiting[0]
            self._place(one.tree, one.path, one.draft)
            os.close(self._waiting.pop(0).handle)

    def special(self, tree: Tree, entry: Entry) -> None:
        """A symbolic link, a pipe or a socket."""
        folder, _ = tree.place(entry.path)
        draft = _draft(folder, entry)
        if entry.kind is Kind.LINK:
            os.symlink(entry.link_target, draft, dir_fd=folder)
        else:
            kind = stat.S_IFIFO if entry.kind is Kind.PIPE else stat.S_IFSOCK
            os.mknod(draft, 0o600 | kind, dir_fd=folder)
        dress_by_name(folder, draft, entry)
        self._place(tree, entry.path, draft)

    def twin(self, tree: Tree, entry: Entry, first: Tree, path: bytes) -> None:
        """Another name of a file that is in place."""
        folder, _ = tree.place(entry.path)
        draft = _draft(folder, entry)
        # Its folder stays open while the other one is looked up, which may be of the same tree.
        kept = os.dup(folder)
        try:
            there, name = first.place(path)
            os.link(name, draft, src_dir_fd=there, dst_dir_fd=kept, follow_symlinks=False)
        finally:
            os.close(kept)
        self._place(tree, entry.path, draft)

    def folder(self, tree: Tree, path: bytes) -> None:
        above, name = tree.place(path)
        os.mkdir(name, BEING_RESTORED, dir_fd=above)
        self._touch(tree, path)
        crashpoint("backup.paths.folder")

    def clear(self, tree: Tree, path: bytes) -> None:
        """What is there goes, to make room for another kind of thing. OSError for a folder that is not empty."""
        folder, name = tree.place(path)
        if stat.S_ISDIR(tree.state(path).st_mode):
            os.rmdir(name, dir_fd=folder)
        else:
            os.unlink(name, dir_fd=folder)
        tree.forget()

    def finish(self, folders: Iterable[tuple[Tree, Entry]]) -> None:
        """Names are durable; then the folders, the deepest first, get their rights and times."""
        self.settle()
        for (_, path), tree in self._touched.items():
            flush(tree.above() if path is None else tree.folder(path))
        crashpoint("backup.paths.named")
        for tree, entry in folders:
            handle = tree.folder(entry.path)
            dress(handle, entry)
            flush(handle)
            crashpoint("backup.paths.dressed")

    def _place(self, tree: Tree, path: bytes, draft: bytes) -> None:
        folder, name = tree.place(path)
        if not self._may_replace and tree.state_if_there(path) is not None:
            os.unlink(draft, dir_fd=folder)
            raise FileExistsError(errno.EEXIST, "something else is there by now", name)
        os.rename(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
        self._touch(tree, path)
        crashpoint("backup.paths.placed")

    def _touch(self, tree: Tree, path: bytes) -> None:
        self.placed += 1
        self._touched[tree.at, path.rpartition(b"/")[0] if path else None] = tree


def _draft(folder: int, entry: Entry) -> bytes:
    """The name that it has until it is whole: the same at each attempt, so that what was left of the one before goes."""
    draft = f".{sha256(entry.name.encode()).hexdigest()[:24]}.waycairn-part".encode()
    with suppress(FileNotFoundError):
        os.unlink(draft, dir_fd=folder)
    return draft
