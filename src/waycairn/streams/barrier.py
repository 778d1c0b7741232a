"""What was committed, made to survive a power cut, in a database whose commits by themselves may not."""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy import Connection, text

from waycairn.streams.ledger_connection import LedgerConnection
from waycairn.world.crashpoints import crashpoint
from waycairn.world.files import flush, translated


def barrier(ledger: LedgerConnection) -> None:
    """Flush every commit so far. In SQLite with WAL and synchronous=NORMAL they lie in the log, unflushed; on a server
    with synchronous_commit=off in its memory."""
    crashpoint("stream.barrier")
    if ledger.engine.dialect.name == "sqlite":
        with ledger.transaction() as connection:
            log = _log_of(connection)
        if log is not None and log.exists():
            _flush_file(log)
    else:
        _flush_server(ledger)
    crashpoint("stream.barrier.done")


def _log_of(connection: Connection) -> Path | None:
    """Only with a log: a rollback journal is flushed by each commit. The log holds no locks of SQLite's, so closing it
    here takes none away, as it would with the database itself."""
    if connection.scalar(text("PRAGMA journal_mode")) != "wal":
        return None
    for _, schema, path in connection.execute(text("PRAGMA database_list")):
        if schema == "main":
            return Path(f"{path}-wal")
    return None


def _flush_file(path: Path) -> None:
    with translated("the log of the sink's database", path):
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            flush(handle)
        finally:
            os.close(handle)


def _flush_server(ledger: LedgerConnection) -> None:
    """A commit that is waited for flushes all before it."""
    with ledger.transaction() as connection:
        connection.execute(text("SET LOCAL synchronous_commit = on"))
        connection.execute(text("SELECT txid_current()"))
