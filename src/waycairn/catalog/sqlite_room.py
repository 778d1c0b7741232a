"""Room in the files of SQLite: the log emptied, pages given back.

A row that is deleted is overwritten with zeros (secure_delete), but its former page stands in the log until that is written
back and emptied. And the pages that it leaves stay in the file for rows to come, unless they are given back.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING

from waycairn.catalog.queue import FairQueue
from waycairn.catalog.sql import text
from waycairn.catalog.statement import Statement
from waycairn.world.crashpoints import crashpoint
from waycairn.world.files import flush

if TYPE_CHECKING:
    from waycairn.catalog.sqlite import SqliteDatabase

_GIVE_BACK = "PRAGMA incremental_vacuum(1000)"
"""Pages of 4 KiB in one transaction: some hundredths of a second."""
_PATIENCE_MS = 200
"""For those who read: the log cannot be emptied while they look into it. Writers wait meanwhile."""


@cache
def _asked(name: str) -> Statement:
    return Statement(name, "A fact about the file.", text(f"PRAGMA {name}"))


def write_back(database: SqliteDatabase) -> None:
    """Else the next one whose commit makes the log long does it, in its turn."""
    with closing(database.connect()) as connection:
        _write_back(connection)


def _write_back(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    crashpoint("catalog.log.written")


def settle_log(database: SqliteDatabase) -> bool:
    """False if a reader stood in the way."""
    with _aside(database) as (connection, queue):
        connection.execute(f"PRAGMA busy_timeout = {_PATIENCE_MS}")
        # 1. What can be written back while others write: nearly all of it.
        _write_back(connection)
        # 2. The rest, and the end of the log, in a turn of our own.
        with _turn(queue):
            busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        crashpoint("catalog.log.emptied")
    # 3. SQLite does not flush the new length: a power cut would bring the log back, and with it what it held.
    _flush_log(database)
    return not busy


def _flush_log(database: SqliteDatabase) -> None:
    """Nobody locks this file, so that closing it again drops no locks."""
    with suppress(FileNotFoundError):
        handle = os.open(database.path.with_name(f"{database.path.name}-wal"), os.O_RDWR | os.O_CLOEXEC)
        try:
            flush(handle)
        finally:
            os.close(handle)
        crashpoint("catalog.log.flushed")


@contextmanager
def _aside(database: SqliteDatabase) -> Iterator[tuple[sqlite3.Connection, FairQueue]]:
    """A connection and a place in the queue of its own: the writer's are in the hands of other threads."""
    queue = FairQueue(database.queue_path)
    try:
        with closing(database.connect()) as connection:
            yield connection, queue
    finally:
        queue.close()


@contextmanager
def _turn(queue: FairQueue) -> Iterator[None]:
    queue.acquire()
    try:
        yield
    finally:
        queue.release()


def shrink(database: SqliteDatabase, spare: float, rewrite: bool) -> int:
    """Bytes that were given back."""
    page, pages, free, mode = (
        _read(database, name) for name in ("page_size", "page_count", "freelist_count", "auto_vacuum")
    )
    if not free or free <= spare * pages:
        return 0
    if not mode:
        return _rewrite(database) * page if rewrite else 0
    left = free
    with _aside(database) as (connection, queue):
        while left > spare * pages:
            with _turn(queue):
                # As a script, because `execute` takes one step only, and each step is one page.
                connection.executescript(_GIVE_BACK)
            crashpoint("catalog.shrunk")
            before, left = left, _read(database, "freelist_count")
            if left >= before:
                break  # others delete as fast
    return max(0, free - left) * page


def _read(database: SqliteDatabase, name: str) -> int:
    row = database.read(lambda session: session.one(_asked(name)))
    assert row is not None
    return int(row[0])


def _rewrite(database: SqliteDatabase) -> int:
    """Pages fewer. Nobody writes meanwhile; killed, it is undone by whoever opens the file next."""
    before = _read(database, "page_count")
    with database.migration() as connection:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        crashpoint("catalog.rewrite")
        connection.execute("VACUUM")
        crashpoint("catalog.rewritten")
    return before - _read(database, "page_count")
