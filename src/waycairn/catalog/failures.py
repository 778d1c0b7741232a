"""Errors of SQLite -> ours: what happened, what it means for the data, what to do."""

from __future__ import annotations

import sqlite3

from waycairn.errors import Damaged, StoreBusy, StoreError, StoreFull, StoreReadOnly, StoreUnreachable, WriteFailed

SAFE = "What was acknowledged before is safe, this write is not."


def duplicate(detail: object) -> ValueError:
    """A row that must be new is there already: a mistake of the caller, not a state of the world."""
    return ValueError(
        f"something in this commit was committed before under the same name ({detail}). Nothing was changed. "
        "Names of steps and numbers of chunks are given out once."
    )


def from_sqlite(error: sqlite3.Error, path: str) -> Exception:  # noqa: PLR0911 - one return an error
    """The error to raise instead; the caller chains the original to it."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return StoreError(f"the catalog at {path} refused a call: {error}. Nothing was changed.", path=path)
    if code in {sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_UNIQUE}:
        return duplicate(error)
    match code & 0xFF:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StoreBusy(
                f"another program has been writing to {path} for too long. Nothing was changed. "
                "Find it with `fuser` on that file, stop it or wait for it, then run the job again.",
                path=path,
            )
        case sqlite3.SQLITE_FULL:
            return StoreFull(
                f"no space left for the catalog at {path}. {SAFE} Free space, then run the job again: "
                "it goes on from the last save.",
                path=path,
            )
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
            return StoreReadOnly(
                f"the catalog at {path} cannot be written ({error}). Nothing was changed. "
                "Check the owner and the permissions of the file and its directory, and the mount options.",
                path=path,
            )
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_FORMAT:
            return Damaged(
                f"the catalog at {path} is damaged or is no SQLite database ({error}). It is not used. "
                "Keep a copy of the file and its -wal file, then restore a backup or see `waycairn doctor`.",
                path=path,
            )
        case sqlite3.SQLITE_CANTOPEN:
            return StoreUnreachable(
                f"the catalog at {path} cannot be opened ({error}). Nothing was changed. "
                "Check that its directory exists and can be written, and the limit of open files (ulimit -n).",
                path=path,
            )
        case sqlite3.SQLITE_IOERR:
            return WriteFailed(
                f"the device refused to read or write the catalog at {path} ({error.sqlite_errorname}). {SAFE} "
                "Check the disk (dmesg), then run the job again.",
                path=path,
            )
    return StoreError(f"the catalog at {path} answered {error}. Nothing was changed.", path=path)
