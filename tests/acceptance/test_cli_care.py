"""`waycairn doctor`, `stats` and `verify`: healthy stores are called healthy, damaged ones are not."""

import fcntl
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

import waycairn as wc
from commands import document, on_terminal, run_job, waycairn
from waycairn.catalog.tables import FORMAT


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A store with a completed run, a run whose owner was killed, and two states that lie in packs of their own."""
    place = tmp_path_factory.mktemp("care") / "template"
    place.mkdir()
    assert run_job(place, "end", "report") == 0
    assert run_job(place, "kill", "lost") == -signal.SIGKILL
    random = np.random.default_rng(7)
    with wc.open(place / ".waycairn") as store:
        for name in ("first", "second"):
            store.save(name, {"weights": random.bytes(300_000)})
    assert len(_packs(place)) == 2
    return place


@pytest.fixture
def place(template, tmp_path):
    """A copy of it, to be damaged."""
    return shutil.copytree(template, tmp_path / "copy")


def _packs(place):
    return sorted(path for path in (place / ".waycairn" / "packs").glob("*/*") if len(path.name) == 32)


def _findings(place, *options, code=0):
    return {one["check"]: one for one in document("doctor", *options, at=place, code=code)["findings"]}


def _flip(path, offset):
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1]))


# -- stats ---------------------------------------------------------------------------------------------------


def test_stats_count_what_is_there(place):
    """Runs as they stand and phases apart, checkpoints by status and kind, sizes, ratios, ages."""
    stats = document("stats", at=place)
    assert stats["runs"] == {"completed": 3, "orphaned": 1}
    assert stats["phases"] == {"completed": 2}
    listed = document("checkpoints", at=place)["checkpoints"]
    assert stats["checkpoints"] == {"valid": len(listed), "damaged": 0}
    assert stats["checkpoints_by_kind"]["value"] == 2
    assert stats["steps"] == 2
    assert sum(one["raw_bytes"] for one in listed) < stats["raw_bytes"]
    assert 600_000 < stats["unique_bytes"] < stats["raw_bytes"]
    assert stats["packs"] == 2
    assert stats["pack_bytes"] == sum(path.stat().st_size for path in _packs(place))
    assert stats["catalog_bytes"] > 10_000
    assert stats["deduplication"] > 1
    assert stats["oldest_checkpoint"] < stats["newest_checkpoint"]
    assert "3 completed" in waycairn("stats", at=place).stdout


def test_an_empty_store_has_stats(tmp_path):
    """Nothing is divided by zero."""
    wc.open(tmp_path / ".waycairn").close()
    stats = document("stats", at=tmp_path)
    assert (stats["runs"], stats["deduplication"], stats["newest_checkpoint"]) == ({}, None, None)
    assert waycairn("stats", at=tmp_path).returncode == 0


# -- verify --------------------------------------------------------------------------------------------------


def test_an_intact_store_verifies(place):
    """Everything is read: checkpoints and step results; exit code 0; a status line on a terminal only."""
    verified = document("verify", at=place)
    assert verified["damaged"] == []
    assert verified["checkpoints"] == document("stats", at=place)["checkpoints"]["valid"]
    assert verified["steps"] == 2
    assert verified["raw_bytes"] > 600_000
    assert waycairn("verify", "-q", at=place).stdout == ""
    assert on_terminal("verify", at=place).code == 0


def test_rows_that_disagree_are_found(place):
    """The whole store is also looked at as a whole: exit code 3, and the broken invariant is named."""
    assert document("verify", at=place)["violations"] == []
    pack = _packs(place)[0]
    pack.rename(place / "away")
    (violation,) = document("verify", at=place, code=3)["violations"]
    assert violation == {"invariant": "I6", "what": f"pack {pack.name} is missing", "facts": {"pack": pack.name}}
    assert f"violated: I6: pack {pack.name} is missing" in waycairn("verify", at=place).stdout


def test_a_flipped_bit_is_found_and_marked(place):
    """Exit code 3; the checkpoint is named, marked, listed as damaged, never loaded; the others stay valid."""
    _flip(_packs(place)[0], 10_000)
    (found,) = document("verify", at=place, code=3)["damaged"]
    assert not found["known_before"]
    (listed,) = document("checkpoints", "--status", "damaged", at=place)["checkpoints"]
    assert listed["id"] == found["name"]
    assert listed["damage"] == found["damage"]
    assert "damaged: " in waycairn("checkpoints", "--status", "damaged", at=place).stdout
    assert "\x1b[1;31mdamaged" in on_terminal("checkpoints", "--status", "damaged", at=place, columns=200).text
    with wc.open(place / ".waycairn") as store:
        values = [store.latest("first"), store.latest("second")]
    assert values.count(None) == 1
    assert document("stats", at=place, code=3)["checkpoints"]["damaged"] == 1


def test_known_damage_stays_known(place):
    """The second time it is not read again, and still exit code 3."""
    _flip(_packs(place)[0], 10_000)
    assert waycairn("verify", at=place).returncode == 3
    (found,) = document("verify", at=place, code=3)["damaged"]
    assert found["known_before"]


def test_a_part_can_be_verified(place):
    """One run with its phases, or one checkpoint: damage elsewhere does not matter."""
    _flip(_packs(place)[0], 10_000)
    report = document("verify", "report", at=place)
    listed = document("checkpoints", "report", at=place)["checkpoints"]
    assert report["checkpoints"] == len(listed) + 1
    assert report["steps"] == 1
    assert document("verify", listed[0]["id"], at=place)["checkpoints"] == 1
    codes = [waycairn("verify", name, at=place).returncode for name in ("first", "second")]
    assert sorted(codes) == [0, 3]


def test_damage_met_by_an_export_is_one_line(place):
    """Reading a damaged checkpoint fails with one line and no warning beside it, and marks it."""
    _flip(_packs(place)[0], 10_000)
    lines = []
    for name in ("first", "second"):
        saved = document("checkpoints", name, at=place)["checkpoints"][0]["id"]
        lines += waycairn("export", saved, "--no-data", "-o", place / name, at=place).stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("waycairn: ")
    assert len(document("checkpoints", "--status", "damaged", at=place)["checkpoints"]) == 1


# -- doctor --------------------------------------------------------------------------------------------------


def test_a_healthy_store_is_called_healthy(place):
    """Every check is there, none is bad, and nothing is changed or left behind."""
    before = sorted(path for path in place.rglob("*") if "-shm" not in path.name and "-wal" not in path.name)
    told = document("doctor", at=place)
    assert told["healthy"]
    findings = {one["check"]: one for one in told["findings"]}
    assert set(findings) >= {
        *("versions", "store", "durability", "file system", "flush", "space", "integrity", "checkpoints", "clock"),
        *("locks", "packs", "owner files", "queue"),
    }
    assert {one["level"] for one in told["findings"]} <= {"ok", "note", "warning"}
    assert findings["store"]["facts"]["format"] == FORMAT
    assert findings["flush"]["facts"]["median_seconds"] > 0
    assert findings["space"]["facts"]["free_bytes"] > 0
    assert findings["packs"]["facts"] == {"packs": 2}
    assert sorted(path for path in place.rglob("*") if "-shm" not in path.name and "-wal" not in path.name) == before


def test_quiet_tells_only_what_matters(place):
    """--quiet: a healthy store gets no word about what is well."""
    assert "ok " not in waycairn("doctor", "--quiet", at=place).stdout
    assert "ok " in waycairn("doctor", at=place).stdout


def test_missing_and_short_packs_are_bad(place):
    """Exit code 3, and the packs are named."""
    gone, cut = _packs(place)
    gone.unlink()
    os.truncate(cut, 5000)
    told = document("doctor", at=place, code=3)
    assert not told["healthy"]
    named = [one["facts"]["packs"] for one in told["findings"] if one["level"] == "bad"]
    assert named == [[gone.name], [cut.name]]


def test_leftovers_are_no_damage(place):
    """A pack without a commit, an unfinished one, an owner file of a dead process: notes, exit code 0."""
    folder = _packs(place)[0].parent
    (folder / ("0" * 32)).write_bytes(b"x" * 10)
    (folder / f"{'1' * 32}.unfinished").write_bytes(b"x")
    findings = _findings(place)
    assert findings["leftovers"]["facts"] == {"packs": 1, "bytes": 10}
    assert findings["unfinished packs"]["facts"] == {"packs": 1, "bytes": 1}
    lost = document("show", "lost", at=place)["run"]["id"]
    assert findings["owner files"]["facts"] == {"files": [f"{lost}.1"]}


def test_marked_checkpoints_are_bad(place):
    """What verify found, doctor remembers."""
    _flip(_packs(place)[0], 10_000)
    assert waycairn("doctor", at=place).returncode == 0
    assert waycairn("verify", at=place).returncode == 3
    assert _findings(place, code=3)["checkpoints"]["facts"] == {"damaged": 1}


def test_a_damaged_catalog_is_examined_all_the_same(place):
    """An index that shows to the pages of another one is found, and the rest is examined too."""
    catalog = place / ".waycairn" / "catalog.db"
    with closing(sqlite3.connect(catalog)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_master SET rootpage = (SELECT rootpage FROM sqlite_master WHERE name = "
            "'ix_runs_parent') WHERE name = 'ix_runs_root'"
        )
        connection.commit()
    integrity = _findings(place, code=3)["integrity"]
    assert integrity["level"] == "bad"
    assert any("page" in problem or "index" in problem for problem in integrity["facts"]["problems"])


@pytest.mark.parametrize("damage", [b"this is no database" * 300, b""], ids=["nonsense", "empty"])
def test_a_store_that_cannot_be_opened_is_a_finding(place, damage):
    """Exit code 3 (or 1 where nothing is a store), the reason in words, no traceback."""
    for path in (place / ".waycairn").glob("catalog.db*"):
        path.unlink()
    (place / ".waycairn" / "catalog.db").write_bytes(damage)
    ran = waycairn("doctor", at=place)
    assert ran.returncode == (3 if damage else 1)
    assert "Traceback" not in ran.stderr
    assert ("bad      store:" in ran.stdout) == bool(damage)


def test_a_store_of_a_newer_format(place):
    """Doctor says so and goes on with what it can examine; other commands refuse."""
    with closing(sqlite3.connect(place / ".waycairn" / "catalog.db")) as connection:
        connection.execute("UPDATE meta SET format = 99")
        connection.commit()
    findings = _findings(place, code=3)
    assert "format 99" in findings["store"]["what"]
    assert findings["integrity"]["level"] == "ok"
    assert waycairn("runs", at=place).returncode == 1


def test_a_stopped_writer_is_named(place):
    """Nobody can commit while a stopped process is in its turn: bad, with its pid and what to do."""
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(place / ".waycairn")], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "held\n"
        os.kill(holder.pid, signal.SIGSTOP)
        queue = _findings(place, code=3)["queue"]
        assert queue["level"] == "bad"
        assert f"pid {holder.pid} (stopped)" in queue["what"]
        assert "kill -CONT" in queue["do"]
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    assert _findings(place)["queue"]["level"] == "ok"


_HOLD = """
import sys, time
import waycairn as wc
from waycairn.world import crashpoints

def hold(name):
    if name == "catalog.commit":
        print("held", flush=True)
        time.sleep(600)

crashpoints._plan = type("Plan", (), {"reach": staticmethod(hold)})()
wc.open(sys.argv[1]).save("x", 1)
"""


def test_memory_is_no_disk(tmp_path):
    """A store on tmpfs: its flushes are suspiciously fast, and doctor says that a power cut takes it."""
    memory = Path("/dev/shm")
    if (
        not memory.is_dir()
        or "tmpfs"
        not in subprocess.run(["stat", "-f", "-c", "%T", memory], capture_output=True, text=True, check=False).stdout
    ):
        pytest.skip("/dev/shm is no tmpfs here")
    place = memory / f"waycairn-test-{os.getpid()}"
    place.mkdir()
    try:
        wc.open(place / ".waycairn").close()
        findings = _findings(place)
        assert findings["file system"]["level"] == "warning"
        assert "memory" in findings["file system"]["what"]
        assert findings["flush"]["level"] == "warning"
        assert "may be ignored" in findings["flush"]["means"]
    finally:
        shutil.rmtree(place)


def test_the_lock_of_another_doctor_is_no_trouble(place):
    """Two examinations at once do not take each other for a hanging writer."""
    queues = [path.open() for path in (place / ".waycairn").glob("catalog.db.queue*")]
    try:
        for queue in queues:
            fcntl.flock(queue, fcntl.LOCK_SH)
        assert queues
        from waycairn.upkeep import inventory
        from waycairn.world.clock import SystemClock

        paths = [Path(queue.name) for queue in queues]
        assert inventory.queue(paths, SystemClock()).level == "ok"
    finally:
        for queue in queues:
            queue.close()


def test_what_items_gave_is_verified_too(tmp_path):
    """Results of done items, results that wait for their fold, additions to queues: each is read, and named if damaged."""
    with wc.open(tmp_path / ".waycairn") as store, store.run("batch") as run:
        for item in run.items(range(3), name="tables"):
            with item:
                item.result = {"table": list(range(item.value))}
        pages = run.queue([1])
        for item in run.map(_next_pages, pages, name="pages"):
            pages.extend(item.result)
            if item.value >= 6:
                break
    assert document("verify", at=tmp_path)["results"] >= 4
    with sqlite3.connect(tmp_path / ".waycairn" / "catalog.db") as catalog:
        for table in ("items", "computed", "queued"):
            catalog.execute(f"UPDATE {table} SET root = zeroblob(32) WHERE root IS NOT NULL")
    catalog.close()
    names = [broken["name"] for broken in document("verify", at=tmp_path, code=3)["damaged"]]
    for words in ("results of 3 items of loop 'tables'", "that waits in loop 'pages'", "addition to queue 'queue'"):
        assert any(words in name for name in names), names


def _next_pages(page):
    return [page * 2, page * 2 + 1]
