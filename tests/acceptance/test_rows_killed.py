"""Processes killed while they delete and restore rows, disks that fill up, and others who write at the same time."""

import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from rows_case import Scene
from waycairn.errors import SourceChanged

JOB = Path(__file__).parents[1] / "rows_job.py"
COUNTS = "SELECT (SELECT count(*) FROM conversations), (SELECT count(*) FROM turns), (SELECT count(*) FROM attachments)"
BULK = """INSERT INTO {table} SELECT {columns} FROM
    (WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < {most} - 1) SELECT n FROM n) AS numbers"""
CONVERSATIONS = 2_000
FULL = (CONVERSATIONS, CONVERSATIONS * 3, CONVERSATIONS * 3)
EMPTY = (0, 0, 0)


@pytest.fixture(params=["sqlite", "postgres"])
def address(request, tmp_path):
    return (
        f"sqlite:///{tmp_path}/data.db" if request.param == "sqlite" else request.getfixturevalue("postgres_database")
    )


@pytest.fixture
def scene(address, tmp_path):
    """All of them old."""
    scene = Scene(address, tmp_path).fill(0)
    columns = {"conversations": "n, 'title', '2001'", "turns": "n, 'some words that were said', n / 3"}
    for table, most in (("conversations", CONVERSATIONS), ("turns", CONVERSATIONS * 3)):
        scene.run(BULK.format(table=table, columns=columns[table], most=most))
    scene.run(BULK.format(table="attachments", columns="n, 1, 'file'", most=CONVERSATIONS * 3))
    return scene


def job(act, address, backup, *more, **environment):
    command = [sys.executable, str(JOB), act, address, str(backup.folder), *more]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )


def ended(process):
    """Its code, and what it said."""
    _, told = process.communicate()
    return process.returncode, told


def counts(scene):
    (found,) = scene.all(COUNTS)
    return found


@pytest.mark.parametrize(
    ("act", "point", "left"),
    [
        ("delete", "backup.rows.delete", FULL),
        ("delete", "backup.rows.deleted", EMPTY),
        ("restore", "backup.rows.restore", EMPTY),
        ("restore", "backup.rows.restored", FULL),
    ],
)
def test_killed_before_and_after_the_commit(scene, address, act, point, left):
    """Before it nothing was done, after it everything; and the next attempt comes to the same end."""
    source, before = scene.old(), scene.everything()
    backup = scene.backup(source)
    if act == "restore":
        source.delete(backup)
    assert ended(job(act, address, backup, WAYCAIRN_CRASH=f"{point}@1:KILL"))[0] == -9
    wait_until_gone(scene)
    assert counts(scene) == left
    assert ended(job(act, address, backup)) == (0, "")
    assert scene.everything() == (before if act == "restore" else {name: [] for name in before})


def wait_until_gone(scene):
    """The server ends the transaction of a client that is gone, but not at once."""
    if scene.engine.dialect.name == "postgresql":
        others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        while scene.all(others) != [(0,)]:
            time.sleep(0.01)


def test_killed_at_any_moment(scene, address):
    """All is there or nothing is, and in the end all that was wanted."""
    source, before, chance = scene.old(), scene.everything(), random.Random(8)
    backup = scene.backup(source)
    kills = 0
    for act, left in (("delete", EMPTY), ("restore", FULL)):
        for attempt in range(6):
            process = job(act, address, backup)
            process.stdout.readline()
            time.sleep(chance.uniform(0, 0.25))
            process.kill()
            kills += ended(process)[0] == -9
            wait_until_gone(scene)
            assert counts(scene) in {FULL, EMPTY}, (act, attempt)
        assert ended(job(act, address, backup)) == (0, "")
        assert counts(scene) == left
    assert scene.everything() == before
    assert kills >= 3


def vacuum(path):
    connection = sqlite3.connect(path)
    connection.execute("VACUUM")
    connection.close()


@pytest.mark.parametrize("journal", ["delete", "wal"])
@pytest.mark.parametrize("act", ["delete", "restore"])
def test_a_disk_that_is_full(tmp_path, act, journal):
    """What was begun is rolled back, and can be done when there is room."""
    address = f"sqlite:///{tmp_path}/data.db"
    full = Scene(address, tmp_path).fill(0)
    full.run(f"PRAGMA journal_mode = {journal}")
    words = "'" + "many words " * 30 + "'"
    full.run(BULK.format(table="conversations", columns=f"n, {words}, '2001'", most=3_000))
    source, before = full.old(), full.everything()
    backup = full.backup(source)
    if act == "restore":
        source.delete(backup)
        vacuum(tmp_path / "data.db")
    code, told = ended(job(act, address, backup, "300000"))
    assert code == 1
    assert "Nothing was" in told
    assert len(full.all("SELECT id FROM conversations")) == (3_000 if act == "delete" else 0)
    assert ended(job(act, address, backup)) == (0, "")
    assert full.everything()["conversations"] == ([] if act == "delete" else before["conversations"])


def test_others_who_write_at_the_same_time(scene):
    """Each turn that was written is in the database, or in a backup whose delete was done."""
    if scene.engine.dialect.name == "sqlite":
        scene.run("PRAGMA journal_mode = WAL")
    scene.run("DELETE FROM attachments", "DELETE FROM turns WHERE id > 100", "DELETE FROM conversations WHERE id > 50")
    written, is_over, chance = [], threading.Event(), random.Random(8)

    def write():
        number = 10_000
        while not is_over.is_set():
            number += 1
            try:
                scene.run(
                    f"INSERT INTO conversations VALUES ({number}, 'late', '2001')",
                    f"INSERT INTO turns VALUES ({number}, 'late', {number})",
                )
            except Exception as error:
                if "locked" not in str(error):
                    raise
            else:
                written.append(number)
            time.sleep(chance.choice([0.01, 0.01, 0.01, 0.8]))

    writer = threading.Thread(target=write)
    writer.start()
    saved, refused = set(), 0
    try:
        ends = time.monotonic() + 4
        while time.monotonic() < ends or not saved:
            source = scene.old()
            backup = scene.backup(source)
            try:
                source.delete(backup)
            except SourceChanged:
                refused += 1
            else:
                saved |= {line["id"] for line in backup.lines("turns.jsonl")}
    finally:
        is_over.set()
        writer.join()
    left = {number for (number,) in scene.all("SELECT id FROM turns")}
    assert set(written) <= left | saved
    assert not left & saved
    assert set(range(101)) <= saved
    assert len(written) > 10


def test_nobody_writes_between_the_check_and_the_delete(scene, address):
    """Neither to these tables, nor to one that refers to them."""
    scene.run("CREATE TABLE likes (id INTEGER PRIMARY KEY, turn_id INTEGER REFERENCES turns (id) ON DELETE CASCADE)")
    if address.startswith("sqlite"):
        scene.run("PRAGMA journal_mode = WAL")
    other = Scene(f"{address}?timeout=0.1" if address.startswith("sqlite") else address, scene.folder)
    tried = []

    @sa.event.listens_for(scene.engine, "before_cursor_execute")
    def meddle(connection, cursor, statement, *_):
        if statement.startswith("DELETE FROM attachments"):
            for meddling in (
                "UPDATE conversations SET title = 'other' WHERE id = 1",
                "INSERT INTO turns VALUES (100000, 'late', 1)",
                "INSERT INTO likes VALUES (1, 1)",
            ):
                with pytest.raises(sa.exc.OperationalError, match="lock"):
                    other.run(*waits(other), meddling)
                tried.append(meddling)

    def waits(scene):
        return ["SET LOCAL lock_timeout = '100ms'"] if scene.engine.dialect.name == "postgresql" else []

    source = scene.old()
    source.delete(scene.backup(source))
    assert len(tried) == 3
    assert counts(scene) == EMPTY


def test_a_commit_without_an_answer(postgres_database, tmp_path):
    """The server was killed between COMMIT and its answer, or before: the next attempt finds out by itself."""
    scene = Scene(postgres_database, tmp_path).fill()
    source = scene.old()
    backup = scene.backup(source)
    lost = []

    @sa.event.listens_for(scene.engine, "commit")
    def lose(connection):
        """Commit by another way, then let the connection be lost, once."""
        if not lost:
            lost.append(connection)
            connection.connection.driver_connection.execute("COMMIT")
            (process,) = connection.connection.driver_connection.execute("SELECT pg_backend_pid()").fetchone()
            with psycopg.connect(postgres_database, autocommit=True) as admin:
                admin.execute("SELECT pg_terminate_backend(%s)", [process])
            time.sleep(0.2)

    source.delete(backup)
    assert lost
    assert scene.all("SELECT count(*) FROM conversations") == [(5,)]
    lost.clear()
    assert scene.restore(backup).skipped == 35
    assert scene.all("SELECT count(*) FROM conversations") == [(10,)]


def test_memory_does_not_grow_with_the_rows(tmp_path):
    """Neither when they are exported nor when they are deleted or put back."""
    peaks = []
    for number in (10_000, 150_000):
        path = tmp_path / f"{number}.db"
        connection = sqlite3.connect(path)
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, words TEXT)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", ((n, f"words {n} " * 20) for n in range(number)))
        connection.commit()
        connection.close()
        code = f"""
import re, sys
sys.path.insert(0, {str(JOB.parent)!r})
from pathlib import Path
from backup_folder import back_up
from waycairn.backups.rows import rows
from waycairn.backups.source import Wish
source = rows("sqlite:///{path}", "t")
backup = back_up(source, Path({str(tmp_path / f"backup-{number}")!r}))
source.delete(backup)
assert source.restore(backup, Wish()).records == {number}
print(int(re.search(r"VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())[1]) // 1024)  # inherited by nobody
"""
        told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        peaks.append(int(told.stdout))
    assert peaks[1] < peaks[0] + 25
    assert peaks[1] < 150
