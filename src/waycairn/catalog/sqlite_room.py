"""Room in the files of SQLite: the log emptied, pages given back.

A row that is deleted is overwritten with zeros (secure_delete), but its former page stands in the log until that is written
back and emptied. And the pages that it leaves stay in the file for rows to come, unless they are given back.
"""

from __future__ import annotations

from contextlib import closing
from functools import cache
from typing import TYPE_CHECKING

from sqlalchemy import text

from waycairn.catalog.database import Session
from waycairn.catalog.queue import FairQueue
from waycairn.catalog.statement import Statement
from waycairn.world.crashpoints import crashpoint

if TYPE_CHECKING:
    from waycairn.catalog.sqlite import SqliteDatabase

_GIVE_BACK = Statement(
    "give_back",
    "Shorten the file by up to 1,000 pages that no row needs: some hundredths of a second.",
    text("PRAGMA incremental_vacuum(1000)"),
)
_PATIENCE_MS = 200
"""For those who read: the log cannot be emptied while they look into it. Writers wait meanwhile."""


@cache
def _asked(name: str) -> Statement:
    return Statement(name, "A fact about the file.", text(f"PRAGMA {name}"))


def settle_log(database: SqliteDatabase) -> bool:
    """False if a reader stood in the way."""
    with closing(database.connect()) as connection:
        connection.execute(f"PRAGMA busy_timeout = {_PATIENCE_MS}")
        # 1. What can be written back while others write: nearly all of it.
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        crashpoint("catalog.log.written")
        # 2. The rest, and the end of the log, in a turn of our own.
        queue = FairQueue(database.queue_path)
        try:
            queue.acquire()
            try:
                busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                queue.release()
        finally:
            queue.close()
        crashpoint("catalog.log.emptied")
    return not busy


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
    while left > spare * pages and (given := database.write(_give_back)):
        left -= given
        crashpoint("catalog.shrunk")
    return (free - left) * page


def _read(database: SqliteDatabase, name: str) -> int:
    return database.read(lambda session: _number(session, name))


def _number(session: Session, name: str) -> int:
    row = session.one(_asked(name))
    assert row is not None
    return int(row[0])


def _give_back(session: Session) -> int:
    before = _number(session, "freelist_count")
    session.all(_GIVE_BACK)
    return before - _number(session, "freelist_count")


def _rewrite(database: SqliteDatabase) -> int:
    """Pages fewer. Nobody writes meanwhile; killed, it is undone by whoever opens the file next."""
    before = _read(database, "page_count")
    with database.migration() as connection:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        crashpoint("catalog.rewrite")
        connection.execute("VACUUM")
        crashpoint("catalog.rewritten")
    return before - _read(database, "page_count")
