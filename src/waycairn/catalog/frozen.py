"""A catalog that cannot be written from here: mounted read-only, without the permission, or on a full disk. It can be
listed, loaded, verified and exported all the same."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from waycairn.errors import StoreReadOnly

_NO_ROOM = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMOPEN, sqlite3.SQLITE_CANTOPEN}


def is_frozen(path: Path) -> bool:
    """Whether the file or what SQLite keeps beside it cannot be written."""
    return _is_mounted_read_only(path) or not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))


def _is_mounted_read_only(path: Path) -> bool:
    return bool(os.statvfs(path.parent).f_flag & os.ST_RDONLY)


def frozen_uri(path: Path) -> str:
    """Without a log there is nothing beside the file to read, and nobody writes at this moment; a log that a crash left
    is read with an index of it in memory, that of a living writer with the writer's."""
    log = path.with_name(f"{path.name}-wal")
    has_log = log.exists() and log.stat().st_size > 0
    return f"{path.absolute().as_uri()}?mode=ro&" + ("readonly_shm=1" if has_log else "immutable=1")


def has_no_room(error: sqlite3.Error) -> bool:
    """Whether a connection failed because SQLite could not make the index of its log: on a disk that is full."""
    return getattr(error, "sqlite_errorcode", None) in _NO_ROOM


def refuse_to_write(path: Path) -> StoreReadOnly:
    if _is_mounted_read_only(path):
        return StoreReadOnly(
            f"{path} lies on a file system that is mounted read-only. Nothing was changed. Mount it for writing "
            "(mount -o remount,rw), or copy the store to another place.",
            path=str(path),
        )
    return StoreReadOnly(
        f"{path} or its directory cannot be written by this user. Nothing was changed. Check the owner and the "
        "permissions, or copy the store to another place.",
        path=str(path),
    )
