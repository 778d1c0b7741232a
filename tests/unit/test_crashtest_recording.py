"""The recording file system is one that jobs can live on, and its tape tells what they did."""

from __future__ import annotations

import csv
import errno
import fcntl
import json
import mmap
import os
import sqlite3
from contextlib import closing

import numpy as np
import pytest

import waycairn as wc
from waycairn.crashtest.power import Disk, Model, missing, power_loss_states, recording
from waycairn.crashtest.power.oplog import Settled, acknowledged

pytestmark = pytest.mark.skipif(missing() is not None, reason=f"no recording file system: {missing()}")


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    """One mount for all tests of this file; each works in a directory of its own."""
    with recording(tmp_path_factory.mktemp("recording")) as mounted:
        yield mounted


@pytest.fixture
def place(disk, request):
    folder = disk.root / request.node.name
    folder.mkdir()
    return folder


def test_links_permissions_and_times(place):
    """Symbolic and hard links, chmod, utime: as anywhere."""
    (place / "file").write_text("text")
    (place / "soft").symlink_to("file")
    (place / "hard").hardlink_to(place / "file")
    (place / "file").chmod(0o640)
    os.utime(place / "file", (1, 2))
    there = (place / "hard").stat()
    assert ((place / "soft").read_text(), (place / "soft").readlink().name) == ("text", "file")
    assert (there.st_mode & 0o777, there.st_mtime, there.st_nlink) == (0o640, 2, 2)
    assert (place / "soft").lstat().st_size == len("file")


def test_names_that_go_while_the_file_is_open(place):
    """Open, unlink, write, read: no hidden name is left; rename over an open file keeps the old one readable."""
    with (place / "gone").open("w+") as file:
        (place / "gone").unlink()
        file.write("still here")
        file.flush()
        file.seek(0)
        assert (file.read(), os.fstat(file.fileno()).st_nlink, os.listdir(place)) == ("still here", 0, [])
        file.truncate(5)
        assert os.fstat(file.fileno()).st_size == 5
    (place / "old").write_text("old")
    (place / "new").write_text("new")
    with (place / "old").open() as file:
        (place / "new").rename(place / "old")
        assert (file.read(), (place / "old").read_text()) == ("old", "new")


def test_a_name_that_is_replaced_while_open_is_one_act_on_the_tape(tmp_path):
    """In no state is there neither the old file nor the new one, though libfuse moves the old one away first."""
    with recording(tmp_path / "recording") as disk:
        (disk.root / "file").write_text("old")
        disk.settled()
        (disk.root / "new").write_text("new")
        with (disk.root / "file").open():
            (disk.root / "new").rename(disk.root / "file")
        with (disk.root / "gone").open("w"):
            (disk.root / "gone").unlink()
    shown = Disk(disk.tape, tmp_path / "cut")
    found = [
        {path.name: path.read_text() for path in shown.show(state).iterdir()}
        for state in power_loss_states(disk.tape, Model.POSIX)
    ]
    assert {"file": "new"} in found
    assert {"file": "old", "gone": ""} in found
    assert all("file" in names and len(names) <= 3 for names in found)


def test_directories_that_are_not_empty_stay(place):
    """rmdir and rename refuse to drop what is in them."""
    (place / "full/inside").mkdir(parents=True)
    (place / "other").mkdir()
    with pytest.raises(OSError, match="not empty"):
        (place / "full").rmdir()
    with pytest.raises(OSError, match="not empty"):
        (place / "other").rename(place / "full")


def test_a_name_that_is_no_text_is_refused(place):
    """A tape is text. Any text will do."""
    (place / "Größe \N{SNOWMAN}").touch()
    with pytest.raises(OSError) as refused:
        os.mkdir(os.fsencode(place) + b"/\xff")
    assert refused.value.errno == errno.EILSEQ


def test_mappings_locks_and_large_files(place):
    """Shared mappings read and write; flock keeps others out; 32 MiB, emptied by O_TRUNC."""
    data = os.urandom(1 << 20) * 32
    (place / "large").write_bytes(data)
    with (place / "large").open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        assert mapped[:] == data
        mapped[:4] = b"head"
        mapped.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        with (place / "large").open() as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_SH | fcntl.LOCK_NB)
    assert (place / "large").read_bytes() == b"head" + data[4:]
    (place / "large").open("w").close()
    assert (place / "large").stat().st_size == 0


def test_extended_attributes_are_refused(place):
    """As on many file systems: with the error that programs expect."""
    (place / "file").touch()
    file = place / "file"
    for act in (
        lambda: os.setxattr(file, "user.a", b"b"),
        lambda: os.getxattr(file, "user.a"),
        lambda: os.listxattr(file),
    ):
        with pytest.raises(OSError) as refused:
            act()
        assert refused.value.errno == errno.ENOTSUP


def test_what_jobs_write(place):
    """SQLite with a log, arrays, JSON, CSV and a waycairn store."""
    with closing(sqlite3.connect(place / "rows.db")) as database:
        assert database.execute("PRAGMA journal_mode=WAL").fetchone() == ("wal",)
        with database:
            database.execute("CREATE TABLE rows (number)")
            database.executemany("INSERT INTO rows VALUES (?)", [(number,) for number in range(1000)])
        with closing(sqlite3.connect(place / "rows.db")) as other:
            assert other.execute("SELECT sum(number) FROM rows").fetchone() == (499_500,)
    np.save(place / "array.npy", np.arange(100_000))
    assert np.load(place / "array.npy", mmap_mode="r")[-1] == 99_999
    (place / "report.json").write_text(json.dumps({"rows": 1000}))
    with (place / "rows.csv").open("w", newline="") as file:
        csv.writer(file).writerows([[1, "one"], [2, "two"]])
    assert (place / "rows.csv").read_text().splitlines() == ["1,one", "2,two"]
    with wc.open(place / "store") as store:
        store.save("cursor", {"page": 3, "data": os.urandom(300_000)})
    with wc.open(place / "store", create=False) as store:
        assert store.latest("cursor")["page"] == 3


def test_what_lay_there_before_is_durable(tmp_path):
    """A copied project comes back from every cut with links, permissions and times; what the job did may not."""
    project = tmp_path / "project"
    (project / "inputs").mkdir(parents=True)
    (project / "inputs/list.txt").write_text("one\ntwo\n")
    (project / "run.sh").write_text("exit 0\n")
    (project / "run.sh").chmod(0o755)
    os.utime(project / "run.sh", ns=(5, 1_000_000_007))
    (project / "newest").symlink_to("inputs/list.txt")
    with recording(tmp_path / "recording") as disk:
        work = disk.copy_in(project)
        (work / "result").write_text("three\n")
        disk.ack.write_text("done\n")
        (work / "run.sh").chmod(0o700)
    assert sum(isinstance(op, Settled) for op in disk.tape) == 1
    assert acknowledged(disk.tape) == ["done"]
    seen = set()
    for model in Model:
        shown = Disk(disk.tape, tmp_path / "cut")
        for state in power_loss_states(disk.tape, model):
            work = shown.show(state) / "work"
            assert (work / "newest").read_text() == "one\ntwo\n"
            mode = (work / "run.sh").stat().st_mode & 0o777
            assert (work / "run.sh").stat().st_mtime_ns == 1_000_000_007
            seen.add((mode, (work / "result").read_text() if (work / "result").exists() else None, state.acks))
    assert (0o755, None, 1) in seen, "nothing was flushed"
    assert (0o755, "", 1) in seen, "a name without its content"
    assert (0o700, "three\n", 1) in seen, "everything came through"
