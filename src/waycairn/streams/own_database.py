"""The database that we make for the ledgers of streams whose sink is none: a file or a function."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event

from waycairn.world.files import make_directory

_BUSY = 10_000
"""Milliseconds."""


def own_engine(path: Path, *, is_flushed: bool = False) -> Engine:
    """An engine for the SQLite database at that path, made when it is first used.

    With `is_flushed` every commit survives a power cut; a sink that is a file needs that, since people read from a
    file what was committed. Without it a power cut may take the last commits back: lines are then read again.
    """
    make_directory(path.parent)
    engine = create_engine(URL.create("sqlite", database=str(path)))
    synchronous = "FULL" if is_flushed else "NORMAL"

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {_BUSY}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute(f"PRAGMA synchronous = {synchronous}")
        cursor.close()

    return engine
