"""Keys that are changed beside jobs that go on working, and stores that are copied from one database to the other."""

import os
import signal
import subprocess
import sys
import time

import pytest

import waycairn as wc
from commands import document, waycairn
from waycairn.errors import CopyUnfinished, KeyWrong
from waycairn.upkeep import invariants

SAVER = """
import os, sys, time
import waycairn as wc

name, address, packs = sys.argv[1:]
with wc.open(address, packs=packs) as store:
    print("ready", flush=True)
    for page in range(1_000_000):
        store.save(name, {"page": page, "data": os.urandom(150_000 if page % 3 else 100)}, keep=3, metadata={"page": page})
        store.save(f"{name}-all", page)
        print(page, flush=True)
        time.sleep(0.02)
"""


@pytest.fixture
def key(tmp_path):
    assert waycairn("key", "file", "key", at=tmp_path).returncode == 0
    return str(tmp_path / "key")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.torture)])
def address(request, tmp_path):
    return str(tmp_path / "store") if request.param == "sqlite" else request.getfixturevalue("postgres_schema")


def saver(name, address, packs, key):
    environment = {**os.environ, "WAYCAIRN_KEY_FILE": key}
    command = [sys.executable, "-W", "ignore", "-c", SAVER, name, address, packs]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    return process


def test_a_data_key_is_replaced_beside_savers(address, tmp_path, key):
    """Two processes save all the time, also one that was opened long before and stops in between; nothing that was
    acknowledged is lost, all of it is readable with the new key alone, and the old one is gone."""
    packs = str(tmp_path / "store" / "packs")
    at = ("--store", address, "--packs", packs, "--key-file", key)
    with wc.open(address, packs=packs, key_file=key) as store:
        store.save("before", {"large": bytes(range(256)) * 1000})
    savers = [saver(f"saver {number}", address, packs, key) for number in range(2)]
    try:
        time.sleep(0.3)
        savers[1].send_signal(signal.SIGSTOP)
        time.sleep(0.05)
        first = document("key", "rotate", "--data", *at, at=tmp_path) if "://" in address else None
        savers[1].send_signal(signal.SIGCONT)
        second = document("key", "rotate", "--data", *at, at=tmp_path)
    finally:
        for process in savers:
            process.kill()
    told = [[int(line) for line in process.communicate()[0].split()] for process in savers]
    assert all(len(pages) > 3 for pages in told), "they saved meanwhile"
    generation = 3 if first else 2
    assert (second["generation"], second["dropped"]) == (generation, [generation - 1])
    listed = document("key", "list", *at[:2], at=tmp_path)["keys"]
    assert [one["generation"] for one in listed] == [0, generation]
    with wc.open(address, packs=packs, key_file=key) as store:
        for number, pages in enumerate(told):
            assert store.latest(f"saver {number}")["page"] >= pages[-1]
            kept = store.checkpoints(f"saver {number}-all")
            assert len(kept) >= len(pages)
            assert [store.load(one.id) for one in kept[::-1][: len(pages) : 7]] == pages[::7]
        assert store.latest("before") == {"large": bytes(range(256)) * 1000}
        assert invariants.verify(store.core) == []


def test_a_way_in_is_replaced_at_once(tmp_path, key):
    """The old secret opens nothing more; who has the store open goes on; the last way in stays."""
    assert waycairn("key", "file", "other", at=tmp_path).returncode == 0
    at = ("--store", "store", "--key-file")
    with wc.open(tmp_path / "store", key_file=key) as store:
        store.save("page", 1)
        rotated = document("key", "rotate", *at, key, "--new-key-file", "other", at=tmp_path)
        store.save("page", 2)
    assert document("key", "check", *at, "other", at=tmp_path)["opened_by"] == rotated["way_in"]
    with pytest.raises(KeyWrong):
        wc.open(tmp_path / "store", key_file=key)
    last = waycairn("key", "remove", rotated["way_in"], *at, "other", "--yes", at=tmp_path)
    assert (last.returncode, "only way in" in last.stderr) == (2, True)
    added = waycairn("key", "add", *at, "other", at=tmp_path, WAYCAIRN_NEW_PASSPHRASE="correct horse")
    assert added.returncode == 0, added.stderr
    twice = waycairn("key", "add", *at, "other", "--new-key-file", "other", at=tmp_path)
    assert (twice.returncode, "already" in twice.stderr) == (2, True)
    assert waycairn("key", "remove", rotated["way_in"], *at, "other", "--yes", at=tmp_path).returncode == 0
    with wc.open(tmp_path / "store", passphrase="correct horse") as store:
        assert store.latest("page") == 2


def test_a_store_is_copied_there_and_back(postgres_schema, tmp_path, key):
    """Plain on SQLite, encrypted on PostgreSQL, plain on SQLite again: everything is the same, also what is odd."""
    with wc.open(tmp_path / "one") as store:
        store.save(
            "odd", {"nan": float("nan"), "large": bytes(300_000)}, metadata={"zero": -0.0, "text": "a\0ü"}, tags=["t"]
        )
        with store.run("job", key="k") as run:
            state = run.state({"n": 0})
            run.step("fetch", lambda: {"big": bytes(200_000)})
            for n in run.each(range(50)):
                state["n"] = n
            run.log(1, loss=0.5)
            run.session.iteration(metrics={"a": 1e22, "b": float("inf")})
        told = _told(store)
    packs = ("--destination-packs", "packs")
    there = document("copy", "one", postgres_schema, "--encrypt", "--new-key-file", key, *packs, at=tmp_path)
    assert (there["rows"]["runs"], there["encrypted"]) == (2, True)
    packs = ("--source-packs", "packs", "--source-key-file", key)
    assert document("copy", postgres_schema, "two", "--plain", *packs, at=tmp_path)["encrypted"] is False
    with wc.open(tmp_path / "two") as store:
        assert _told(store) == told
        assert invariants.verify(store.core) == []
        with store.run("job", key="k2") as run:
            assert run.resumed is False
    refused = waycairn("copy", "one", "two", at=tmp_path)
    assert (refused.returncode, "never overwrites" in refused.stderr) == (1, True)


def _told(store):
    """What is in it, for comparison."""
    runs = store.runs()
    return repr(
        [(run.id, run.name, run.key, run.status, run.progress, run.tags, run.metadata) for run in runs]
        + [(one.id, one.checkpoint.metadata, one.checkpoint.tags, store.load(one.id)) for one in store.checkpoints()]
        + [(run.id, store.core.catalog.loops(run.id), store.core.catalog.iterations(run.id)) for run in runs]
    )


def test_a_copy_waits_for_those_who_work(tmp_path):
    """A living owner is told by name; --live copies what is committed; an unfinished copy is no store."""
    with wc.open(tmp_path / "one") as store, store.run("job") as run:
        state = run.state({"n": 1})
        run.checkpoint(force=True)
        refused = waycairn("copy", "one", "two", at=tmp_path)
        assert refused.returncode == 4
        assert "'job' is held" in refused.stderr
        with pytest.raises(CopyUnfinished):
            wc.open(tmp_path / "two")
        assert waycairn("copy", "one", "two", "--live", at=tmp_path).returncode == 0
        state["n"] = 2
    with wc.open(tmp_path / "two") as copy:
        (found,) = copy.runs()
        assert copy.load(copy.checkpoints(found.id)[0].id) == {"n": 1}
