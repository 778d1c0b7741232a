"""Each invariant, broken on purpose in a store that was sound: exactly that one is told."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

import waycairn as wc
from waycairn.model.records import CheckpointFilter
from waycairn.model.states import RunStatus
from waycairn.upkeep.invariants import examine, read_history, verify
from waycairn.wiring import open_core
from waycairn.world import history

JOB = """
import sys, os
import waycairn as wc
from waycairn.world import history

def work(store):
    with store.run("fold", pace="2 items") as run:
        state = run.state({"seen": []})
        out = run.output("fold.txt", append=True)
        for number in run.each(range(8)):
            state["seen"].append(number)
            out.write(f"{number}\\n")
            if number == 3:
                run.step("look", os.urandom, 200_000)
        history.tell("folded", 8)
    with store.run("batch", pace="2 items") as run:
        for item in run.items(range(6)):
            with item:
                if item.value == 2:
                    raise ValueError("two")
                item.result = item.value
    with store.run("walk", pace="2 items") as run:
        pages = run.queue([1])
        for item in run.map(lambda page: [2 * page] if page < 8 else [], pages, workers=1):
            pages.extend(item.result)
    with store.run("trained") as run:
        for number in range(1, 4):
            run.log(loss=number)
            run.session.iteration(metrics={"n": number, "odd": float("nan")}, state={"n": number})
    for page in range(3):
        store.save("value", {"page": page, "data": os.urandom(150_000)})
    store.clear("value")
    store.save("value", "last")
    with store.run("given up") as run:
        for number in run.each(range(3)):
            break
    store.discard("given up")

with wc.open("store") as store:
    work(store)
"""


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A folder in which a job ran to its end, with a history."""
    folder = tmp_path_factory.mktemp("sound")
    (folder / "job.py").write_text(JOB)
    environment = {**os.environ, "WAYCAIRN_HISTORY": str(folder / "history")}
    subprocess.run([sys.executable, "job.py"], cwd=folder, env=environment, check=True, capture_output=True)
    return folder


@pytest.fixture
def place(sound, tmp_path):
    """A copy of it, to be broken."""
    return shutil.copytree(sound, tmp_path / "place")


def look(place, **how):
    core = open_core(place / "store", create=False)
    try:
        return verify(core, read_history(place / "history"), folder=place, **how)
    finally:
        core.close()


def found(place, **how):
    return {violation.invariant for violation in look(place, **how)}


def change(place, statement, *values):
    """As a bug would, with one statement too many."""
    with closing(sqlite3.connect(place / "store" / "catalog.db")) as database:
        database.execute("PRAGMA foreign_keys = ON")
        with database:
            changed = database.execute(statement, values).rowcount
        assert changed, f"{statement} changed nothing"


def packs(place):
    return sorted(path for path in (place / "store" / "packs").rglob("*") if path.is_file())


def run_number(place, name):
    with closing(sqlite3.connect(place / "store" / "catalog.db")) as database:
        return database.execute("SELECT num FROM runs WHERE name = ?", (name,)).fetchone()[0]


# -- the history -------------------------------------------------------------------------------------------------


def test_a_history_is_written_only_if_asked(tmp_path):
    """Off nothing is written; on, what was acknowledged is there, in order, and reads back as it was noted."""
    with wc.open(tmp_path / "store") as store:
        store.save("value", 1)
        assert not history.is_on()
        history.begin(tmp_path / "history")
        try:
            saved = store.save("value", 2)
            with store.run("job", pace="every item") as run:
                for _ in run.each("ab"):
                    pass
            history.tell("page", 3)
        finally:
            history.end()
        store.save("value", 3)
    events = read_history(tmp_path / "history")
    assert [type(event).__name__ for event in events] == [
        "Saved",
        "Entered",
        "Committed",
        "Committed",
        "Committed",
        "Told",
    ]
    assert events[0].checkpoint == saved
    assert [event.sequence for event in events[2:5]] == [1, 2, 3]
    assert [event.done for event in events[2:5]] == [1, 2, 2]


def test_a_torn_line_is_no_event(tmp_path):
    """A line without its end was not acknowledged; no file is no history."""
    assert read_history(tmp_path / "none") == []
    history.begin(tmp_path / "history")
    history.tell("page", 1)
    history.end()
    with (tmp_path / "history").open("ab") as file:
        file.write(b'{"event":"told","word":"pa')
    assert [event.number for event in read_history(tmp_path / "history")] == [1]


def test_what_was_killed_before_its_acknowledgement_is_not_in_it(place):
    """A commit that is durable and not acknowledged is in the store, and the history says nothing of it."""
    environment = {
        **os.environ,
        "WAYCAIRN_HISTORY": str(place / "killed"),
        "WAYCAIRN_CRASH": "store.value.committed@1:KILL",
    }
    code = "import waycairn as wc; wc.open('store').save('more', 1)"
    ended = subprocess.run([sys.executable, "-c", code], cwd=place, env=environment, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert read_history(place / "killed") == []
    with wc.open(place / "store") as store:
        assert store.latest("more") == 1


# -- verify ------------------------------------------------------------------------------------------------------


def test_a_sound_store_keeps_them_all(place):
    """Nothing is wrong, nothing is left behind, and looking twice says the same."""
    assert look(place, leftovers=0) == []
    assert look(place, leftovers=0) == []


BROKEN = {
    "a checkpoint is gone": ("I1", "DELETE FROM checkpoints WHERE role = 'value'"),
    "the newest paced checkpoint is gone": (
        "I1",
        "DELETE FROM checkpoints WHERE sequence = (SELECT max(sequence) FROM checkpoints WHERE reason = 'pace')",
    ),
    "the last commit never was": ("I1", "UPDATE runs SET sequence = sequence - 1 WHERE name = 'fold'"),
    "an output is shorter": ("I1", "UPDATE outputs SET length = length - 1"),
    "a step is gone": ("I1", "DELETE FROM steps"),
    "items are gone": ("I1", "DELETE FROM items WHERE sequence = (SELECT max(sequence) FROM items)"),
    "a failure is gone": ("I1", "DELETE FROM failures"),
    "a queue is gone": ("I1", "DELETE FROM queued"),
    "an iteration is gone": ("I1", "DELETE FROM iterations WHERE number = 2"),
    "an iteration is of another commit": ("I1", "UPDATE iterations SET sequence = 3 WHERE number = 2"),
    "what was logged is gone": ("I1", "DELETE FROM metrics WHERE sequence = 2"),
    "a run is gone": ("I1", "DELETE FROM runs WHERE name = 'walk'"),
    "a count is wrong": ("I4", "UPDATE runs SET done = done + 1 WHERE name = 'fold'"),
    "a count of failures is wrong": ("I4", "UPDATE runs SET failed = 0 WHERE name = 'batch'"),
    "rows of a commit that never was": ("I4", "UPDATE steps SET sequence = 99"),
    "a cut counts wrong": ("I4", "UPDATE items SET count = count + 1"),
    "an entry of an epoch that never was": ("I5", "UPDATE entries SET epoch = epoch + 9"),
    "an entry behind a commit that never was": ("I5", "UPDATE entries SET sequence = 999"),
    "a later epoch below": ("I5", "UPDATE checkpoints SET epoch = 2 WHERE reason = 'pace'"),
    "the index names a pack that nobody knows": ("I6", "DELETE FROM packs"),
    "a chunk lies nowhere": ("I6", "DELETE FROM blocks WHERE number = (SELECT max(number) FROM blocks)"),
    "a given up run goes on": ("I7", "UPDATE runs SET status = 'running' WHERE name = 'given up'"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_broken_rows_are_told(place, how):
    """Whatever a bug could do to the rows, the invariant that it breaks is named."""
    invariant, statement = BROKEN[how]
    change(place, statement)
    assert invariant in found(place)


def test_an_item_done_twice_is_told(place):
    """The same key in two cuts of a loop; the count fits, so that only the keys can tell."""
    num = run_number(place, "fold")
    change(
        place,
        "INSERT INTO items (run, loop, sequence, count, keys) SELECT run, loop, 90, count, keys FROM items WHERE run = ? "
        "AND sequence = (SELECT min(sequence) FROM items WHERE run = ?)",
        num,
        num,
    )
    change(place, "UPDATE runs SET done = done + 2, sequence = 90 WHERE num = ?", num)
    told = [str(violation) for violation in look(place)]
    assert any("done more than once: 0, 1" in text for text in told), told


def test_an_item_done_and_failed_is_told(place):
    """Once means once: not done and failed."""
    core = open_core(place / "store", create=False)
    (batch,) = (run for run in core.catalog.list_runs(_all()) if run.name == "batch")
    (failed,) = core.catalog.failures(batch.id)
    core.close()
    change(
        place,
        "INSERT INTO items (run, loop, sequence, count, keys) VALUES (?, 'items', 90, 1, ?)",
        run_number(place, "batch"),
        failed.key,
    )
    change(place, "UPDATE runs SET done = done + 1, sequence = 90 WHERE name = 'batch'")
    assert any("is done and failed" in str(violation) for violation in look(place))


def _all():
    from waycairn.model.records import RunFilter

    return RunFilter(roots_only=False)


def test_another_state_under_the_same_id_is_told(place):
    """Whole, readable, and not what was saved there."""
    change(
        place,
        "UPDATE checkpoints SET (root, manifest, raw_bytes) = (SELECT root, manifest, raw_bytes FROM checkpoints "
        "WHERE role = 'value') WHERE sequence = (SELECT max(sequence) FROM checkpoints WHERE reason = 'pace')",
    )
    assert found(place) == {"I3"}


def test_a_flipped_bit_is_told(place):
    """One bit of a pack: the step that needs it is named, and nothing else is wrong."""
    for pack in packs(place):  # the others hold what was cleared
        data = bytearray(pack.read_bytes())
        data[20_000] ^= 1
        pack.write_bytes(data)
    (broken,) = look(place)
    assert broken.invariant == "I2"
    assert "step 'look'" in broken.what


@pytest.mark.parametrize("how", ["missing", "short"])
def test_a_pack_that_is_not_whole_is_told(place, how):
    """By the index alone, also if no checkpoint needs it any more."""
    for pack in packs(place):
        if how == "missing":
            pack.unlink()
        else:
            os.truncate(pack, pack.stat().st_size - 1)
    core = open_core(place / "store", create=False)
    try:
        told = examine(core)
    finally:
        core.close()
    assert {violation.invariant for violation in told} == {"I6"}
    assert len(told) == 4


def test_a_damaged_catalog_is_told(place):
    """A page of zeros in the middle of the database."""
    path = place / "store" / "catalog.db"
    data = bytearray(path.read_bytes())
    data[8 * 4096 : 9 * 4096] = bytes(4096)
    path.write_bytes(data)
    assert "I2" in found(place)


def test_what_was_deleted_and_comes_back_is_told(place):
    """A checkpoint and a run, both acknowledged as deleted."""
    gone = next(event for event in read_history(place / "history") if isinstance(event, history.Deleted))
    sequence = int(gone.what[0].partition(".")[2])
    change(place, "UPDATE checkpoints SET sequence = ? WHERE role = 'value'", sequence)
    told = [str(violation) for violation in look(place) if violation.invariant == "I7"]
    assert told == [f"I7: checkpoint {gone.what[0]} was deleted and is there"]


def test_what_is_being_deleted_may_be_gone_or_not(place):
    """Killed inside a delete: both are right, and what was deleted stays deleted."""
    history.begin(place / "history")
    try:
        with wc.open(place / "store") as store:
            store.remove("fold")
    finally:
        history.end()
    assert look(place) == []
    lines = (place / "history").read_bytes().splitlines(keepends=True)
    (place / "history").write_bytes(b"".join(lines[:-1]))  # the acknowledgement of the last act was never written
    assert look(place) == []


def test_a_file_shorter_than_what_is_committed_is_told(place):
    """The rows agree with each other, the file does not."""
    os.truncate(place / "fold.txt", 3)
    (short,) = look(place)
    assert (short.invariant, "fold.txt" in short.what) == ("I1", True)


@pytest.mark.parametrize("twice", [history.Entered, history.Committed])
def test_two_owners_are_told(place, twice):
    """A history in which an epoch was entered, or a commit made, by two."""
    event = next(event for event in read_history(place / "history") if isinstance(event, twice))
    history.begin(place / "history")
    history.note(event)
    history.end()
    assert found(place) == {"I5" if twice is history.Entered else "I4"}


def test_a_commit_of_a_displaced_owner_is_told(place):
    """Epochs never fall while the sequence grows."""
    events = [event for event in read_history(place / "history") if isinstance(event, history.Committed)]
    core = open_core(place / "store", create=False)
    try:
        later = [
            history.Committed(run=one.run, epoch=9 - at, sequence=one.sequence, done=0, failed=0)
            for at, one in enumerate(events)
        ]
        told = {violation.invariant for violation in verify(core, later)}
    finally:
        core.close()
    assert "I5" in told


def test_leftovers_beyond_the_limit_are_told(place):
    """What a killed save leaves is allowed up to a number, and is told beyond it."""
    for name in ("values", "more"):
        environment = {**os.environ, "WAYCAIRN_CRASH": "store.value.begin@1:KILL"}
        code = f"import os, waycairn as wc; wc.open('store').run({name!r}).open().save('x', os.urandom(200_000))"
        environment["WAYCAIRN_CRASH"] = "store.chunks@1:KILL"
        ended = subprocess.run([sys.executable, "-c", code], cwd=place, env=environment, check=False)
        assert ended.returncode == -signal.SIGKILL
    assert look(place, leftovers=2) == []
    told = [violation.what for violation in look(place, leftovers=1)]
    assert len(told) == 2
    assert told[0].startswith("2 packs of no commit")
    assert told[1].startswith("2 owner files of dead processes")


def test_a_store_that_changes_when_it_is_opened_is_told(place, monkeypatch):
    """Opening must not change anything: planted into the opening, it is seen."""
    import waycairn.upkeep.invariants as subject

    def opening(*given, **named):
        core = open_core(*given, **named)
        run = core.catalog.list_runs(_all())[0]
        core.catalog.change_run(run.id, run.epoch, 1.0, status=RunStatus.FAILED)
        return core

    monkeypatch.setattr(subject, "open_core", opening)
    assert found(place) == {"I10"}


def test_a_store_in_use_is_no_finding(tmp_path):
    """A run that goes on while it is looked at is looked at again: no false alarm."""
    with wc.open(tmp_path / "store") as store, wc.open(tmp_path / "store") as other:
        with store.run("job", pace="every item") as run:
            for _ in run.each(range(60)):
                assert examine(other.core) == []
        assert len(list(other.core.catalog.list_checkpoints(CheckpointFilter()))) == 0
