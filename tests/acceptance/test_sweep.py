"""Bytes are given back, beside jobs that save: nothing that a commit refers to goes, and nothing else stays."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import sweeping_job
import waycairn as wc
from waycairn.errors import CheckpointNotFound, Damaged
from waycairn.upkeep import sweep_due
from waycairn.upkeep.invariants import read_history, verify
from waycairn.upkeep.sweep_due import sweep_if_due
from waycairn.world import crashpoints

JOB = Path(sweeping_job.__file__)


def blob(number: int, size: int = 300_000) -> bytes:
    return hashlib.shake_128(b"%d" % number).digest(size)


def on_disk(store: wc.Store) -> int:
    """Bytes of pack files, finished or not."""
    return sum(path.stat().st_size for path in Path(store.url, "packs").rglob("*") if path.is_file())


@pytest.fixture
def store(tmp_path):
    with wc.open(tmp_path / "store") as opened:
        yield opened


def test_a_job_that_keeps_two_fills_no_disk(store):
    """Thirty states of 1 MB, two kept: what lies there is two of them."""
    for number in range(30):
        store.save("weights", {"number": number, "data": np.full(125_000, number, np.float64)}, keep=2)
        if number % 10 == 9:
            store.sweep()
    assert on_disk(store) < 2.1 * 1_000_000
    assert [store.load(one.id)["number"] for one in store.checkpoints("weights")] == [29, 28]
    assert store.sweep().is_empty
    assert verify(store.core, leftovers=0) == []


def test_keep_is_how_many_stay(store):
    """Of that name alone; pinned ones stay beside them; nonsense is refused before anything is saved."""
    for number in range(5):
        store.save("a", number)
        store.save("b", number)
    first = store.checkpoints("a")[-1]
    store.pin(first.id)
    store.save("a", 5, keep=2)
    assert [store.load(one.id) for one in store.checkpoints("a")] == [5, 4, 0]
    assert len(store.checkpoints("b")) == 5
    for wrong in (0, -1, True):
        with pytest.raises(ValueError, match="keep is how many of the newest values of 'a' stay"):
            store.save("a", 6, keep=wrong)
    assert store.latest("a") == 5


def test_what_others_need_stays(store):
    """Chunks that a living checkpoint shares with a dead one; a pack that is partly dead stays whole, and is told."""
    shared, own = (np.random.default_rng(seed).bytes(2_400_000) for seed in (1, 2))
    shared, own = np.frombuffer(shared, np.uint8), np.frombuffer(own, np.uint8)
    store.save("first", {"shared": shared, "own": own})
    store.save("second", {"shared": shared})
    size = on_disk(store)
    store.clear("first")
    planned = store.sweep(dry_run=True)
    assert on_disk(store) == size
    done = store.sweep()
    assert (planned.chunks, planned.packs, planned.kept_packs, planned.dead_bytes) == (
        done.chunks,
        done.packs,
        done.kept_packs,
        done.dead_bytes,
    )
    assert done.kept_packs == 1
    assert own.nbytes * 0.98 < done.dead_bytes < own.nbytes * 1.02
    assert on_disk(store) == size
    assert np.array_equal(store.latest("second")["shared"], shared)
    store.clear("second")
    assert store.sweep().packs == 1
    assert on_disk(store) == 0


def test_every_kind_of_result_keeps_its_chunks(store):
    """Steps, results of items, additions to a queue, states, values: a sweep beside all of them takes nothing."""
    with store.run("job", pace="every item") as run:
        state = run.state({"data": blob(0)})
        assert run.step("step", blob, 1, returns=bytes) == blob(1)
        queue = run.queue([blob(2), blob(3)], name="queue")
        for item in run.items(queue):
            with item:
                item.result = item.value[::-1]
                state["data"] = blob(4)
                store.sweep(grace=0)
        run.save("value", blob(5))
        assert store.sweep(grace=0).leftovers == 0
    assert verify(store.core, leftovers=0) == []
    with store.run("job") as run:
        assert run.step("step", blob, 1, returns=bytes) == blob(1)
        assert run.latest("value") == blob(5)


def test_removed_runs_leave_nothing(store):
    with store.run("gone") as run:
        run.state({"data": blob(1, 2_000_000)})
        run.checkpoint(force=True)
    assert on_disk(store) > 2_000_000
    store.remove("gone")
    report = store.sweep()
    assert (report.packs, on_disk(store)) == (1, 0)
    assert report.pack_bytes > 2_000_000


# -- beside saves ----------------------------------------------------------------------------------------------------


def after_the_mark(store, monkeypatch, act):
    """The next sweep comes so far; then something happens; then it goes on."""
    mark = type(store.core.catalog).mark

    def mark_and_act(self, *given):
        marked = mark(self, *given)
        monkeypatch.undo()
        act()
        return marked

    monkeypatch.setattr(type(store.core.catalog), "mark", mark_and_act)


def test_found_again_between_mark_and_removal(store, tmp_path, monkeypatch):
    """The old checkpoint is gone when the sweep looks, and what it held is saved again before it acts."""
    store.save("old", blob(1), keep=1)
    store.save("old", "nothing", keep=1)
    with wc.open(tmp_path / "store") as other:
        after_the_mark(store, monkeypatch, lambda: other.save("again", blob(1)))
        report = store.sweep()
    assert (report.chunks, report.packs) == (0, 0)
    assert store.latest("again") == blob(1)
    assert verify(store.core) == []


def test_another_sweep_between_mark_and_removal(store, tmp_path, monkeypatch):
    """It has taken everything; this one looks again, and finds nothing."""
    store.save("old", blob(1), keep=1)
    store.save("old", "nothing", keep=1)
    with wc.open(tmp_path / "store") as other:
        reports = []
        after_the_mark(store, monkeypatch, lambda: reports.append(other.sweep()))
        assert store.sweep().is_empty
    assert reports[0].packs == 1
    assert verify(store.core, leftovers=0) == []


def swept_before_the_commit(store, monkeypatch, act):
    """The next commit of a value comes so far that its chunks are placed; then something happens; then it goes on."""
    catalog = type(store.core.catalog)
    save_value = catalog.save_value

    def act_and_save(self, *given):
        monkeypatch.undo()
        act()
        return save_value(self, *given)

    monkeypatch.setattr(catalog, "save_value", act_and_save)


def test_swept_between_finding_and_commit(store, tmp_path, monkeypatch):
    """The save found chunks again, and they are gone as it commits: they are written again."""
    store.save("old", blob(1), keep=1)
    with wc.open(tmp_path / "store") as other:

        def drop_and_sweep():
            other.save("old", "nothing", keep=1)
            assert other.sweep().packs == 1

        swept_before_the_commit(store, monkeypatch, drop_and_sweep)
        saved = store.save("again", {"same": blob(1), "new": blob(2)})
    assert store.load(saved) == {"same": blob(1), "new": blob(2)}
    assert verify(store.core, leftovers=0) == []


def test_a_sweep_of_other_things_lets_a_save_stand(store, tmp_path, monkeypatch):
    """What the save found again is still there: it commits as it is, and writes nothing twice."""
    store.save("kept", blob(1))
    store.save("old", blob(3), keep=1)
    with wc.open(tmp_path / "store") as other:

        def drop_and_sweep():
            other.save("old", "nothing", keep=1)
            assert other.sweep().packs == 1

        swept_before_the_commit(store, monkeypatch, drop_and_sweep)
        hits = crashpoints.arm("", act="RAISE")
        try:
            store.save("again", {"same": blob(1), "new": blob(2)})
        finally:
            crashpoints.disarm()
    assert hits["pack.create"] == 1
    assert verify(store.core, leftovers=0) == []


def test_sweeps_that_never_end(store, monkeypatch):
    """Whatever is found again is swept before the commit, again and again: at last it is written without leaning on
    anything."""
    catalog = type(store.core.catalog)
    save_value = catalog.save_value
    store.save("old", blob(1))
    tried = []

    def sweep_and_save(self, commit, name, keep=None):
        if name.name == "again" and commit.operation not in tried:
            tried.append(commit.operation)
            store.clear("old")
            store.sweep()
            monkeypatch.setattr(catalog, "save_value", save_value)
            store.save("old", blob(1))
            monkeypatch.setattr(catalog, "save_value", sweep_and_save)
        return save_value(self, commit, name, keep)

    monkeypatch.setattr(catalog, "save_value", sweep_and_save)
    saved = store.save("again", blob(1))
    monkeypatch.undo()
    assert len(tried) == 3
    assert store.load(saved) == blob(1)
    assert verify(store.core, leftovers=0) == []


STOPPED = """
import sys, hashlib, waycairn as wc
with wc.open(sys.argv[1]) as store:
    store.save("late", hashlib.shake_128(b"7").digest(3_000_000))
"""


@pytest.mark.parametrize("point", ["pack.rename", "pack.durable", "catalog.commit"])
def test_a_save_that_was_stopped_too_long_is_not_lost(store, point):
    """Stopped with its pack on disk and no commit, for longer than the grace time: its pack goes, and when it wakes up
    it writes another one. In the midst of its commit it cannot be overtaken."""
    environment = {**os.environ, "WAYCAIRN_CRASH": f"{point}@1:STOP"}
    store.save("first", 1)
    job = subprocess.Popen([sys.executable, "-c", STOPPED, store.url], env=environment)
    while Path(f"/proc/{job.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        assert job.poll() is None
        time.sleep(0.01)
    if point == "catalog.commit":
        job.send_signal(signal.SIGCONT)
    else:
        report = store.sweep(grace=0)
        # An unfinished pack is seen to be that of a living process; a finished one is not, and its save is refused.
        assert (report.leftovers, report.unfinished) == (point == "pack.durable", 0)
        assert (on_disk(store) == 0) == (point == "pack.durable")
        job.send_signal(signal.SIGCONT)
    assert job.wait() == 0
    assert store.latest("late") == blob(7, 3_000_000)
    assert verify(store.core, leftovers=0) == []


def test_the_grace_time_spares_the_young(store):
    """A pack of no commit, and one that was never finished: left alone for an hour by the clock of the file system."""
    store.save("first", blob(1))
    pack = next(path for path in Path(store.url, "packs").rglob("*") if path.is_file())
    left = pack.with_name(pack.name[:2] + "0" * 30)
    left.write_bytes(pack.read_bytes())
    moved = pack.with_name("z" * 32)
    moved.write_bytes(pack.read_bytes())
    unfinished = pack.with_name("1" * 32 + ".unfinished")
    unfinished.write_bytes(b"half")
    strange = pack.with_name("notes.txt")
    strange.write_text("not ours")
    assert store.sweep().is_empty
    for path in (left, unfinished, strange, moved, pack):
        os.utime(path, (time.time() - 3700,) * 2)
    report = store.sweep(dry_run=True)
    assert (report.leftovers, report.leftover_bytes) == (1, left.stat().st_size)
    report = store.sweep()
    assert (report.leftovers, report.unfinished, report.packs) == (1, 1, 0)
    assert set(pack.parent.iterdir()) == {pack, strange, moved}
    assert store.latest("first") == blob(1)


def test_a_manifest_that_cannot_be_read_stops_the_sweep(store):
    """What it needs is not known, so nothing goes; what to do is said."""
    store.save("old", blob(1), keep=1)
    store.save("old", blob(2), keep=1)
    database = store.core.catalog._database
    with database.migration() as raw:
        raw.execute("UPDATE checkpoints SET manifest = x'0100'")
    size = on_disk(store)
    with pytest.raises(Damaged, match=r"nothing may be swept.*Nothing was removed.*delete that"):
        store.sweep()
    assert on_disk(store) == size
    store.clear("old")
    assert store.sweep().packs == 2


def test_a_reader_of_what_is_swept_is_told(store, tmp_path, monkeypatch):
    """The checkpoint was there when it was looked up: not damaged, but gone. The newest value is read all the same."""
    store.save("value", blob(1))
    (old,) = store.checkpoints("value")

    def replace_and_sweep():
        with wc.open(tmp_path / "store") as other:
            other.save("value", blob(2), keep=1)
            assert other.sweep().packs == 1

    load = type(store.core).load

    def late(self, *given, **named):
        monkeypatch.undo()
        replace_and_sweep()
        return load(self, *given, **named)

    monkeypatch.setattr(type(store.core), "load", late)
    with pytest.raises(CheckpointNotFound, match="was deleted while it was read"):
        store.load(old.id)
    assert store.latest("value") == blob(2)
    assert [one.status for one in store.checkpoints("value")] == ["valid"]


# -- in the background -----------------------------------------------------------------------------------------------


def test_now_and_then(store, tmp_path):
    """Once in a pause, whichever process asks; asking again costs nothing."""
    for number in range(3):
        store.save("old", blob(number), keep=1)
    report = sweep_if_due(store.core)
    assert report is not None
    assert report.packs == 2
    began = time.perf_counter()
    assert sweep_if_due(store.core) is None
    assert time.perf_counter() - began < 0.001
    with wc.open(tmp_path / "store") as other:
        assert sweep_if_due(other.core) is None
        assert sweep_if_due(other.core, pause=0.0) is None, "this process asked lately"
    with wc.open(tmp_path / "store") as other:
        time.sleep(0.002)
        assert sweep_if_due(other.core, pause=0.001) is not None


def test_one_that_fails_disturbs_nobody(store, caplog):
    """It is logged, with what to do; the job goes on."""
    store.save("old", blob(1), keep=1)
    with store.core.catalog._database.migration() as raw:
        raw.execute("UPDATE checkpoints SET manifest = x'0100'")
    assert sweep_if_due(store.core) is None
    assert "a sweep was given up: the manifest of a row of checkpoints" in caplog.text
    assert sweep_due._due[store.core] > store.core.clock.monotonic()


# -- at once ---------------------------------------------------------------------------------------------------------


def test_saves_beside_sweeps(tmp_path):
    """Three processes save and drop what the others find again while two sweep all the time: every acknowledged value is
    there and whole, no save fails, and afterwards nothing is left."""
    saves_each = 30
    wc.open(tmp_path / "store").close()
    environment = {**os.environ, "WAYCAIRN_HISTORY": str(tmp_path / "history")}

    def begin(act, number):
        words = [sys.executable, str(JOB), act, str(tmp_path / "store"), str(number), str(saves_each)]
        return subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True)

    sweepers = [begin("sweep", number) for number in (3, 4)]
    while not all((tmp_path / f"sweeps {number}").exists() for number in (3, 4)):
        assert [job.poll() for job in sweepers] == [None, None]
        time.sleep(0.01)
    savers = [begin("save", number) for number in range(3)]
    saves = sorted(one for job in savers for one in json.loads(job.communicate()[0]))
    (tmp_path / "done").touch()
    sweeps = sorted(one for job in sweepers for one in json.loads(job.communicate()[0]))
    assert [job.returncode for job in (*savers, *sweepers)] == [0] * 5
    assert len(saves) == 3 * saves_each
    assert len(sweeps) > 10
    print(
        f"{len(saves)} saves, p50 {saves[len(saves) // 2]:.1f} ms, p99 {saves[len(saves) * 99 // 100]:.1f} ms, "
        f"{len(sweeps)} sweeps, p50 {sweeps[len(sweeps) // 2]:.1f} ms"
    )
    with wc.open(tmp_path / "store") as store:
        assert verify(store.core, read_history(tmp_path / "history")) == []
        store.sweep(grace=0)
        assert verify(store.core, read_history(tmp_path / "history"), leftovers=0) == []
        needed = sum(fill.stored_bytes for fill in store.core.catalog.pack_fill().values() if fill.blocks)
        assert needed <= on_disk(store) < 3 * needed + 1_000_000
