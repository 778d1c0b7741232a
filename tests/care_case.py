"""What the tests of looking after a store by the API share."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

BIG = 300_000
"""Bytes: more than ride in the catalog."""
_COMES_AND_GOES = {"measurements", "tokens", "logins"}
"""What asking alone writes: when somebody was seen, how long things took."""


def noise(seed: int, size: int = BIG) -> bytes:
    return hashlib.shake_128(b"%d" % seed).digest(size)


def contents(place: Path) -> dict[str, object]:
    """Everything that a store at a directory is: its rows, and its files with what is in them."""
    files = {
        str(path.relative_to(place)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in place.rglob("*")
        if path.is_file() and not path.name.startswith("catalog.db")
    }
    with closing(sqlite3.connect(place / "catalog.db")) as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {
            name: database.execute(f"SELECT * FROM {name}").fetchall() for name in names if name not in _COMES_AND_GOES
        }
    return {"files": files, "rows": rows}


def packs_of(place: Path) -> list[Path]:
    return sorted(path for path in (place / "packs").glob("*/*") if path.is_file())
