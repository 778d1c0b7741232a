"""What is read by several statements, and must be of one moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from waycairn.catalog.database import Database, Session
from waycairn.catalog.sql import ClauseElement, text
from waycairn.catalog.statement import Build, Statement
from waycairn.errors import StoreUnreachable

T = TypeVar("T")


def _begin(build: Build) -> ClauseElement:
    return text("BEGIN" if build.is_sqlite else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")


BEGIN = Statement("begin_moment", "What is read from here on is of one moment.", _begin)
END = Statement("end_moment", "Done with that moment.", lambda _: text("COMMIT"))


def at_one_moment(database: Database, work: Callable[[Session], T], *, again: bool = True) -> T:
    """Run `work` on a connection that sees what is committed now, and nothing later. Where a connection is lost, `work` is run
    again on another one; unless not `again`, as it leaves something behind: then StoreUnreachable."""
    results: list[T] = []
    is_begun = False

    def within(session: Session) -> T:
        nonlocal is_begun
        if results:
            return results[0]  # the connection was lost behind it
        if is_begun and not again:
            raise StoreUnreachable(
                f"the connection to the database {database.name} was lost in the midst of what has to be read at one moment. "
                "Nothing was changed. Do it again.",
                address=database.name,
            )
        session.run(BEGIN)
        is_begun = True
        try:
            results.append(work(session))
        finally:
            session.run(END)
        return results[0]

    return database.read(within)
