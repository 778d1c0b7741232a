"""The audit log: acts are in it, whatever becomes of them, and tampering is shown at the right row."""

from __future__ import annotations

import json
import multiprocessing
import os
import sqlite3
import subprocess
import sys
from contextlib import closing

import psycopg
import pytest

import waycairn as wc
from commands import document, waycairn
from waycairn.errors import CheckpointPinned, RunIsHeld
from waycairn.model.audit import Outcome
from waycairn.process import acting
from waycairn.upkeep.audit_chain import Anchor, check
from waycairn.upkeep.auditing import cut, record

ROWS = 6


class Place:
    """A store on either database, and a way to change its rows behind its back."""

    def __init__(self, address, packs):
        self.address = str(address)
        self.packs = packs

        self.store = None

    def open(self):
        return wc.open(self.address, packs=self.packs)

    def change(self, statement, *values):
        if "://" in self.address:
            with psycopg.connect(self.address) as connection:
                return connection.execute(statement.replace("?", "%s"), values).rowcount
        with closing(sqlite3.connect(f"{self.address}/catalog.db")) as connection, connection:
            return connection.execute(statement, values).rowcount


@pytest.fixture(params=["sqlite", "postgres"])
def place(request, tmp_path):
    if request.param == "sqlite":
        return Place(tmp_path / "store", None)
    return Place(request.getfixturevalue("postgres_schema"), tmp_path / "packs")


@pytest.fixture
def filled(place):
    """`store.create` and five acts more; the store is open."""
    with place.open() as place.store:
        for number in range(2, ROWS + 1):
            record(place.store.core, "test", f"thing {number}", facts={"n": number, "path": "a\0b"})
        yield place


def misfits(place, anchor=None):
    checked = check(place.store.core, anchor)
    assert not checked.more
    return [one.number for one in checked.misfits]


def acts(store):
    return [(row.entry.act, row.entry.object, row.entry.outcome.value) for row in store.core.catalog.audit_after(0)]


def test_an_untouched_log_fits(filled):
    """And goes on doing so."""
    assert misfits(filled) == []
    record(filled.store.core, "test")
    assert misfits(filled) == []


CHANGES = (
    "at = at + 1",
    "actor = 'eve@host'",
    "act = 'other'",
    "object = 'other'",
    "outcome = 'failed'",
    "outcome = 'nonsense'",
    """facts = '{"n": 7}'""",
    "facts = '[]'",
)


def test_each_column_is_covered(filled):
    """What is changed in a row is shown at that row, the first, the last and one between; nonsense too."""
    filled.change("CREATE TABLE kept AS SELECT * FROM audit")
    for assignment in CHANGES:
        for number in (1, 4, ROWS):
            assert filled.change(f"UPDATE audit SET {assignment} WHERE number = ?", number) == 1
            assert misfits(filled) == [number], assignment
            filled.change("DELETE FROM audit")
            filled.change("INSERT INTO audit SELECT * FROM kept")
            assert misfits(filled) == []


def test_a_changed_hash_is_shown(filled):
    """At its row, and at the next, which does not follow from it any more."""
    filled.change("UPDATE audit SET hash = ? WHERE number = ?", bytes(32), 3)
    assert misfits(filled) == [3, 4]


def test_a_removed_row_is_shown(filled):
    """At its number: between, at the beginning, at the end, and all of them."""
    filled.change("DELETE FROM audit WHERE number = ?", 3)
    assert misfits(filled) == [3]
    filled.change("DELETE FROM audit WHERE number >= ?", 5)
    assert misfits(filled) == [3, 5]
    record(filled.store.core, "test")  # goes on behind what is missing
    assert misfits(filled) == [3, 5]
    filled.change("DELETE FROM audit WHERE number = ?", 1)
    assert misfits(filled) == [1, 3, 5]
    filled.change("DELETE FROM audit")
    assert misfits(filled) == [1]
    filled.change("DELETE FROM upkeep WHERE name = ?", "audit")
    assert misfits(filled) == [1]


def test_a_row_that_was_added_is_shown(filled):
    """At the end by other hands; two that were swapped at the first of them."""
    filled.change(
        "INSERT INTO audit SELECT 7, at, actor, act, object, outcome, facts, hash FROM audit WHERE number = 6"
    )
    assert misfits(filled) == [7]
    filled.change("DELETE FROM audit WHERE number = ?", 7)
    for one, other in ((2, -1), (3, 2), (-1, 3)):
        filled.change("UPDATE audit SET number = ? WHERE number = ?", other, one)
    assert misfits(filled)[0] == 2


def test_a_log_written_anew_is_shown_by_an_anchor(filled):
    """Who has the secret can make a log that fits; not one that fits what was kept elsewhere."""
    anchor = check(filled.store.core).newest
    assert misfits(filled, Anchor.of(str(anchor))) == []
    filled.change("DELETE FROM audit")
    filled.change("DELETE FROM upkeep WHERE name = ?", "audit")
    for _ in range(ROWS + 2):
        record(filled.store.core, "forged")
    assert misfits(filled) == []
    assert misfits(filled, anchor) == [ROWS]
    assert misfits(filled, Anchor(99, bytes(32))) == [99]


def test_what_is_cut_off_is_no_misfit(filled):
    """The chain goes on from what the cut says; an anchor from before it still fits where it was the last."""
    core = filled.store.core
    rows = list(core.catalog.audit_after(0))
    assert cut(core, 0.0) == 0
    assert cut(core, rows[3].entry.at) == 3
    assert [row.number for row in core.catalog.audit_after(0)] == [4, 5, 6, 7]
    assert misfits(filled) == []
    assert misfits(filled, Anchor(3, rows[2].hash)) == []
    assert misfits(filled, Anchor(3, bytes(32))) == [3]
    assert misfits(filled, Anchor(2, rows[1].hash)) == [2]
    filled.change("DELETE FROM audit WHERE number = ?", 4)
    assert misfits(filled) == [1]
    filled.change("DELETE FROM audit WHERE number = ?", 7)
    assert misfits(filled)[0] == 1


def append_some(address, packs, barrier, name):
    with wc.open(address, packs=packs) as store:
        barrier.wait(60)
        for number in range(10):
            record(store.core, "test", name, facts={"n": number})


def test_eight_processes_append_at_once(place):
    """Every row is there, in one chain without gaps or branches."""
    with place.open():
        pass
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["waycairn.work.store", "waycairn.catalog.opening", "waycairn.upkeep.auditing"])
    barrier = context.Barrier(8)
    workers = [
        context.Process(target=append_some, args=(place.address, place.packs, barrier, f"worker {n}")) for n in range(8)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0] * 8
    with place.open() as store:
        rows = list(store.core.catalog.audit_after(1))
        assert check(store.core).misfits == []
    assert [row.number for row in rows] == list(range(2, 82))
    for name in {row.entry.object for row in rows}:
        assert [row.entry.facts["n"] for row in rows if row.entry.object == name] == list(range(10))


def test_acts_are_written_down(place, tmp_path, monkeypatch):
    """What was done, what was refused with the reason, by whom; and plain work is not."""
    monkeypatch.chdir(tmp_path)
    with place.open() as store:
        with store.run("job", pace="every item", progress="off") as run:
            state = run.state({"n": 0})
            for state["n"] in run.each(range(3)):
                run.checkpoint("mark")
            with pytest.raises(RunIsHeld):
                store.remove("job")
        newest, older, oldest = store.checkpoints("job", kind="mark")
        job = newest.run
        store.pin(older.id)
        with pytest.raises(CheckpointPinned):
            store.delete(older.id)
        store.pin(older.id, False)
        store.delete(oldest.id)
        with acting("ada"):
            fork = store.fork("job", older.id, "other")
        store.rewind("job", older.id)
        store.clear("job")
        store.discard("other")
        store.sweep(dry_run=True)
        store.sweep()
        store.remove("other")
        assert acts(store) == [
            ("store.create", None, "done"),
            ("run.remove", job, "refused"),
            ("checkpoint.pin", older.id, "done"),
            ("checkpoint.delete", older.id, "refused"),
            ("checkpoint.unpin", older.id, "done"),
            ("checkpoint.delete", oldest.id, "done"),
            ("run.fork", job, "done"),
            ("run.rewind", job, "done"),
            ("run.clear", job, "done"),
            ("run.discard", fork.id, "done"),
            ("sweep", None, "begun"),
            ("sweep", None, "done"),
            ("run.remove", fork.id, "done"),
        ]
        rows = list(store.core.catalog.audit_after(0))
        assert rows[1].entry.facts["error"].startswith("RunIsHeld: run 'job' is held by pid")
        system = rows[0].entry.actor
        assert rows[6].entry.actor == f"ada ({system})"
        assert rows[6].entry.facts == {"checkpoint": older.id, "name": "other", "key": None, "fork": fork.id}
        assert rows[8].entry.facts["checkpoints"] == 1
        assert {row.entry.actor for row in rows[7:]} == {system}


def test_a_row_is_there_with_its_act_or_not_at_all(tmp_path):
    """A process that is killed just before the commit of an act leaves neither the one nor the other."""
    code = "import waycairn as wc; s = wc.open('store'); s.pin(s.checkpoints()[0].id)"
    with wc.open(tmp_path / "store") as store:
        store.save("value", 1)
    for point, is_there in (("catalog.commit@1", False), ("catalog.committed@1", True)):
        environment = {**os.environ, "WAYCAIRN_CRASH": f"{point}:KILL"}
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=False)
        with wc.open(tmp_path / "store") as store:
            assert store.checkpoints()[0].pinned == is_there
            assert (acts(store)[-1][0] == "checkpoint.pin") == is_there
            assert check(store.core).misfits == []


def test_the_commands(tmp_path):
    """List with filters, verify with an anchor, export in both forms, cut."""
    with wc.open(tmp_path / ".waycairn") as store:
        saved = store.save("value", 1)
    assert waycairn("pin", saved, at=tmp_path, WAYCAIRN_ACTOR="=ada").returncode == 0
    assert waycairn("export", saved, "-o", "out.json", at=tmp_path).returncode == 0
    listed = document("audit", "list", at=tmp_path)["rows"]
    assert [(row["act"], row["outcome"]) for row in listed] == [
        ("export", "done"),
        ("export", "begun"),
        ("checkpoint.pin", "done"),
        ("store.create", "done"),
    ]
    assert listed[1]["facts"]["file"] == str(tmp_path / "out.json")
    for options, count in (
        (("--actor", "=ada"), 1),
        (("--act", "export", "--since", "1h", "--object", saved), 2),
        (("--outcome", "done", "--limit", 2), 2),
        (("--until", "1h"), 0),
    ):
        assert len(document("audit", "list", *options, at=tmp_path)["rows"]) == count, options
    assert waycairn("audit", "list", "--since", "yesterday", at=tmp_path).returncode == 2
    assert "checkpoint.pin" in waycairn("audit", "list", at=tmp_path).stdout
    checked = document("audit", "verify", at=tmp_path)
    assert (checked["rows"], checked["fits"]) == (4, True)
    said = waycairn("audit", "verify", "--anchor", checked["anchor"], at=tmp_path)
    assert said.returncode == 0
    assert checked["anchor"] in said.stdout
    lines = waycairn("audit", "export", at=tmp_path).stdout.splitlines()
    assert [json.loads(line)["number"] for line in lines] == [1, 2, 3, 4, 5]
    assert document("audit", "export", "--format", "csv", "-o", "log.csv", at=tmp_path)["rows"] == 7
    assert ",'=ada (" in (tmp_path / "log.csv").read_text()
    with closing(sqlite3.connect(tmp_path / ".waycairn" / "catalog.db")) as database, database:
        database.execute("UPDATE audit SET actor = 'eve' WHERE number = 2")
    shown = waycairn("audit", "verify", at=tmp_path)
    assert shown.returncode == 3
    assert shown.stdout.startswith("row 2 does not fit")
    assert waycairn("audit", "verify", "--anchor", "2:ff", at=tmp_path).returncode == 2
    assert waycairn("audit", "cut", "--before", "0s", at=tmp_path).returncode == 2
    assert document("audit", "cut", "--before", "0s", "--yes", at=tmp_path)["removed"] == 8
    assert document("audit", "verify", at=tmp_path)["fits"]
    assert Outcome("done") is Outcome.DONE
