"""A small save job on plain files and SQLite, right or wrong on purpose: what the harness itself is tested with.

    python reference_job.py STORE ACK COUNT [BUG]

Each save writes an object file (write, flush, rename, flush of the directory), then commits a row that names its
hash, then acknowledges.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

BUGS = ("no-flush-of-file", "no-flush-of-directory", "synchronous-normal", "no-flush-of-parent", "ack-before-commit")


def payload(number: int) -> bytes:
    return (b"save %d " % number) * 500


def flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def save_object(path: Path, data: bytes, bug: str) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(data)
    if bug != "no-flush-of-file":
        flush(temporary)
    temporary.rename(path)
    if bug != "no-flush-of-directory":
        flush(path.parent)


def run(store: Path, ack: Path, count: int, bug: str = "") -> None:
    (store / "objects").mkdir(parents=True)
    flush(store)
    if bug != "no-flush-of-parent":
        flush(store.parent)
    with closing(sqlite3.connect(store / "catalog.db", isolation_level=None)) as database, ack.open("w") as told:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute(f"PRAGMA synchronous={'NORMAL' if bug == 'synchronous-normal' else 'FULL'}")
        database.execute("CREATE TABLE IF NOT EXISTS saves (number INTEGER PRIMARY KEY, digest TEXT)")
        for number in range(1, count + 1):
            data = payload(number)
            save_object(store / "objects" / str(number), data, bug)
            if bug == "ack-before-commit":
                print(number, file=told, flush=True)
            database.execute("INSERT INTO saves VALUES (?, ?)", (number, hashlib.sha256(data).hexdigest()))
            if bug != "ack-before-commit":
                print(number, file=told, flush=True)


def check(store: Path, acks: int) -> None:
    """Raises AssertionError if the store is not what was promised after `acks` acknowledgements."""
    if not (store / "catalog.db").exists():
        assert acks == 0, f"the catalog is gone with {acks} acknowledged"
        return
    with closing(sqlite3.connect(store / "catalog.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        tables = database.execute("SELECT name FROM sqlite_master").fetchall()
        rows = database.execute("SELECT number, digest FROM saves ORDER BY number").fetchall() if tables else []
    assert [number for number, _ in rows] == list(range(1, len(rows) + 1)), "a save is missing in between"
    assert len(rows) >= acks, f"{acks} acknowledged, {len(rows)} there"
    for number, digest in rows:
        data = store.joinpath("objects", str(number)).read_bytes()
        assert hashlib.sha256(data).hexdigest() == digest, f"object {number} differs"


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
