"""A pack file before it has its name: everything that makes it durable, step by step."""

from __future__ import annotations

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

    def name(self, size: int) -> None:
        """Cut it to its size, flush it, give it its name, flush the folder. Durable when this returns."""
        with translated("a pack", self.path):
            crashpoint("pack.cut")
            os.ftruncate(self.handle, size)
            crashpoint("pack.flush")
            flush(self.handle)
            self._close()
            crashpoint("pack.rename")
            self._temporary.rename(self.path)
            self._named = True
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
