"""Conversations and their turns that are backed up, deleted and brought back, while others stay."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

import waycairn as wc
from crash.common import Acks, Told, Workload, blob, flush, looking
from crash.leaving import TRIED, check_whereabouts, leave_and_return, whole
from waycairn.backups.backup import Backup
from waycairn.backups.catalogue import BackupContents
from waycairn.backups.rows import Rows, rows
from waycairn.backups.source import Wish
from waycairn.errors import SourceChanged, WriteFailed

DATABASE = Path("chats.db")
LAST, OLD = 9, 6
"""Conversations, and those of them that are old."""
MEANWHILE = 999
"""A turn that comes between."""
_TABLES = """
CREATE TABLE conversations (id INTEGER PRIMARY KEY, title TEXT NOT NULL);
CREATE TABLE turns (
    id INTEGER PRIMARY KEY, conversation_id INTEGER NOT NULL REFERENCES conversations (id), body BLOB, cost REAL
);
CREATE INDEX turns_of ON turns (conversation_id);
"""
Found = dict[str, list[tuple[Any, ...]]]


def leave_rows(store: wc.Store, told: Told) -> None:
    if not store.latest("rows laid"):
        _lay()
        store.save("rows laid", True)
    told("laid 1")
    engine = sa.create_engine(f"sqlite:///{DATABASE}")
    try:
        if not store.latest("rows changed"):
            _write_between(store, told, _old(engine))
            store.save("rows changed", True)
        leave_and_return(store, told, _old(engine).label, lambda: _old(engine))
    finally:
        engine.dispose()


def _old(engine: sa.Engine) -> Rows:
    return rows(engine, "conversations", sa.text(f"id <= {OLD}"), {"turns": "conversation_id"})


def _write_between(store: wc.Store, told: Told, source: Rows) -> None:
    """Somebody writes a turn between the backup and the delete: then nothing is deleted."""
    with store.safeguard(source, keep=TRIED):
        _change(
            "INSERT OR REPLACE INTO turns VALUES (?, 1, ?, NULL)", MEANWHILE, f"for the {len(store.backups())}. time"
        )
        told("said 1")
        for row in whole(store, source.label):
            _refused(Backup(store.core, row, source))
    told("unsaid 1")
    for row in whole(store, source.label):
        store.backup(row.id).remove()
    _change("DELETE FROM turns WHERE id = ?", MEANWHILE)


def _refused(backup: Backup) -> None:
    try:
        backup.delete()
    except SourceChanged:
        return
    raise AssertionError("a turn is deleted that is in no backup")


def _change(statement: str, *values: Any) -> None:
    """Durably, as whoever knows SQLite does."""
    with _changing() as database:
        database.execute("PRAGMA synchronous = EXTRA")
        database.execute(statement, values)
        database.commit()


@contextmanager
def _changing() -> Iterator[sqlite3.Connection]:
    """What a user's own statements raise is told as a job would that knows what it is."""
    try:
        with closing(sqlite3.connect(DATABASE)) as database:
            yield database
    except sqlite3.Error as error:
        raise WriteFailed(f"a statement of the job: {error}") from error


def check_rows(store: wc.Store, acks: Acks) -> None:
    if "laid" not in acks:
        return
    found = found_in(DATABASE)
    said = [line for line in found["turns"] if line[0] == MEANWHILE]
    assert said or "said" not in acks or "unsaid" in acks, "what was said meanwhile is gone"
    old, others = _parted(found)
    assert others == _parted(WANTED)[1], "what nobody deletes is not what it was"
    wanted = _parted(WANTED)[0]
    assert old in ({}, wanted), f"some of them are there, others are not: {old}"
    check_whereabouts(store, acks, old, wanted, _restored)


def _lay() -> None:
    """A database as SQLite makes it by itself; one that was not finished is begun anew."""
    with _changing() as database:
        database.executescript("BEGIN; DROP TABLE IF EXISTS turns; DROP TABLE IF EXISTS conversations;" + _TABLES)
        _fill(database)
        database.commit()
    # The name of the journal is gone for good, and that of the database is there.
    flush(Path())


def _fill(database: sqlite3.Connection) -> None:
    for name, lines in WANTED.items():
        marks = ", ".join("?" * len(lines[0]))
        database.executemany(f"INSERT INTO {name} VALUES ({marks})", lines)


def found_in(path: Path) -> Found:
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        return {name: database.execute(f"SELECT * FROM {name} ORDER BY id").fetchall() for name in WANTED}


def _parted(found: Found) -> tuple[Found, Found]:
    """What is old, where there is some of it, and all else; but for what comes between."""
    of = {"conversations": 0, "turns": 1}
    found = {**found, "turns": [line for line in found["turns"] if line[0] != MEANWHILE]}
    old = {name: [line for line in lines if line[of[name]] <= OLD] for name, lines in found.items()}
    others = {name: [line for line in lines if line[of[name]] > OLD] for name, lines in found.items()}
    return {name: lines for name, lines in old.items() if lines}, others


def _restored(contents: BackupContents) -> Found:
    with looking() as folder:
        place = Path(folder, "again.db")
        with closing(sqlite3.connect(place)) as database:
            database.executescript("PRAGMA synchronous = OFF;" + _TABLES)
        engine = sa.create_engine(f"sqlite:///{place}")
        try:
            _old(engine).restore(contents, Wish(to=engine))
        finally:
            engine.dispose()
        return _parted(found_in(place))[0]


WANTED: Found = {
    "conversations": [(number, f"conversation {number} ⛰") for number in range(1, LAST + 1)],
    "turns": [
        (number * 10 + turn, number, None if turn == 1 else blob(number * turn, 4000), number / 3)
        for number in range(1, LAST + 1)
        for turn in range(1, 4)
    ],
}


WORKLOADS = {"backup-rows": Workload(leave_rows, check_rows)}
