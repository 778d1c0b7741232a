"""A tree on disk, reached from a descriptor of the folder above it: no link that appears meanwhile leads out of it, and
no path is too long."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from typing import Self

from waycairn.backups.paths_names import split

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Tree:
    """A file, or a folder with all in it. `path` below is always relative to it; empty, it is the thing itself.
    A context manager, used by one thread."""

    def __init__(self, at: bytes) -> None:
        """`at` is absolute. The folder above is followed wherever it leads; what lies there never."""
        self.at = at
        above, self.name = os.path.split(at)
        self._above = os.open(above, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._path: bytes | None = None
        self._folder = -1
        """The folder that was used last, and its path: what comes after one another often lies in the same."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.forget()
        os.close(self._above)

    def place(self, path: bytes) -> tuple[int, bytes]:
        """Descriptor of the folder that it lies in, good until the next call, and its name there."""
        if not path:
            return self._above, self.name
        above, _, name = path.rpartition(b"/")
        return self.folder(above), name

    def folder(self, path: bytes) -> int:
        """Descriptor of a folder of the tree, good until the next call. NotADirectoryError for a link as well."""
        if self._path != path:
            opened = self._open(path)
            self.forget()
            self._folder, self._path = opened, path
        return self._folder

    def above(self) -> int:
        """Descriptor of the folder that the tree lies in."""
        return self._above

    def forget(self) -> None:
        """Folders have been moved: what was opened is opened anew."""
        if self._path is not None:
            os.close(self._folder)
            self._path = None

    def state(self, path: bytes) -> os.stat_result:
        """Of the thing itself, where it is a link of that."""
        folder, name = self.place(path)
        return os.stat(name, dir_fd=folder, follow_symlinks=False)

    def state_if_there(self, path: bytes) -> os.stat_result | None:
        """NotADirectoryError if there is something else than a folder on the way."""
        try:
            return self.state(path)
        except FileNotFoundError:
            return None

    def names(self, path: bytes) -> list[bytes]:
        """What is in a folder, sorted."""
        return sorted(map(os.fsencode, os.listdir(self.folder(path))))  # noqa: PTH208 - of an open folder

    def walk(self) -> Iterator[tuple[bytes, os.stat_result]]:
        """All of it, each folder before what is in it, in the order of the names. A folder's state is taken before its names
        are read. What vanishes meanwhile is left out."""
        left = [b""]
        while left:
            path = left.pop()
            state = self.state_if_there(path)
            if state is None:
                continue
            yield path, state
            if stat.S_ISDIR(state.st_mode):
                with suppress(FileNotFoundError):
                    left.extend(join(path, name) for name in reversed(self.names(path)))

    def _open(self, path: bytes) -> int:
        """One component after the other, so that none of them is followed if it is a link."""
        if self._path is not None and path.startswith(join(self._path, b"")):
            handle, parts = os.dup(self._folder), split(path[len(join(self._path, b"")) :])
        else:
            handle, parts = os.open(self.name, _FOLDER, dir_fd=self._above), split(path)
        for part in parts:
            try:
                below = os.open(part, _FOLDER, dir_fd=handle)
            finally:
                os.close(handle)
            handle = below
        return handle


def join(path: bytes, name: bytes) -> bytes:
    return path.rstrip(b"/") + b"/" + name if path else name
