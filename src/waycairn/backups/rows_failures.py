"""What a database says when something fails, as our errors."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import exc

from waycairn.backups.rows_session import Database
from waycairn.errors import (
    BackupError,
    CommitUnknown,
    SchemaChanged,
    StoreBusy,
    StoreError,
    StoreFull,
    StoreUnreachable,
)
from waycairn.streams.failures import kind_of

_AWAY = (
    "it does not answer. Check the address, the password (it is never written down: give it by to= or the environment), "
    "the server and the network, then try again"
)
_KINDS: dict[str, tuple[type[BackupError | StoreError], str]] = {
    "busy": (StoreBusy, "another program holds what is needed there for too long. Try again when it is done"),
    "away": (StoreUnreachable, _AWAY),
    "full": (StoreFull, "no room is left. Free some, then try again"),
}


@contextmanager
def told(database: Database, meaning: str) -> Iterator[None]:
    """`meaning`: what it means for the data if what is done here fails."""
    try:
        yield
    except exc.IntegrityError as error:
        raise SchemaChanged(f"{database.name} refuses rows of the backup: {_line(error)}. {meaning}") from error
    except Exception as error:
        if isinstance(error, StoreError) or not _is_of_a_database(error):
            raise
        kind, words = _KINDS.get(kind_of(error) or "", (BackupError, "see what it says"))
        raise kind(f"the database {database.name} failed ({_line(error)}): {words}. {meaning}") from error


def _is_of_a_database(error: Exception) -> bool:
    """As SQLAlchemy raises it, or as the driver does where its cursor is read."""
    return isinstance(error, exc.SQLAlchemyError | sqlite3.Error) or kind_of(error) is not None


@contextmanager
def committing(database: Database) -> Iterator[None]:
    """Around a COMMIT: silence there leaves open what became of it."""
    try:
        yield
    except Exception as error:
        if kind_of(error) != "away":
            raise
        raise CommitUnknown(
            f"the database {database.name} did not answer to COMMIT ({_line(error)}): either all of it was done or nothing. "
            "Do the same again: it finds out."
        ) from error


def _line(error: BaseException) -> str:
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
