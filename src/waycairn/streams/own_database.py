"""The database that we make for the ledgers of streams whose sink is none: a file or a function."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event

from waycairn.world.files import make_directory

_BUSY = 10_000
"""Milliseconds."""


def own_engine(path: Path) -> Engine:
    """An engine for the SQLite database at that path, made when it is first used.

    Every commit survives a power cut: what people have read from a file, or a function was given, does not come again.
    """
    make_directory(path.parent)
    engine = create_engine(URL.create("sqlite", database=str(path)))

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {_BUSY}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.close()

    return engine
