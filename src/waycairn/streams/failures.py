"""Errors of a sink's database: what kind they are, and our error for them.

Those of the user's own statements stay as SQLAlchemy raises them; what the ledger runs raises ours.
"""

from __future__ import annotations

import sqlite3
from typing import Literal

from sqlalchemy import Connection, Engine, exc

from waycairn.errors import Damaged, StoreBusy, StoreError, StoreFull, StoreReadOnly, StoreUnreachable, WriteFailed

Kind = Literal["away", "busy", "full", "read_only", "failed", "damaged", "refused"]
"""away: the connection was lost or could not be made. busy: another one holds what is needed; both pass by themselves.
full, read_only, failed, damaged: only a person helps. refused: an answer to what was asked."""

_SQLITE: dict[int, Kind] = {
    sqlite3.SQLITE_BUSY: "busy",
    sqlite3.SQLITE_LOCKED: "busy",
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_READONLY: "read_only",
    sqlite3.SQLITE_PERM: "read_only",
    sqlite3.SQLITE_IOERR: "failed",
    sqlite3.SQLITE_CANTOPEN: "failed",
    sqlite3.SQLITE_CORRUPT: "damaged",
    sqlite3.SQLITE_NOTADB: "damaged",
}
_POSTGRES: dict[str, Kind] = {
    "08": "away",
    "57P01": "away",  # the server was told to stop
    "57P02": "away",  # it crashed
    "57P03": "away",  # it starts
    "57P05": "away",  # it ended a session that was idle
    "25P03": "away",  # or idle in a transaction
    "25P04": "away",  # or in one transaction for too long
    "53300": "away",  # no more connections
    "55P03": "busy",
    "40001": "busy",
    "40P01": "busy",
    "53": "full",
    "25006": "read_only",
    "42501": "read_only",
    "58": "failed",
    "XX": "damaged",
}
_CLASSES: dict[Kind, type[StoreError]] = {
    "away": StoreUnreachable,
    "busy": StoreBusy,
    "full": StoreFull,
    "read_only": StoreReadOnly,
    "failed": WriteFailed,
    "damaged": Damaged,
    "refused": StoreError,
}
_WHAT: dict[Kind, str] = {
    "away": "the database of the sink, {name}, does not answer ({text}). Nothing of this batch was committed: rows and "
    "offsets are where they were. Check the server and the network, then run the job again.",
    "busy": "another program holds the database of the sink, {name}, for too long ({text}). Nothing of this batch was "
    "committed. Find it (`fuser` on the file, pg_stat_activity on a server), then run the job again.",
    "full": "no room is left for the database of the sink, {name} ({text}). Nothing of this batch was committed; what "
    "was committed before is safe. Free space, then run the job again.",
    "read_only": "the database of the sink, {name}, cannot be written ({text}). Nothing was changed. Check the rights "
    "of this user, the permissions of the file and its directory, and the mount options.",
    "failed": "the database of the sink, {name}, could not read or write its files ({text}). Nothing of this batch was "
    "committed. Check that its directory exists, the limit of open files (ulimit -n) and the disk (dmesg).",
    "damaged": "the database of the sink, {name}, is damaged ({text}). It is not used, and nothing is read again from "
    "the beginning. Keep a copy of it, then restore a backup: rows and offsets go back together.",
    "refused": "the database of the sink, {name}, refused what the ledger asked ({text}). Nothing of this batch was "
    "committed.",
}


def kind_of(error: BaseException) -> Kind | None:
    """What kind of error of a database it is: as the driver raises it, as SQLAlchemy does, or ours. None: of no kind,
    the database answered what it was asked, or it is no error of a database."""
    if isinstance(error, StoreError):
        return getattr(error, "kind", None)
    if isinstance(error, exc.TimeoutError):  # no connection was free in SQLAlchemy's pool
        return "busy"
    if isinstance(error, exc.DBAPIError):
        if error.connection_invalidated:
            return "away"
        return None if error.orig is None else kind_of(error.orig)
    if isinstance(error, sqlite3.Error):
        return _SQLITE.get(getattr(error, "sqlite_errorcode", -1) & 0xFF)
    return _kind_on_server(error)


def _kind_on_server(error: BaseException) -> Kind | None:
    """By the SQLSTATE: an error without one is no answer of the server."""
    if not any(one.__name__ == "Error" for one in type(error).__mro__):  # the one class that all drivers have
        return None
    state = _state_of(error)
    if not state:
        return "away" if type(error).__name__ in {"OperationalError", "InterfaceError"} else None
    return _POSTGRES.get(state) or _POSTGRES.get(state[:2])


def _state_of(error: BaseException | None) -> str:
    """The SQLSTATE, by whichever driver; empty without one."""
    return getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or ""


def is_refused(error: BaseException) -> bool:
    """Whether the database, or its driver, says that a value cannot be stored: for every other event it may be all
    right. Rules that a table has for its rows, UNIQUE and the like, are no matter of values."""
    if isinstance(error, OverflowError):
        return "SQLite" in str(error)  # an integer of more than 64 bits
    if isinstance(error, UnicodeEncodeError):
        return error.reason == "surrogates not allowed"
    if not isinstance(error, exc.DBAPIError):
        return False
    return isinstance(error, exc.DataError) or _state_of(error.orig).startswith("22")


def told(error: BaseException, where: Connection | Engine) -> StoreError:
    """Our error for it, to be raised from it. Its fact `kind` is what `kind_of` says."""
    kind = kind_of(error) or "refused"
    name = where.engine.url.render_as_string(hide_password=True)
    text = (str(getattr(error, "orig", None) or error).strip().splitlines() or [type(error).__name__])[0]
    return _CLASSES[kind](_WHAT[kind].format(name=name, text=text), kind=kind, address=name)
