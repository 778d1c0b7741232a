"""A pack file before it has its name: everything that makes it durable, step by step."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from waycairn.world.crashpoints import crashpoint
from waycairn.world.files import flush, flush_directory, translated

SUFFIX = ".unfinished"


class Unfinished:
    """A temporary file in the folder where the pack will lie. Nobody looks at it before it is renamed."""

    def __init__(self, path: Path, prepare_folder: Callable[[Path], None]) -> None:
        self.path = path
        self._temporary = path.with_name(f"{path.name}{SUFFIX}")
        self.handle = -1
        self._named = False
        with translated("a pack", path):
            prepare_folder(path.parent)
            crashpoint("pack.create")
            self.handle = os.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        # The kernel frees it in the instant of our death: until then no sweep takes the file for left behind. A file
        # system without locks leaves the age of the file to tell.
        with suppress(OSError):
            fcntl.flock(self.handle, fcntl.LOCK_SH | fcntl.LOCK_NB)

    def name(self, size: int) -> None:
        """Cut it to its size, flush it, give it its name, flush the folder. Durable when this returns."""
        with translated("a pack", self.path):
            crashpoint("pack.cut")
            os.ftruncate(self.handle, size)
            crashpoint("pack.flush")
            flush(self.handle)
            crashpoint("pack.rename")
            self._temporary.rename(self.path)
            self._named = True
            self._close()  # not before it has its name, see above
            crashpoint("pack.directory")
            flush_directory(self.path.parent)
            crashpoint("pack.durable")

    def remove(self) -> None:
        self._close()
        with suppress(OSError):
            (self.path if self._named else self._temporary).unlink()

    def _close(self) -> None:
        if self.handle >= 0:
            handle, self.handle = self.handle, -1
            os.close(handle)


def remove_if_left(path: Path, *, dry_run: bool = False) -> bool:
    """Remove the file of a writer that died; false, and nothing changed, if its writer lives, or if it has its name or is
    gone by now. With `dry_run` it is only told."""
    with translated("the removal of an unfinished pack", path):
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            if _is_written(handle):
                return False
            if dry_run:
                return True
            crashpoint("pack.unfinished.delete")
            path.unlink(missing_ok=True)
            crashpoint("pack.unfinished.deleted")
            return True
        finally:
            os.close(handle)


def _is_written(handle: int) -> bool:
    """Whether the writer lives."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks
        return False
    return False
