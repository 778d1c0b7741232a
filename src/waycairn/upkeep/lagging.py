"""How far a stream is behind its files, by their sizes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from waycairn.streams.records import FileState, Generation

_READ = {FileState.ACTIVE, FileState.ROTATED}


class Lag(msgspec.Struct, frozen=True):
    bytes: int = 0
    seconds: float = 0.0
    """Since the oldest file with unread bytes was written last."""
    files: int = 0
    """With unread bytes."""
    oldest: int | None = None
    """The generation that was seen first of those."""


def lag_of(generations: Sequence[Generation], now: float) -> Lag:
    """Of the files that are still where they were seen last."""
    behind = [(one, left) for one in generations if one.state in _READ and (left := _unread(one))]
    if not behind:
        return Lag()
    return Lag(
        bytes=sum(left for _, (left, _) in behind),
        seconds=max(0.0, now - min(modified for _, (_, modified) in behind)),
        files=len(behind),
        oldest=min(one.id for one, _ in behind),
    )


def _unread(one: Generation) -> tuple[int, float] | None:
    """Bytes, and when the file was written last."""
    try:
        status = Path(os.fsdecode(one.path)).stat()
    except OSError:
        return None
    if (status.st_dev, status.st_ino) != (one.identity.device, one.identity.inode) or status.st_size <= one.offset:
        return None
    return status.st_size - one.offset, status.st_mtime
