"""Runs as users meet them: without loops, listed, damaged, discarded, in the default store."""

from __future__ import annotations

import json
import logging
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest

import waycairn as wc
from waycairn.errors import Damaged, Interrupted
from waycairn.model.states import CheckpointStatus
from waycairn.world.crashpoints import arm, disarm


@pytest.fixture
def store(tmp_path: Path) -> Iterator[wc.Store]:
    with wc.open(tmp_path / "store") as opened:
        yield opened


@dataclass
class Progress:
    page: int = 0
    done: bool = False


def test_a_process_registers_progresses_and_completes(store: wc.Store) -> None:
    """Code that is no loop: start, progress, complete; the result is kept."""
    run = store.start("import", total=20, task="nightly", tags=["a"], metadata={"who": "me"})
    run.progress(5, note="reading")
    run.progress(advance=5)
    assert run.ledger.summary().percent == 50
    run.complete({"rows": 10})
    found = store.find("import")
    assert (found.status, found.progress.done, found.progress.total, found.progress.note) == (
        "completed",
        10,
        20,
        "reading",
    )
    assert (found.task, list(found.tags), found.metadata) == ("nightly", ["a"], {"who": "me"})
    (result,) = store.checkpoints("import", role="result")
    assert store.load(result.id) == {"rows": 10}


def test_a_dead_process_is_recovered(tmp_path: Path) -> None:
    """recover() enters the run of a dead owner, and finds nothing where nothing is to recover."""
    code = """
import os, signal, sys, waycairn as wc
store = wc.open(sys.argv[1])
run = store.start("import", total=20)
run.state({"page": 3})
run.progress(7)
run.checkpoint(force=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path / "store")], check=False)
    assert killed.returncode == -9
    with wc.open(tmp_path / "store") as store:
        assert store.recover("nothing") is None
        run = store.recover("import")
        assert run
        assert run.resumed
        assert run.state({"page": 0}) == {"page": 3}
        assert run.ledger.summary().completed == 7
        assert store.recover("import") is None  # held, by us
        run.complete()
        assert store.recover("import") is None  # completed


def test_plain_values_need_no_structure(store: wc.Store) -> None:
    """Last commit wins, types come back where they are named, the default where there is nothing."""
    assert store.latest("cursor", default={"page": 0}) == {"page": 0}
    store.save("cursor", Progress(7))
    store.save("cursor", Progress(8), tags=["x"])
    assert store.latest("cursor", returns=Progress) == Progress(8)
    assert [run.status for run in store.runs()] == ["completed"]  # nobody has to resume a value
    with store.run("cursor") as run:  # a run of that name is something else
        run.save("cursor", 1)
        assert run.latest("cursor") == 1
    assert store.latest("cursor", returns=Progress) == Progress(8)


def test_the_default_store_is_found_upwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """WAYCAIRN_STORE, else the nearest .waycairn, else a new one here; creating it is logged with its path."""
    monkeypatch.delenv("WAYCAIRN_STORE", raising=False)
    code = (
        "import logging; logging.basicConfig(level=20); import waycairn as wc; wc.save('a', {0}); print(wc.latest('a'))"
    )
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)

    def ran(value: int, place: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code.format(value)], cwd=place, capture_output=True, text=True, check=True
        )

    first = ran(1, tmp_path)
    assert f"created a store at {tmp_path / '.waycairn'}" in first.stderr
    second = ran(2, below)
    assert "created" not in second.stderr
    assert not (below / ".waycairn").exists()
    assert (tmp_path / ".waycairn").stat().st_mode & 0o777 == 0o700
    monkeypatch.setenv("WAYCAIRN_STORE", str(tmp_path / "elsewhere"))
    ran(3, below)
    assert (tmp_path / "elsewhere" / "catalog.db").exists()


def test_leaving_by_break_by_error_and_normally(store: wc.Store) -> None:
    """interrupted, failed with an error checkpoint, completed; each goes on from its last cut."""
    with store.run("job") as run:
        for item in run.each([1, 2, 3]):
            if item == 2:
                break
    assert (store.find("job").status, store.find("job").progress.done) == ("interrupted", 1)
    with pytest.raises(ZeroDivisionError), store.run("job") as run:
        assert run.resumed
        for item in run.each([1, 2, 3]):
            if item == 3:
                1 / 0  # noqa: B018
    failed = store.find("job")
    assert (failed.status, failed.progress.done) == ("failed", 2)
    assert failed.error
    assert (failed.error["type"], failed.error["item"]) == ("ZeroDivisionError", "3")
    (error,) = store.checkpoints("job", role="error")
    assert store.load(error.id)["done"] == 2
    with store.run("job") as run:
        assert list(run.each([1, 2, 3])) == [3]
    assert store.find("job").status == "completed"


def test_an_item_left_by_break_takes_its_state_and_output_back(store: wc.Store, tmp_path: Path) -> None:
    """What the undone item did is undone; the item runs again and is counted once."""
    path = tmp_path / "out.txt"
    for _ in range(2):
        with store.run("job", pace="every item") as run:
            state = run.state({"n": 0})
            out = run.output(path, append=True)
            for item in run.each([1, 2, 3]):
                state["n"] += item
                out.write(f"{item}\n")
                if item == 2 and not run.resumed:
                    break
            if not run.resumed:
                assert state == {"n": 1}
    assert state == {"n": 6}
    assert path.read_text() == "1\n2\n3\n"


def test_an_error_between_items_keeps_the_last_cut(store: wc.Store) -> None:
    """A half-changed state outside a loop is never committed."""
    with pytest.raises(KeyError), store.run("job") as run:
        state = run.state(Progress())
        state.page = 1
        run.checkpoint(force=True)
        state.page = 2
        raise KeyError
    with store.run("job") as run:
        assert run.state(Progress()) == Progress(1)


def damage(place: Path, checkpoint: str) -> None:
    """Flip a bit in the stored bytes of one checkpoint."""
    run, _, sequence = checkpoint.partition(".")
    with sqlite3.connect(place / "catalog.db") as db:
        where = "run = (select num from runs where id = ?) and sequence = ?"
        ((manifest,),) = db.execute(f"select manifest from checkpoints where {where}", (run, int(sequence)))
        broken = bytearray(manifest)
        broken[len(broken) // 2] ^= 1
        db.execute(f"update checkpoints set manifest = ? where {where}", (bytes(broken), run, int(sequence)))
    db.close()


def test_a_damaged_checkpoint_falls_back_and_everything_goes_back_with_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """State, items, steps and outputs return to the same cut, and the items since then run again."""
    place, path = tmp_path / "store", tmp_path / "out.txt"
    with wc.open(place) as store, pytest.raises(KeyError), store.run("job", pace="every item") as run:
        state = run.state({"sum": 0})
        out = run.output(path, append=True)
        for item in run.each([1, 2, 3, 4]):
            if item == 4:
                raise KeyError
            state["sum"] += item
            out.write(f"{item}\n")
    with wc.open(place) as store:
        newest = store.checkpoints("job", role="state")[0].id
    damage(place, newest)
    with wc.open(place) as store, caplog.at_level(logging.WARNING), store.run("job", pace="every item") as run:
        state = run.state({"sum": 0})
        assert state == {"sum": 3}
        out = run.output(path, append=True)
        assert path.read_text() == "1\n2\n"
        seen = []
        for item in run.each([1, 2, 3, 4]):
            seen.append(item)
            state["sum"] += item
            out.write(f"{item}\n")
        assert seen == [3, 4]
    assert "is damaged" in caplog.text
    assert "went back to checkpoint" in caplog.text
    assert (state, path.read_text()) == ({"sum": 10}, "1\n2\n3\n4\n")
    with wc.open(place) as store:
        assert store.checkpoint(newest).status == CheckpointStatus.DAMAGED
        assert store.checkpoint(newest).damage


def test_going_back_never_takes_what_was_in_a_file_before_the_run(tmp_path: Path) -> None:
    """The checkpoint that is gone back to may be older than the output; the file keeps what it held before."""
    place, path = tmp_path / "store", tmp_path / "out.txt"
    path.write_text("before\n")
    with wc.open(place) as store, pytest.raises(KeyError), store.run("job") as run:
        state = run.state({"n": 0})
        run.checkpoint(force=True)
        out = run.output(path, append=True)
        out.write("later\n")
        state["n"] = 1
        newest = run.checkpoint(force=True)
        raise KeyError
    assert newest
    damage(place, newest)
    with wc.open(place) as store, store.run("job") as run:
        out = run.output(path, append=True)
        assert path.read_text() == "before\nlater\n"
        assert run.state({"n": 7}) == {"n": 0}
        assert path.read_text() == "before\n"
        out.write("again\n")
    assert path.read_text() == "before\nagain\n"


def test_no_intact_checkpoint_is_told_and_not_replaced_by_nothing(tmp_path: Path) -> None:
    """A run whose state is gone does not silently begin anew; it can be discarded."""
    place = tmp_path / "store"
    with wc.open(place) as store, pytest.raises(KeyError), store.run("job") as run:
        run.state({"n": 1})
        only = run.checkpoint(force=True)
        raise KeyError
    assert only
    damage(place, only)
    with wc.open(place) as store:
        for _ in range(2):
            with pytest.raises(Damaged, match="no checkpoint of this run's state is intact"), store.run("job") as run:
                run.state({"n": 0})
        with pytest.raises(Damaged):
            store.load(only)
        store.discard("job")
        with store.run("job") as run:
            assert run.state({"n": 0}) == {"n": 0}


def test_paced_checkpoints_replace_each_other(store: wc.Store) -> None:
    """Automatic cuts do not fill the disk: the newest two stay, and those that were asked for."""
    with store.run("job", pace="every item") as run:
        state = run.state({"n": 0})
        for item in run.each(range(10)):
            state["n"] = item
            if item == 4:
                run.checkpoint(tags=["keep"])
    kept = [record.checkpoint.tags for record in store.checkpoints("job", role="state")]
    assert len(kept) == 3
    assert ["keep"] in [list(tags) for tags in kept]


def test_an_unchanged_state_is_not_written_again(store: wc.Store) -> None:
    """A cut without a change of the state needs no checkpoint."""
    with store.run("job", pace="every item") as run:
        run.state({"n": 0})
        for _ in run.each(range(10)):
            pass
        assert len(run.checkpoints()) == 1


def test_types_inside_a_dict_come_back_or_are_refused(store: wc.Store) -> None:
    """A dataclass in the state that is passed is known; one that turns up later must be registered, and is told."""

    @dataclass
    class Later:
        n: int = 0

    with store.run("job") as run:
        state = run.state({"progress": Progress(), "list": [Progress()]})
        state["progress"].page = 3
        run.checkpoint(force=True)
        state["later"] = Later()
        with pytest.raises(TypeError, match=r'state\["later"\]'):
            run.checkpoint(force=True)
        del state["later"]
    with store.run("job") as run:
        assert run.state({"progress": Progress(), "list": []})["progress"] == Progress(3)


def test_only_a_part_is_loaded(store: wc.Store) -> None:
    """only= names a path into the state."""
    with store.run("job") as run:
        run.state({"model": {"layer1": [1, 2], "layer2": "x" * 100_000}})
        taken = run.checkpoint(force=True)
    assert taken
    assert store.load(taken, only="model.layer1") == [1, 2]


def test_the_ledger_answers_by_key(store: wc.Store) -> None:
    """is_done and pending, committed or not."""
    with store.run("job", pace="2 items") as run:
        for item in run.each(["a", "b", "c"]):
            if item == "c":
                assert [run.ledger.is_done(key) for key in ("a", "b", "c", "d")] == [True, True, False, False]
                assert list(run.ledger.pending(["d", "b", "c"])) == ["d", "c"]
        assert run.ledger.is_done("c")
        assert str(run.ledger.summary()).startswith("3 of 3 done, 0 failed")


def test_whole_outputs_appear_when_the_run_is_left(store: wc.Store, tmp_path: Path) -> None:
    """Until then, and after an error, the former file stays."""
    path = tmp_path / "report.json"
    path.write_text("old")
    with pytest.raises(KeyError), store.run("job") as run:
        run.output(path).write("ha")
        raise KeyError
    assert path.read_text() == "old"
    with store.run("job") as run:
        out = run.output(path)
        out.write(json.dumps([1]))
        assert path.read_text() == "old"
    assert path.read_text() == "[1]"
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.endswith(".part")] == []


def test_removing_a_run_removes_all_of_it(store: wc.Store) -> None:
    """Rows of the run, its phases, items and checkpoints."""
    with store.run("job") as run:
        run.phase("p", lambda phase: list(phase.each([1, 2])))
        run.save("x", 1)
    store.remove("job")
    assert store.runs() == []
    assert store.checkpoints() == []


@pytest.mark.parametrize("point", ["catalog.commit", "catalog.committed", "store.committed"])
def test_an_interrupt_around_the_commit_leaves_the_run_usable(store: wc.Store, point: str) -> None:
    """Ctrl-C when COMMIT may or may not have happened: the run knows which, goes on, and counts every item once."""
    former = signal.getsignal(signal.SIGINT)
    with store.run("job", pace=0) as run:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # in place of ours, which waits for the next cut
        try:
            state = run.state({"n": 0})
            state["n"] = 1
            hits = arm(point, 1, "INT")
            with pytest.raises(KeyboardInterrupt):
                run.checkpoint(force=True)
            assert hits[point] == 1
            disarm()
            state["n"] = 2
            taken = run.checkpoint(force=True)
            assert taken is not None
            for _ in run.each(range(10)):
                run.checkpoint(force=True)
        finally:
            disarm()
            signal.signal(signal.SIGINT, former)
    first = [] if point == "catalog.commit" else [1]
    values = [
        store.load(record.id)["n"] for record in reversed(store.checkpoints("job")) if record.checkpoint.reason is None
    ]
    assert values == [*first, *[2] * 11]
    assert store.find("job").progress.done == 10


@pytest.mark.parametrize("loop", ["each", "items", "map"])
def test_a_signal_takes_no_checkpoint_away(tmp_path: Path, loop: str) -> None:
    """What was asked for in the item in which a signal comes is taken: that item does not run again."""
    with wc.open(tmp_path / "store") as store:
        with pytest.raises(Interrupted), store.run("job", pace="every item", progress="off") as run:
            run.state({"n": 0})
            bodies = {
                "each": lambda: run.each(range(3)),
                "items": lambda: run.items(range(3)),
                "map": lambda: run.map(lambda n: n, range(3), workers=1),
            }
            for item in bodies[loop]():
                with item if loop == "items" else nullcontext():
                    run.checkpoint("mark", tags=["asked"])
                    os.kill(os.getpid(), signal.SIGTERM)
        assert [one.checkpoint.kind for one in store.checkpoints("job", tag="asked")] == ["mark"]
