"""What a store can see of a disk, so that disks which look the same to it are looked at once.

Most power cuts in a commit differ in which frames of SQLite's log they lost, and SQLite takes all of those frames back.
SQLite itself is asked what the database holds; every other file counts byte for byte.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from blake3 import blake3

__all__ = ["digest_of", "visible"]


def digest_of(digests: dict[str, bytes]) -> bytes:
    """Equal for equal disks."""
    whole = blake3()
    for path, digest in sorted(digests.items()):
        whole.update(b"%s\0%d %s" % (path.encode(), len(digest), digest))
    return whole.digest(16)


def visible(root: Path, digests: dict[str, bytes]) -> bytes:
    """Equal for disks between which a store and a sink cannot tell; may change what lies at the root."""
    seen = dict(digests)
    for path in digests:
        if path.endswith(".db") and (content := _content(root / path)) is not None:
            seen[path] = blake3(content).digest(16)
            seen.pop(f"{path}-wal", None)
    return digest_of(seen)


def _content(path: Path) -> bytes | None:
    """All pages as SQLite reads them after its recovery; None if it cannot."""
    try:
        # Read-only, so that the log is read and not written back.
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
            return database.serialize()
    except sqlite3.Error:
        return None
