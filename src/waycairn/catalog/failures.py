"""Errors of SQLite and PostgreSQL -> ours: what happened, what it means for the data, what to do."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from waycairn.errors import Damaged, StoreBusy, StoreError, StoreFull, StoreReadOnly, StoreUnreachable, WriteFailed

SAFE = "What was acknowledged before is safe, this write is not."


def duplicate(detail: object) -> ValueError:
    """A row that must be new is there already: a mistake of the caller, not a state of the world."""
    return ValueError(
        f"something in this commit was committed before under the same name ({detail}). Nothing was changed. "
        "Names of steps and numbers of chunks are given out once."
    )


def from_sqlite(error: sqlite3.Error | UnicodeDecodeError, path: str) -> Exception:  # noqa: PLR0911 - one return an error
    """The error to raise instead; the caller chains the original to it."""
    if isinstance(error, UnicodeDecodeError):  # Python's, where SQLite quotes a damaged schema
        return _damaged(error, path)
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return StoreError(f"the catalog at {path} refused a call: {error}. Nothing was changed.", path=path)
    if code in {sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_UNIQUE}:
        return duplicate(error)
    if _means_full(code, path):
        return _full(path)
    if _means_damaged(code, error):
        return _damaged(error, path)
    match code & 0xFF:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StoreBusy(
                f"another program has been writing to {path} for too long. Nothing was changed. "
                "Find it with `fuser` on that file, stop it or wait for it, then run the job again.",
                path=path,
            )
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
            return StoreReadOnly(
                f"the catalog at {path} cannot be written ({error}). Nothing was changed. "
                "Check the owner and the permissions of the file and its directory, and the mount options.",
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


def _damaged(error: Exception, path: str) -> Damaged:
    return Damaged(
        f"the catalog at {path} is damaged, cannot be read whole or is no SQLite database ({error}). It is not used. "
        "Check the disk (dmesg), keep a copy of the file and its -wal file, then restore a backup or see `waycairn "
        "doctor`.",
        path=path,
    )


def _full(path: str) -> StoreFull:
    return StoreFull(
        f"no space left for the catalog at {path}. {SAFE} Free space, then run the job again: it goes on from the last "
        "save.",
        path=path,
    )


def _means_full(code: int, path: str) -> bool:
    """SQLite does not say why it could not make the index of its log: look."""
    if code == sqlite3.SQLITE_IOERR_SHMSIZE:
        return os.statvfs(Path(path).parent).f_bavail == 0
    return code & 0xFF == sqlite3.SQLITE_FULL


def _means_damaged(code: int, error: sqlite3.Error) -> bool:
    if code & 0xFF == sqlite3.SQLITE_ERROR:
        # So it says if it cannot read that the tables changed since it last looked.
        return str(error).startswith("no such table")
    return code & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}


def from_postgres(state: str | None, error: BaseException, name: str) -> Exception:  # noqa: PLR0911 - one an error
    """The error to raise instead of one with that SQLSTATE (None: the connection was lost)."""
    text = (str(error).strip().splitlines() or [type(error).__name__])[0]
    if state is None or state.startswith("08") or state in {"57P01", "57P02", "57P03", "57014", "25P03"}:
        return StoreUnreachable(
            f"the connection to {name} was lost ({text}). What was acknowledged before is safe, nothing of this call "
            "was changed. Check the server and the network, then run the job again.",
            address=name,
        )
    if state == "23505":
        return duplicate(text)
    if state in {"55P03", "40001", "40P01", "53300"}:
        return StoreBusy(
            f"the database {name} is busy: {text}. Nothing was changed. Try again; if it stays so, look for a long "
            "transaction in pg_stat_activity.",
            address=name,
        )
    if state in {"53100", "53200", "53400"}:
        return StoreFull(
            f"the database {name} has no room: {text}. {SAFE} Free space on its server, then run the job again: it "
            "goes on from the last save.",
            address=name,
        )
    if state in {"25006", "42501"}:
        return StoreReadOnly(
            f"the database {name} cannot be written: {text}. Nothing was changed. Check the rights of this user, and "
            "that the address is the primary server.",
            address=name,
        )
    if state.startswith("58"):
        return WriteFailed(
            f"the server of {name} could not read or write its files: {text}. {SAFE} Check its disk and its log, then "
            "run the job again.",
            address=name,
        )
    if state.startswith("XX"):
        return Damaged(
            f"the database {name} is damaged: {text}. It is not used. Check the server's log and restore a backup.",
            address=name,
        )
    return StoreError(f"the database {name} refused a call: {text} ({state}). Nothing was changed.", address=name)
