"""Files, made durable. Every function that writes says what survives when it returns."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from waycairn.errors import StoreFull, StoreReadOnly, StoreUnreachable, WriteFailed
from waycairn.world.crashpoints import crashpoint

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}
_TOO_MANY = {errno.EMFILE, errno.ENFILE}

if sys.platform == "darwin":
    import fcntl

    def flush(handle: int) -> None:
        """Flush a file or directory to the medium; macOS' fsync stops at the drive's cache, F_FULLFSYNC does not."""
        fcntl.fcntl(handle, fcntl.F_FULLFSYNC)
else:

    def flush(handle: int) -> None:
        """Flush a file or directory to the medium."""
        os.fsync(handle)


@contextmanager
def translated(what: str, path: os.PathLike[str] | str) -> Iterator[None]:
    """Turn an OSError of a write into our error, naming what was written and where."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in _NO_SPACE:
            raise StoreFull(
                f"no space left while writing {what} at {path} ({reason}). What was acknowledged before is safe, "
                "this save is not. Free space, then run the job again: it goes on from the last save.",
                path=str(path),
            ) from error
        if error.errno in _READ_ONLY:
            raise StoreReadOnly(
                f"{what} at {path} cannot be written ({reason}). Nothing was changed. "
                "Check the owner, the permissions and the mount options.",
                path=str(path),
            ) from error
        raise WriteFailed(
            f"writing {what} at {path} failed ({reason}). What was acknowledged before is safe, this save is not. "
            f"{_advice(error)}, then run the job again.",
            path=str(path),
        ) from error


@contextmanager
def reading(path: os.PathLike[str] | str) -> Iterator[None]:
    """Turn an OSError of a read into our error, naming what was read. What a missing file means the caller knows."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StoreUnreachable(
            f"{error.filename or path} cannot be read ({error.strerror or error}). Nothing was changed. "
            f"{_advice(error)}, then try again.",
            path=str(path),
        ) from error


def _advice(error: OSError) -> str:
    if error.errno in _TOO_MANY:
        return "Check the limit of open files (ulimit -n)"
    if error.errno in _READ_ONLY:
        return "Check the owner, the permissions and the mount options"
    return "Check the disk (dmesg)"


def flush_directory(path: os.PathLike[str] | str) -> None:
    """Make the entries of a directory durable. Without it a new name can vanish in a power cut."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        flush(handle)
    finally:
        os.close(handle)


def make_directory(path: Path, mode: int = 0o700) -> None:
    """Create a directory and its parents; each new entry is durable when this returns. Also that of one which is there
    but empty: the process that made it may have been killed before it flushed the name."""
    missing = []
    place = path
    while not place.exists():
        missing.append(place)
        place = place.parent
    if place.is_dir() and not any(place.iterdir()):
        with suppress(PermissionError):  # a folder that is not ours to read holds none that we made
            flush_directory(place.parent)
    for folder in reversed(missing):
        crashpoint("files.mkdir")
        folder.mkdir(mode=mode, exist_ok=True)
        crashpoint("files.mkdir.flush")
        flush_directory(folder.parent)
    crashpoint("files.mkdir.done")


def write_all(handle: int, data: bytes | bytearray | memoryview) -> None:
    """os.write until everything is written: one call may write less."""
    view = memoryview(data).cast("B")
    while view:
        view = view[os.write(handle, view) :]


def write_all_at(handle: int, data: bytes | bytearray | memoryview, offset: int) -> None:
    """The same at a place of its own: called again after an error it changes nothing that it wrote before."""
    view = memoryview(data).cast("B")
    while view:
        written = os.pwrite(handle, view, offset)
        view = view[written:]
        offset += written
