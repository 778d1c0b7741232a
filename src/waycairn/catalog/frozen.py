"""A catalog that cannot be written from here: mounted read-only, or without the permission. It can be listed, loaded,
verified and exported all the same."""

from __future__ import annotations

import os
from pathlib import Path

from waycairn.errors import StoreReadOnly


def is_frozen(path: Path) -> bool:
    """Whether the file or what SQLite keeps beside it cannot be written."""
    return _is_mounted_read_only(path) or not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))


def _is_mounted_read_only(path: Path) -> bool:
    return bool(os.statvfs(path.parent).f_flag & os.ST_RDONLY)


def frozen_uri(path: Path) -> str:
    """Without a log there is nothing beside the file to read, and nobody writes at this moment; a log that a crash left
    is read with an index of it in memory, that of a living writer with the writer's."""
    log, index = (path.with_name(f"{path.name}{suffix}") for suffix in ("-wal", "-shm"))
    has_log = index.exists() or (log.exists() and log.stat().st_size > 0)
    return f"{path.absolute().as_uri()}?mode=ro" + ("" if has_log else "&immutable=1")


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
