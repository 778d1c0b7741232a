"""Runs that are backed up, deleted and restored: they are what they were, and go on as they would have."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from hashlib import sha256
from pprint import pformat

import numpy as np
import pytest

import waycairn as wc
from backup_folder import FolderContents, FolderTarget, back_up
from waycairn.backups.runs import described_runs, runs
from waycairn.backups.source import Source, Wish
from waycairn.chunks.rekeying import state_in
from waycairn.errors import (
    Damaged,
    RunIsHeld,
    RunNotFound,
    SchemaChanged,
    SourceChanged,
    StoreNotFound,
    SweptMeanwhile,
    WouldOverwrite,
)
from waycairn.model.backups import Restored
from waycairn.model.encoded import Encoded
from waycairn.model.records import CheckpointFilter, RunFilter
from waycairn.upkeep.sweep import sweep
from waycairn.upkeep.verifying import verify

ODD = {"nan": float("nan"), "text": "\ud800 \0 ü", "$bytes": "x", "zero": -0.0, "deep": [None, {"$float": 1}]}


def a_store(place, **how):
    return wc.open(place, **how)


def fill(store, name="nightly", key=None):
    """One run with something of everything."""
    rng = np.random.default_rng(5)
    with store.run(name, key=key, tags=["a", "ü"], metadata=ODD, progress="off", pace="every item") as run:
        state = run.state({"pages": [], "table": rng.random(1000)})
        assert run.step("fetch", lambda: {"url": "x" * 40_000}) is not None
        for item in run.items(range(7), key=str):
            with item:
                if item.value == 3:
                    raise ValueError("the third")
                state["pages"].append(f"page {item.value} " * 900)
        assert list(run.map(lambda number: [number] * 3000, range(50, 54), key=str, name="squares")) is not None
        run.phase("clean", clean)
        run.checkpoint(kind="custom", description="dé", tags=["best"], metadata=ODD)
        run.save("weights", {"large": rng.random(400_000), "small": [rng.random(500) for _ in range(20)]})
    return store.find(name, key).id


def clean(phase):
    state = phase.state({"n": 0})
    for _ in phase.each(range(3)):
        state["n"] += 1
    return {"cleaned": 3}


def picture(core, run):
    """All that is committed of a run, with the content of its states, as no store has it to itself."""
    found = []
    tables = core.catalog.read_runs(lambda reader: list(reader.rows_of(run)))
    for table, row in tables:
        own = {name: value for name, value in row.items() if name not in ("manifest", "new_bytes")}
        if row.get("manifest") is not None:
            del own["root"]
            encoded = core.load_encoded(state_in(row))
            own["state"] = [sha256(part).hexdigest() for part in (encoded.document, *encoded.buffers)]
        found.append((table, pformat(own)))  # which sorts: JSONB has an order of its own
    return sorted(found)


@pytest.fixture(params=["plain", "encrypted"])
def store(request, tmp_path):
    secret = {"passphrase": "open sesame", "encrypt": True} if request.param == "encrypted" else {}
    with a_store(tmp_path / "store", **secret) as store:
        yield store


def test_a_run_comes_back_as_it_was(store, tmp_path):
    """Rows, states, phases, pins; under the same ids; and nothing else in the store was touched."""
    run, other = fill(store), fill(store, "another", "k")
    store.pin(store.checkpoints(run)[0].id)
    before, untouched = picture(store.core, run), picture(store.core, other)
    assert {table for table, _ in before} >= {"runs", "items", "failures", "steps", "checkpoints"}
    source = runs(store, "nightly")
    assert isinstance(source, Source)
    assert (source.kind, source.label) == ("runs", "run nightly")
    contents = back_up(source, tmp_path / "backup")
    assert sum(member.records for member in contents.members.values()) == source.count().records == 1
    source.delete(contents)
    assert store.runs(name="nightly") == []
    store.sweep()
    source.delete(contents)  # again, as after a crash
    assert source.restore(contents, Wish()) == Restored(records=1, to=store.url)
    assert picture(store.core, run) == before
    assert picture(store.core, other) == untouched
    found = store.find("nightly")
    assert (found.id, found.owner) == (run, None)
    assert not verify(store.core).broken
    assert source.restore(contents, Wish()).skipped == 1


def test_an_entered_store_goes_on_after_a_restore(store, tmp_path):
    """This process committed to the run before: it does not take the new row for the old one, whatever its number."""
    run = fill(store)
    source = runs(store, run)
    contents = back_up(source, tmp_path / "backup")
    source.delete(contents)
    fill(store, "takes its number")
    source.restore(contents, Wish())
    with store.run("nightly", progress="off") as again:
        assert again.resumed
        assert [item.value for item in again.items(range(9), key=str)] == [3, 7, 8]


@pytest.mark.parametrize("target_is_encrypted", [False, True])
def test_into_another_store(store, tmp_path, target_is_encrypted):
    """From plain to encrypted and back, by store and by address; the one it came from keeps it."""
    run = fill(store)
    contents = back_up(runs(store.core, run), tmp_path / "backup")
    secret = {"passphrase": "another", "encrypt": True} if target_is_encrypted else {}
    with a_store(tmp_path / "other", **secret) as other:
        source = described_runs(store.core, contents.record.source)
        assert source.restore(contents, Wish(to=other)).records == 1
        assert picture(other.core, run) == picture(store.core, run)
        assert not verify(other.core).broken
        assert source.restore(contents, Wish(to=other)).skipped == 1
    if not target_is_encrypted:
        assert source.restore(contents, Wish(to=tmp_path / "other")).skipped == 1
    with pytest.raises(StoreNotFound):
        source.restore(contents, Wish(to=str(tmp_path / "nowhere")))


@pytest.mark.parametrize("way", ["to", "from"])
def test_between_sqlite_and_postgres(tmp_path, postgres_database, way):
    """Either way, everything comes along."""
    places = {"sqlite": (tmp_path / "a", {}), "postgres": (postgres_database, {"packs": tmp_path / "packs"})}
    first, second = ("sqlite", "postgres") if way == "to" else ("postgres", "sqlite")
    (place, how), (elsewhere, there) = places[first], places[second]
    with a_store(place, **how) as store, a_store(elsewhere, **there) as other:
        run = fill(store)
        before = picture(store.core, run)
        source = runs(store, run)
        contents = back_up(source, tmp_path / "backup")
        assert source.restore(contents, Wish(to=other)).records == 1
        assert picture(other.core, run) == before
        assert source.restore(contents, Wish(to=other)).skipped == 1
        source.delete(contents)
        assert source.restore(contents, Wish()).records == 1
        assert picture(store.core, run) == before


CHANGES = {
    "entered": lambda store, run: store.start("nightly").complete(),
    "pinned": lambda store, run: store.pin(store.checkpoints(run)[0].id),
    "a checkpoint went": lambda store, run: store.delete(store.checkpoints(run, kind="custom")[0].id),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_run_that_changed_is_not_deleted(tmp_path, what):
    """However it changed since the export."""
    with a_store(tmp_path / "store") as store:
        run, other = fill(store), fill(store, "other")
        source = runs(store, run, other)
        contents = back_up(source, tmp_path / "backup")
        CHANGES[what](store, run)
        with pytest.raises(SourceChanged, match="nightly"):
            source.delete(contents)
        assert len(store.runs()) == 2


def test_a_held_run_is_refused(tmp_path):
    """Neither exported nor deleted nor overwritten while somebody works on it."""
    with a_store(tmp_path / "store") as store:
        run = fill(store)
        source = runs(store, run)
        contents = back_up(source, tmp_path / "backup")
        with store.run("nightly", progress="off"):
            with pytest.raises(RunIsHeld):
                source.export(FolderTarget(tmp_path / "second"), None)
            with pytest.raises(RunIsHeld):
                source.delete(contents)
            with pytest.raises(RunIsHeld):
                source.restore(contents, Wish(overwrite=True))
        assert store.find("nightly").id == run


def test_what_is_there_is_not_overwritten(tmp_path):
    """Neither the run itself, changed, nor another one of its name; unless told to, then it is replaced as a whole."""
    with a_store(tmp_path / "store") as store:
        run = fill(store)
        before = picture(store.core, run)
        source = runs(store, run)
        contents = back_up(source, tmp_path / "backup")
        with store.run("nightly", progress="off") as again:
            again.checkpoint(kind="custom")
        changed = picture(store.core, run)
        with pytest.raises(WouldOverwrite, match="not in the backup"):
            source.restore(contents, Wish())
        assert source.restore(contents, Wish(is_missing_only=True)).skipped == 1
        assert picture(store.core, run) == changed
        assert source.restore(contents, Wish(overwrite=True)) == Restored(records=1, overwritten=1, to=store.url)
        assert picture(store.core, run) == before
        source.delete(contents)
        namesake = fill(store)
        with pytest.raises(WouldOverwrite, match="of that name"):
            source.restore(contents, Wish())
        assert store.find("nightly").id == namesake
        source.restore(contents, Wish(overwrite=True))
        assert [found.id for found in store.runs()] == [run]
        assert picture(store.core, run) == before


def test_some_of_the_runs(tmp_path):
    """By name with a pattern, or by id; and one that is in the way of another stops both."""
    with a_store(tmp_path / "store") as store:
        names = [fill(store, f"job {number}") for number in range(3)]
        source = runs(store, *names)
        assert source.label == "3 runs: job 0, job 1, job 2"
        contents = back_up(source, tmp_path / "backup")
        source.delete(contents)
        assert source.restore(contents, Wish(only=[names[1]])).records == 1
        fill(store, "job 2")
        with pytest.raises(WouldOverwrite):
            source.restore(contents, Wish())
        assert sorted(run.name for run in store.runs()) == ["job 1", "job 2"]
        told = []
        wish = Wish(only=["job [01]"], progress=lambda records, size: told.append((records, size)))
        assert source.restore(contents, wish) == Restored(records=1, skipped=1, to=store.url)
        assert told[-1][0] == 2
        with pytest.raises(RunNotFound, match="no run in the backup"):
            source.restore(contents, Wish(only=["nothing"]))


def test_bad_input(tmp_path):
    """Unknown, a phase, nothing, no store; a format of the future; a column of the future."""
    with a_store(tmp_path / "store") as store:
        run = fill(store)
        with pytest.raises(RunNotFound):
            runs(store, "nothing")
        with pytest.raises(ValueError, match="is a phase of run"):
            runs(store, store.phases(run)[0].id)
        with pytest.raises(ValueError, match="name the runs"):
            runs(store)
        with pytest.raises(TypeError, match="not from a str"):
            runs("store", "nightly")
        source = runs(store, run)
        contents = back_up(source, tmp_path / "backup")
        source.delete(contents)
        index = json.loads((tmp_path / "backup/index.json").read_text())
        list(index["members"].values())[1]["facts"]["format"] = 2
        (tmp_path / "backup/index.json").write_text(json.dumps(index))
        with pytest.raises(SchemaChanged, match="format 2"):
            source.restore(FolderContents(tmp_path / "backup"), Wish())
        rows = contents.file_of(f"{run}/rows.jsonl")
        rows.write_bytes(rows.read_bytes().replace(b'"table":"items"', b'"table":"items","weight":7'))
        with pytest.raises(Damaged):
            source.restore(contents, Wish())
        contents.read = lambda name, start=0: iter([contents.file_of(name).read_bytes()[start:]])
        with pytest.raises(SchemaChanged, match="weight"):
            source.restore(contents, Wish())
        assert store.runs() == []


def test_what_is_lost_already_keeps_nobody(tmp_path):
    """A checkpoint that is marked damaged and cannot be read is left out; one that is not marked stops the export."""
    with a_store(tmp_path / "store") as store:
        store.save("job", list(range(10)))
        (pack,) = _packs_of(
            lambda: store.save("job", np.random.default_rng(3).random(100_000)), tmp_path / "store/packs"
        )
        store.save("job", "the newest")
        pack.write_bytes(bytes(pack.stat().st_size))
        source = runs(store, "job")
        with pytest.raises(Damaged):
            source.export(FolderTarget(tmp_path / "first"), None)
        assert len(verify(store.core).broken) == 1
        store.repair()
        contents = back_up(source, tmp_path / "second")
        source.delete(contents)
        source.restore(contents, Wish())
        assert [record.sequence for record in store.checkpoints("job")] == [3, 1]
        assert source.restore(contents, Wish()).skipped == 1


def _packs_of(act, folder):
    """The packs that it wrote."""
    before = {path for path in folder.rglob("*") if path.is_file()}
    act()
    return {path for path in folder.rglob("*") if path.is_file()} - before


@pytest.mark.parametrize("sweeps", [1, 99])
def test_a_sweep_that_takes_what_was_written(tmp_path, sweeps):
    """Before the rows name it: it is written again; and where that goes on for ever, nothing is there."""
    with a_store(tmp_path / "store") as store:
        store.save("job", np.random.default_rng(3).random(300_000))
        source = runs(store, "job")
        contents = back_up(source, tmp_path / "backup")
        source.delete(contents)
        done = []

        def swept(records, size):
            if records == 0 and len(done) < sweeps:
                sweep(store.core)
                done.append(store.core.catalog.stats()["chunks"])

        if sweeps > 3:
            with pytest.raises(SweptMeanwhile):
                source.restore(contents, Wish(progress=swept))
            assert store.runs() == []
        else:
            source.restore(contents, Wish(progress=swept))
            assert len(store.latest("job")) == 300_000
        assert set(done) == {0}
        assert not verify(store.core).broken


def test_a_backup_in_the_same_store_costs_little(tmp_path):
    """100 MB of states of every kind: large arrays, many small ones, text that grows. Their chunks are found again."""
    rng = np.random.default_rng(1)
    with a_store(tmp_path / "store") as store:
        words = [rng.bytes(400).hex() for _ in range(20_000)]
        chat = []
        for turn in range(50):
            chat.append(random.Random(turn).randbytes(3000).hex())
            store.save("chat", {"turns": chat})
        store.save("large", {"w": rng.random(8_000_000)})
        store.save("small", [rng.random(4000) for _ in range(500)])
        store.save("text", {"words": words})
        total = 0
        for name in ("chat", "large", "small", "text"):
            source = runs(store, name)
            total += source.count().size
            target = _Found(store.core)
            source.export(target, None)
            saved = store.core.catalog.list_checkpoints(CheckpointFilter(run=store.find(name).id))
            stored = sum(record.checkpoint.stored.new_bytes for record in saved)
            print(name, f"{stored:,} stored, backup {target.grown():,}")
            assert target.grown() < 0.03 * stored + 20_000
        assert total > 100_000_000


def test_a_restore_beside_its_backup_costs_little(tmp_path):
    """What a backup in the same store holds is found again, cut as the job would have cut it."""
    rng = np.random.default_rng(1)
    with a_store(tmp_path / "store") as store:
        store.save("text", {"words": [rng.bytes(400).hex() for _ in range(3000)], "table": rng.random(300_000)})
        source = runs(store, "text")
        source.export(_Found(store.core), None)
        contents = back_up(source, tmp_path / "backup")
        source.delete(contents)
        source.restore(contents, Wish())
        (record,) = store.checkpoints("text")
        assert record.checkpoint.stored.raw_bytes > 4_000_000
        assert record.checkpoint.stored.new_bytes < 20_000


EXPORT = """
import re, sys
import waycairn as wc
from waycairn.backups.runs import runs
from waycairn.backups.runs_export import _Nowhere

def peak():  # in KiB; not ru_maxrss, which is inherited
    return int(re.search(r"VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())[1])

with wc.open(sys.argv[1]) as store:
    runs(store, "small").export(_Nowhere(), None)
    before = peak()
    runs(store, "large").export(_Nowhere(), None)
    print(peak() - before)
"""


def test_memory_does_not_grow_with_the_state(tmp_path):
    """A state of 256 MiB is exported in pieces of 8."""
    with a_store(tmp_path / "store") as store:
        store.save("small", np.random.default_rng(1).random(1 << 18))
        store.save("large", np.random.default_rng(1).random(1 << 25))
    command = [sys.executable, "-c", EXPORT, str(tmp_path / "store")]
    grown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert int(grown) < 64 << 10


class _Found:
    """Stores what it is given as a backup in the store does, and tells how much of it is new."""

    def __init__(self, core):
        self._core, self._text, self._chunks, self._new = core, bytearray(), [], 0

    def member(self, name, **facts):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def write(self, data, records=0, *, is_chunk=False):
        if is_chunk:
            self._chunks.append(memoryview(data))
        else:
            self._text += data
        if sum(map(len, self._chunks)) + len(self._text) > 8_000_000:
            self._store()

    def _store(self):
        encoded = Encoded(bytes(self._text), self._chunks, is_cut=True)
        stored = self._core.keep(encoded)
        self._new += stored.new_bytes
        self._text, self._chunks = bytearray(), []

    def grown(self):
        self._store()
        return self._new

    def note(self, **facts):
        pass

    def progress(self, records, size):
        pass


def test_phases_are_listed_below_their_run(tmp_path):
    """In the order in which they began."""
    with a_store(tmp_path / "store") as store:
        run = fill(store)
        source = runs(store, run)
        contents = back_up(source, tmp_path / "backup")
        source.delete(contents)
        source.restore(contents, Wish())
        assert [phase.name for phase in store.phases(run)] == ["clean"]
        assert len(store.core.catalog.list_runs(RunFilter(root=run, roots_only=False))) == 2
