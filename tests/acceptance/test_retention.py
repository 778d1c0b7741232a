"""Policies applied to a real store: what they let go is gone, also from the bytes of the database; nothing else is."""

from __future__ import annotations

import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

import waycairn as wc
from commands import document, waycairn
from waycairn.model.retention_settings import RetentionSettings
from waycairn.model.settings import Settings
from waycairn.model.states import CheckpointStatus
from waycairn.model.upkeep_settings import UpkeepSettings
from waycairn.upkeep.invariants import read_history, verify
from waycairn.world import history


def blob(number: int, size: int = 200_000) -> bytes:
    return hashlib.shake_128(b"%d" % number).digest(size)


def secret(number: int) -> str:
    """Text that is in the catalog as it is: a description is not compressed."""
    return f"the secret of checkpoint {number} {hashlib.sha256(b'%d' % number).hexdigest()}"


def with_settings(store: wc.Store, upkeep: UpkeepSettings | None = None, **retention) -> wc.Store:
    store.core.settings = Settings(
        retention=RetentionSettings(**retention), **({} if upkeep is None else {"upkeep": upkeep})
    )
    return store


@pytest.fixture
def store(tmp_path):
    with wc.open(tmp_path / "store") as opened:
        yield opened


def take(store: wc.Store, name: str, count: int, size: int = 200_000, **how) -> str:
    """A run with so many checkpoints that the job asked for, and left unfinished."""
    with store.run(name) as run:
        state = run.state({"page": 0, "data": b""})
        for page in run.each(range(count + 1)):
            if page == count:
                break
            state.update(page=page, data=blob(page, size))
            run.checkpoint(force=True, description=secret(page), **how)
    return run.id


def pages(store: wc.Store, run: str) -> list[int]:
    return [store.load(one.id)["page"] for one in store.checkpoints(run, role="state")]


def on_disk(store: wc.Store) -> int:
    return sum(path.stat().st_size for path in Path(store.url, "packs").glob("*/*"))


def bytes_of_catalog(store: wc.Store) -> bytes:
    """Of the database and its log. By another process: closing a file of an open database drops the locks of this one."""
    return subprocess.check_output(["cat", *sorted(Path(store.url).glob("catalog.db*"))])


def test_policies_of_a_store(store):
    """Each run by its rule; what goes and why is said before it is done, with the bytes that it frees."""
    with_settings(store, keep="last 3", rules=[{"run": "nightly-*", "keep": "last 1"}])
    first, second = take(store, "weekly", 6), take(store, "nightly-1", 6)
    pinned = store.checkpoints(first)[-1]
    store.pin(pinned.id)
    before = on_disk(store)
    planned = store.sweep(dry_run=True)
    assert on_disk(store) == before
    gone = {one.checkpoint for one in planned.decisions if not one.stays}
    assert all(one.rule for one in planned.decisions)
    assert {one.rule for one in planned.decisions if one.checkpoint == pinned.id} == {"it is pinned"}
    done = store.sweep()
    assert planned.checkpoints == done.checkpoints == len(gone)
    assert (planned.rules, planned.packs, planned.pack_bytes) == (done.rules, done.packs, done.pack_bytes)
    assert before - on_disk(store) == done.pack_bytes > 0
    left = {one.id for one in store.checkpoints()}
    assert not left & gone
    assert left == {one.checkpoint for one in planned.decisions if one.stays}
    assert len(pages(store, second)) == 1
    assert len(pages(store, first)) == 4
    assert store.sweep().is_empty
    assert verify(store.core, leftovers=0) == []


def test_the_newest_of_an_unfinished_run_never_goes(store):
    """Whatever is set: age, number, size, time of its own. The one after a damaged newest one neither."""
    strict = {"keep": "last 1", "max_age": 0, "max_age_completed": 0, "max_age_final": 0, "max_size": 0}
    with_settings(store, **strict)
    run = take(store, "job", 4, ttl=0.001)
    newest = store.checkpoints(run, role="state")[0]
    store.core.catalog.mark_checkpoint(newest.run, newest.sequence, CheckpointStatus.DAMAGED, "bits")
    time.sleep(0.01)
    last = store.core.catalog.latest_checkpoint(newest.run, role="state")
    report = store.sweep()
    assert [one.sequence for one in store.checkpoints(run, role="state", status=CheckpointStatus.VALID)] == [
        last.sequence
    ]
    assert report.over_bytes > 0, "it is said that the store is larger than it may be"
    page = store.load(last.id)["page"]
    with store.run("job") as again:
        assert again.state({"page": 9, "data": b""})["page"] == page


def test_clean_up_after_success(store):
    """The checkpoints of a completed run go at once, its result and those of its phases stay."""
    with_settings(store, after_success="delete")

    def clean(phase) -> int:
        state = phase.state({"data": b""})
        state["data"] = blob(1)
        phase.checkpoint(force=True)
        return 7

    for _ in range(2):
        with store.run("job") as run:
            assert run.phase("clean", clean) == 7
            run.state({"data": b""})["data"] = blob(2)
            run.checkpoint(force=True)
        store.sweep()
        assert store.find("job").status == "completed"
        assert {one.checkpoint.role for one in store.checkpoints()} == {"result"}
    assert on_disk(store) == 0
    assert verify(store.core, leftovers=0) == []


def test_the_size_of_a_store(store):
    """Older ones of finished runs first; it ends when it is small enough, though chunks are shared."""
    with_settings(store, max_size="1MB")
    run = take(store, "going on", 3)
    with store.run("over") as over:
        state = over.state({"page": -1, "data": b""})
        for page in over.each(range(4)):
            state.update(page=page, data=blob(10 + page // 2))
            over.checkpoint(force=True)
    assert on_disk(store) > 1_000_000
    planned = store.sweep(dry_run=True)
    done = store.sweep()
    assert (planned.checkpoints, planned.pack_bytes) == (done.checkpoints, done.pack_bytes)
    assert store.core.catalog.stored_bytes() <= 1_000_000
    assert len(pages(store, run)) == 3, "those of an unfinished run go last"
    assert 0 < len(pages(store, "over")) < 5
    assert "given up for room" in done.rules[0].rule
    assert done.over_bytes == 0


# -- gone from the files -----------------------------------------------------------------------------------------------


def test_what_is_gone_is_in_no_file(store):
    """Neither in the pages of the database nor in its log: descriptions of checkpoints that a policy let go."""
    with_settings(store, keep="last 1")
    run = take(store, "job", 6, size=2_000)
    kept = {one.checkpoint.description for one in store.checkpoints(run, role="state")[:1]}
    there = bytes_of_catalog(store)
    assert all(secret(page).encode() in there for page in range(6))
    report = store.sweep()
    assert report.log_emptied
    there = bytes_of_catalog(store)
    left = {page for page in range(6) if secret(page).encode() in there}
    assert {secret(page) for page in left} <= kept
    assert len(left) <= 1


def test_a_reader_keeps_the_log(store):
    """What it looks at is not taken away: that is said, and done by the next sweep."""
    with_settings(store, keep="last 1")
    take(store, "job", 4, size=2_000)
    with closing(sqlite3.connect(Path(store.url, "catalog.db"), isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM checkpoints").fetchall()
        assert not store.sweep().log_emptied
    take(store, "other", 4, size=2_000)
    assert store.sweep().log_emptied
    assert secret(0).encode() not in bytes_of_catalog(store)


def test_much_room_is_given_back(store):
    """The file of the catalog gets shorter in a new store; in one that was made before that only by writing it anew."""
    for number in range(60):
        store.save("large", {"data": blob(number, 60_000)})
    store.core.catalog.settle_log()
    database = Path(store.url, "catalog.db")
    before = database.stat().st_size
    store.clear("large")
    report = store.sweep()
    assert report.inline_bytes > 3_000_000
    assert before - database.stat().st_size >= report.shrunk_bytes > 2_000_000
    rewritten = store.core.catalog
    with rewritten._database.migration() as raw:
        raw.execute("PRAGMA auto_vacuum = NONE")
        raw.execute("VACUUM")
    for number in range(20):
        store.save("large", {"data": blob(number, 60_000)})
    store.clear("large")
    assert store.sweep().shrunk_bytes == 0
    assert rewritten.shrink() == 0
    assert rewritten.shrink(rewrite=True) > 500_000
    assert verify(store.core, leftovers=0) == []


REWRITE = """
import sys, waycairn as wc
with wc.open(sys.argv[1]) as store:
    with store.core.catalog._database.migration() as raw:
        raw.execute("PRAGMA auto_vacuum = NONE")
        raw.execute("VACUUM")
    store.clear("large")
    store.sweep()
    store.core.catalog.shrink(rewrite=True)
"""


@pytest.mark.parametrize("point", ["catalog.rewrite", "catalog.rewritten"])
def test_killed_while_the_file_is_shortened(tmp_path, point):
    """The store is as it was, or shorter; all of it is there."""
    with wc.open(tmp_path / "store") as store:
        store.save("kept", blob(1))
        for number in range(60):
            store.save("large", {"data": blob(number, 60_000)})
    environment = {**os.environ, "WAYCAIRN_CRASH": f"{point}@1:KILL"}
    killed = subprocess.run([sys.executable, "-c", REWRITE, tmp_path / "store"], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    with wc.open(tmp_path / "store") as store:
        store.sweep(grace=0)
        assert store.latest("kept") == blob(1)
        assert verify(store.core, leftovers=0) == []


# -- leftovers ---------------------------------------------------------------------------------------------------------


def test_temporary_files(store):
    """Of ours, of the dead, and old enough; shown before they are removed."""
    run = take(store, "job", 1)
    with store.run("over"):
        pass
    over = store.find("over").id
    place = Path(store.url)
    names = {
        f"flights/{run}-{'0' * 16}": False,
        f"flights/{over}-{'0' * 16}": True,
        f"flights/{'z' * 12}-{'1' * 16}": True,
        f"flights/{run}-{'2' * 16}.new": True,
        "flights/notes.txt": False,
        "mirror/job/.3.json.part": True,
        "mirror/job/3.json": False,
        "catalog.db.format-1.tmp": True,
        "catalog.db.format-1": False,
    }
    for name in names:
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"left")
    assert store.sweep().temporary == 0, "they are young"
    for name in names:
        os.utime(place / name, (time.time() - 25 * 3600,) * 2)
    planned = store.sweep(dry_run=True)
    assert all((place / name).exists() for name in names)
    report = store.sweep()
    assert (planned.temporary, planned.temporary_bytes) == (report.temporary, report.temporary_bytes) == (5, 20)
    assert {name for name in names if not (place / name).exists()} == {name for name, goes in names.items() if goes}
    with_settings(store, UpkeepSettings(migration_copies="1d"))
    assert store.sweep().temporary == 1
    assert not (place / "catalog.db.format-1").exists()


# -- beside others -----------------------------------------------------------------------------------------------------

JOB = """
import sys, waycairn as wc
from test_retention import blob
with wc.open(sys.argv[1]) as store, store.run(sys.argv[2], pace="every item") as run:
    state = run.state({"page": -1, "data": b""})
    for page in run.each(range(int(sys.argv[3]))):
        assert state["page"] == page - 1, "it goes on from what was acknowledged last"
        state.update(page=page, data=blob(page % 5, 3_000 if page % 3 else 150_000))
        run.checkpoint(force=page % 2 == 0)
"""


def test_beside_jobs(tmp_path):
    """Jobs take checkpoints, are killed and go on, while somebody sweeps all the time with the strictest policies: each goes
    on from what it acknowledged last, and every promise of the history holds."""
    environment = {
        **os.environ,
        "WAYCAIRN_HISTORY": str(tmp_path / "history"),
        "PYTHONPATH": str(Path(__file__).parent),
    }
    environment["PYTHONPATH"] += f":{Path(__file__).parent.parent}"
    history.begin(tmp_path / "history")
    try:
        with wc.open(tmp_path / "store") as store:
            with_settings(store, keep="last 1", max_age=0, max_size=0)

            def start(number: int) -> subprocess.Popen[bytes]:
                job = [sys.executable, "-c", JOB, store.url, f"job {number}", "16"]
                return subprocess.Popen(job, env=environment)

            jobs = [start(number) for number in range(2)]
            ends, sweeps = time.monotonic() + 0.5, 0
            while time.monotonic() < ends:
                store.sweep()
                sweeps += 1
            for job in jobs:
                job.send_signal(signal.SIGKILL)
            jobs = [start(number) if jobs[number].wait() else jobs[number] for number in range(2)]
            while any(job.poll() is None for job in jobs):
                store.sweep()
                sweeps += 1
            assert [job.returncode for job in jobs] == [0] * 2
            assert sweeps > 5
            store.sweep(grace=0)
            assert verify(store.core, read_history(tmp_path / "history"), leftovers=0) == []
    finally:
        history.end()


# -- in words ----------------------------------------------------------------------------------------------------------


def test_the_command_explains(tmp_path):
    """Grouped by rule; every checkpoint with -v; all of it as JSON."""
    with wc.open(tmp_path / ".waycairn") as store, store.run("job") as run:
        for number in range(60):
            run.session.iteration(number, metrics={"loss": number / 2}, state={"number": number})
    said = waycairn("sweep", "--dry-run", at=tmp_path).stdout
    assert "10 checkpoints would go" in said
    assert 'not among keep "last 50" of the setting keep_sessions' in said
    assert "checkpoints stay" in said
    lines = waycairn("sweep", "--dry-run", "-v", at=tmp_path).stdout.splitlines()
    assert sum("goes" in line for line in lines) == 10
    facts = document("sweep", "--dry-run", at=tmp_path)
    assert sum(not one["stays"] for one in facts["decisions"]) == facts["checkpoints"] == 10
    refused = waycairn("sweep", "-v", at=tmp_path)
    assert refused.returncode == 2
    assert "add --dry-run" in refused.stderr
    assert document("sweep", at=tmp_path)["checkpoints"] == 10
