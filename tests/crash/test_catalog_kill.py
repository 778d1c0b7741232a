"""Processes killed, stopped and starved at the points of a catalog transaction, and disks that fill up."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from waycairn.catalog import open_catalog, queue
from waycairn.errors import Damaged, StoreBusy, StoreFull, StoreReadOnly, StoreUnreachable, WriteFailed
from waycairn.model.ids import RunId
from waycairn.model.records import CheckpointFilter
from waycairn.testing.catalog_case import added, present
from waycairn.testing.records import a_checkpoint, a_cut, a_run, some_data, some_items
from waycairn.world.crashpoints import arm, disarm

COMMIT = """
import sys
from waycairn.catalog import open_catalog
from waycairn.testing.catalog_case import present
from waycairn.testing.records import a_checkpoint, a_cut, some_data, some_items
catalog = open_catalog(sys.argv[1])
run = present(catalog, sys.argv[2])
for sequence in range(run.sequence + 1, run.sequence + 1 + int(sys.argv[3])):
    data = [some_data(catalog.reserve_numbers(1), b"%d" % sequence)]
    catalog.commit(a_cut(run.id, sequence, items=[some_items("loop", b"x")], checkpoint=a_checkpoint(), data=data))
    print(sequence, flush=True)
catalog.close()
"""


@pytest.fixture(params=["sqlite", "postgres"])
def address(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/catalog.db"
    return request.getfixturevalue("postgres_schema")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "catalog.db"


@pytest.fixture
def catalog(file):
    catalog = open_catalog(f"sqlite:///{file}")
    yield catalog
    disarm()
    catalog.close()


def committing(address, run, count, **environment):
    command = [sys.executable, "-c", COMMIT, address, run, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment})


def parts_of(catalog, run):
    """How many of each thing the commits have left: they must all be the same."""
    return {
        present(catalog, RunId(run)).sequence,
        len(list(catalog.done_items(run, "loop"))),
        len(catalog.list_checkpoints(CheckpointFilter(run=run))),
        catalog.stats()["chunks"],
        catalog.stats()["blocks"],
    }


@pytest.mark.parametrize(("point", "there"), [("catalog.commit", 0), ("catalog.committed", 1)])
@pytest.mark.parametrize("hit", [2, 4])
def test_a_kill_beside_commit_leaves_all_or_nothing(address, point, there, hit):
    """Before COMMIT nothing of it is there, after it everything is; what was acknowledged is there in both cases."""
    catalog = open_catalog(address)
    run = added(catalog).id
    # Each save is two transactions: numbers, then the commit.
    killed = committing(address, run, 5, WAYCAIRN_CRASH=f"{point}@{hit}:KILL")
    acknowledged = killed.communicate()[0].split()
    assert killed.returncode == -signal.SIGKILL
    expected = hit // 2 - 1 + there
    assert len(acknowledged) == hit // 2 - 1
    assert parts_of(catalog, run) == {expected}
    catalog.close()
    after = committing(address, run, 2)
    assert len(after.communicate()[0].split()) == 2
    catalog = open_catalog(address, create=False)
    assert parts_of(catalog, run) == {expected + 2}
    catalog.close()


@pytest.mark.parametrize("point", ["catalog.file", "catalog.create", "catalog.commit", "catalog.committed"])
def test_a_kill_while_a_store_is_created(address, point):
    """The next opening makes the store, or finds it whole."""
    if point == "catalog.file" and not address.startswith("sqlite"):
        pytest.skip("a server has no file to create")
    code = "import sys; from waycairn.catalog import open_catalog; open_catalog(sys.argv[1])"
    environment = {**os.environ, "WAYCAIRN_CRASH": f"{point}@1:KILL"}
    killed = subprocess.run([sys.executable, "-c", code, address], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    catalog = open_catalog(address)
    run = added(catalog)
    catalog.commit(a_cut(run.id, 1))
    catalog.close()


def test_a_random_kill_loses_nothing_acknowledged(address):
    """Killed at any moment, ten times: each part is there as often as the others, and no acknowledged one is missing."""
    catalog = open_catalog(address)
    run = added(catalog).id
    for number in range(10):
        process = committing(address, run, 100_000)
        lines = [process.stdout.readline() for _ in range(3 + number)]
        time.sleep(0.0007 * number)
        process.kill()
        rest = process.communicate()[0]
        acknowledged = int((rest.split() or [lines[-1]])[-1])
        counts = parts_of(catalog, run)
        assert len(counts) == 1
        assert counts.pop() in (acknowledged, acknowledged + 1)
    catalog.close()


FORK = """
import os, sys, threading
from waycairn.catalog import open_catalog
from waycairn.testing.catalog_case import added, present
from waycairn.testing.records import a_cut
catalog = open_catalog(sys.argv[1])
run = added(catalog)
catalog.commit(a_cut(run.id, 1))
reading = threading.Thread(target=lambda: catalog.get_run(run.id))
reading.start()
reading.join()
writer = catalog._database._writer
session = getattr(getattr(writer, "info", None), "backend_pid", None)
for number in range(2, 12):
    child = os.fork()
    if child == 0:
        sys.exit(0)  # the whole interpreter is torn down, with all that it inherited
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    catalog.commit(a_cut(run.id, number))
    assert present(catalog, run.id).sequence == number
# The server's session of the parent was not ended by a child.
assert session is None or catalog._database._writer.info.backend_pid == session
catalog.close()
"""


def test_the_exit_of_forked_children_closes_nothing(address):
    """Ten children end as Python programs do; the parent's connections and locks stay as they were."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FORK, address], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    if address.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(address.removeprefix("sqlite:///"))) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("act", ["RAISE", "ENOSPC"])
def test_an_error_before_commit_takes_everything_back(catalog, act):
    """An injected error of the device is raised, the transaction is gone, and the next commit works."""
    run = added(catalog)
    cut = a_cut(run.id, 1, items=[some_items("loop", b"x")])
    arm("catalog.commit", 1, act)
    with pytest.raises(StoreFull if act == "ENOSPC" else WriteFailed, match="acknowledged before is safe"):
        catalog.commit(cut)
    assert present(catalog, run.id) == run
    catalog.commit(cut)
    assert catalog.loops(run.id) == {"loop": 1}


def test_a_full_disk_is_an_error_and_no_harm(catalog):
    """SQLite may not grow any more: StoreFull, nothing of the commit is there, smaller things still work after it."""
    run = added(catalog)
    connection = catalog._database._writer
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(StoreFull, match="Free space"):
        catalog.commit(a_cut(run.id, 1, data=[some_data(1, os.urandom(200_000))], checkpoint=a_checkpoint()))
    assert present(catalog, run.id) == run
    connection.execute("PRAGMA max_page_count = 1000000")
    catalog.commit(a_cut(run.id, 1, data=[some_data(1, os.urandom(200_000))], checkpoint=a_checkpoint()))
    assert catalog.stats()["chunks"] == 1


def test_an_outsider_that_writes_for_too_long(catalog, file):
    """Another program holds SQLite's own lock: StoreBusy, rolled back, and the next commit works."""
    run = added(catalog)
    catalog._database._writer.execute("PRAGMA busy_timeout = 100")
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as outsider:
        outsider.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy, match="fuser"):
            catalog.commit(a_cut(run.id, 1))
        outsider.execute("ROLLBACK")
    catalog.commit(a_cut(run.id, 1))
    assert present(catalog, run.id).sequence == 1


def test_a_store_that_cannot_be_written(file):
    """Mounted read-only or without permission: StoreReadOnly. Root may write everywhere, so SQLite is asked to refuse."""
    catalog = open_catalog(f"sqlite:///{file}")
    run = added(catalog)
    catalog._database._writer.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreReadOnly, match="permissions"):
        catalog.commit(a_cut(run.id, 1))
    catalog.close()


def test_a_file_that_is_no_database(file):
    """Damaged says what to keep; the file is not touched."""
    file.write_bytes(b"this is not a database" * 100)
    with pytest.raises(Damaged, match="is no SQLite database"):
        open_catalog(f"sqlite:///{file}")
    assert file.read_bytes() == b"this is not a database" * 100


def test_a_damaged_page_is_reported(file):
    """A page of a table overwritten with noise: Damaged, not wrong rows."""
    catalog = open_catalog(f"sqlite:///{file}")
    runs = [added(catalog, a_run(f"job {number}")) for number in range(50)]
    root = catalog._database.read(
        lambda session: session._cursor.execute("SELECT rootpage FROM sqlite_master WHERE name = 'runs'").fetchone()
    )[0]
    catalog.close()
    with file.open("r+b") as raw:
        raw.seek((root - 1) * 4096)
        raw.write(b"\xff" * 4096)
    catalog = open_catalog(f"sqlite:///{file}")
    with pytest.raises(Damaged):
        catalog.get_run(runs[-1].id)
    catalog.close()


def test_a_directory_in_the_way(tmp_path):
    """What cannot be opened says so."""
    with pytest.raises(StoreUnreachable, match="cannot be opened"):
        open_catalog(f"sqlite:///{tmp_path}")


def test_files_are_private(catalog, file):
    """Only the owner may read the catalog, whatever the umask says."""
    added(catalog)
    modes = {path.name: path.stat().st_mode & 0o777 for path in file.parent.iterdir()}
    assert set(modes.values()) == {0o600}
    assert {"catalog.db", "catalog.db-wal", "catalog.db-shm"} <= set(modes)


def test_a_process_stopped_in_its_transaction_blocks_with_a_warning(catalog, file, caplog, monkeypatch):
    """Nothing can be done about it but to say who it is; it goes on when that process does."""
    monkeypatch.setattr(queue, "PATIENCE", 0.4)
    run, other = added(catalog), added(catalog, a_run("other"))
    stopped = committing(f"sqlite:///{file}", run.id, 3, WAYCAIRN_CRASH="catalog.commit@4:STOP")
    try:
        assert stopped.stdout.readline().strip() == "1"
        wait_until_stopped(stopped.pid)
        mine = open_catalog(f"sqlite:///{file}")
        waiting = committing(f"sqlite:///{file}", other.id, 1)
        continue_soon = subprocess.Popen(["sh", "-c", f"sleep 1.5; kill -CONT {stopped.pid}"])
        started = time.monotonic()
        mine.change_run(other.id, 1, 1.0, task="after")
        assert time.monotonic() - started > 0.5
        mine.close()
    finally:
        os.kill(stopped.pid, signal.SIGCONT)
    assert continue_soon.wait() == 0
    assert [process.communicate()[0].split()[-1] for process in (stopped, waiting)] == ["3", "1"]
    assert [process.returncode for process in (stopped, waiting)] == [0, 0]
    assert f"held by pid {stopped.pid} (stopped)" in caplog.text


def wait_until_stopped(pid):
    for _ in range(500):
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T":
            return
        time.sleep(0.01)
    raise AssertionError(f"process {pid} did not stop")
