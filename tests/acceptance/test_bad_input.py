"""Bad input: a clear error that says what happened, what it means for the data and what to do; nothing is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import waycairn as wc
from commands import waycairn
from waycairn.errors import (
    CheckpointNotFound,
    CheckpointPinned,
    Damaged,
    FingerprintMismatch,
    RunClosed,
    RunIsHeld,
    RunNotCompleted,
    RunNotFound,
    StepChanged,
    StoreNotFound,
    UsedAfterFork,
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[wc.Store]:
    with wc.open(tmp_path / "store") as opened:
        yield opened


def test_an_unknown_type_in_a_state_is_named_at_once(store: wc.Store) -> None:
    """run.state refuses what could not be stored, with its path, before any work was done."""
    with pytest.raises(TypeError, match=r'state\["reader"\]'), store.run("job") as run:
        run.state({"reader": object()})


@pytest.mark.parametrize("root", [7, "text", (1, 2), frozenset(), None, b"x"])
def test_an_immutable_state_root_is_refused(store: wc.Store, root: object) -> None:
    """Rebinding a name would never reach the run, so it is refused with the way out."""
    with pytest.raises(TypeError, match=r"changed in place.*Put it into a dict"), store.run("job") as run:
        run.state(root)


def test_a_frozen_dataclass_is_an_immutable_root(store: wc.Store) -> None:
    """Frozen means that it cannot be restored in place."""

    @dataclass(frozen=True)
    class Frozen:
        page: int = 0

    with pytest.raises(TypeError, match="frozen Frozen"), store.run("job") as run:
        run.state(Frozen())


def test_a_repeated_key_is_named(store: wc.Store) -> None:
    """The second item would never be done; the items before it are safe."""
    with pytest.raises(ValueError, match=r"'b' appears twice"), store.run("job") as run:
        for _ in run.each(["a", "b", "c", "b"]):
            pass
    with store.run("job") as run:
        assert list(run.each(["a", "b", "c", "d"])) == ["d"]


def test_a_repeated_key_is_named_when_it_was_done_before(store: wc.Store) -> None:
    """Also on resume, where a done key would be skipped silently."""
    with store.run("job") as run:
        list(run.each(["a", "b"]))
    with pytest.raises(ValueError, match=r"'a' appears twice"), store.run("job") as run:
        list(run.each(["a", "b", "a"]))


def test_a_name_used_twice_in_a_scope_is_refused(store: wc.Store) -> None:
    """Loops, steps and phases: the second would be taken for the first."""
    with store.run("job") as run:
        list(run.each([1]))
        with pytest.raises(ValueError, match="loop 'items' is used twice"):
            list(run.each([2]))
        run.step("s", int)
        with pytest.raises(ValueError, match="step 's' is used twice in this run"):
            run.step("s", int)
        run.phase("p", lambda _: None)
        with pytest.raises(ValueError, match="is used twice"):
            run.phase("p", lambda _: None)
        for item in run.each([1, 2], name="others"):
            run.step("t", int)
            if item == 2:
                with pytest.raises(ValueError, match="step 't' is used twice in item 2"):
                    run.step("t", int)
        run.complete()


def test_a_second_state_is_refused(store: wc.Store) -> None:
    """A run has one state."""
    with store.run("job") as run:
        run.state({})
        with pytest.raises(ValueError, match="has a state already"):
            run.state({})


@pytest.mark.parametrize("name", ["", "a\0b", "\ud800", "x" * 10_000, "ü" * 500])
def test_impossible_names_are_refused(store: wc.Store, name: str) -> None:
    """Before anything was written."""
    with pytest.raises(ValueError, match=r"name of .* changed"):
        store.run(name)
    with store.run("job") as run:
        for use in (run.save, run.step, run.phase):
            with pytest.raises(ValueError, match=r"name of .* changed"):
                use(name, str)
        with pytest.raises(ValueError, match=r"name of .* changed"):
            run.each([], name=name)
    assert len(store.runs()) == 1


@pytest.mark.parametrize(
    "name", ["ünïcödé ☃", "a/b\\c:*?", "'; drop table runs; --", "x" * 1000, "☃" * 160, "\n\t", " "]
)
def test_odd_names_work_everywhere(store: wc.Store, name: str) -> None:
    """A name is only a name: run, loop, step, phase, key and saved value."""
    with store.run(name, key=name) as run:
        assert list(run.each([name], name=name)) == [name]
        assert run.step(name, str, name) == name
        assert run.phase(name, lambda phase: phase.name) == name
        run.save(name, 1)
    with store.run(name, key=name) as run:
        assert list(run.each([name], name=name)) == []
        assert run.latest(name) == 1
    assert store.find(name, name).name == name


def test_another_fingerprint_is_refused_and_named(store: wc.Store) -> None:
    """What differs stands in the message; nothing changed."""
    with store.run("job", fingerprint={"model": "m-7", "seed": 1}):
        pass
    with pytest.raises(FingerprintMismatch, match=r"model: 'm-7' then, 'm-8' now") as caught:
        store.run("job", fingerprint={"model": "m-8", "seed": 1}).open()
    assert caught.value.now == {"model": "m-8", "seed": 1}
    with store.run("job", fingerprint={"model": "m-8"}, fresh=True) as run:
        assert not run.resumed
    assert len(store.runs(name="job")) == 2


def test_fresh_never_throws_unfinished_work_away(store: wc.Store) -> None:
    """fresh=True replaces completed runs only."""
    with pytest.raises(KeyError), store.run("job") as run:
        list(run.each([1]))
        raise KeyError
    with pytest.raises(RunNotCompleted, match="is failed, not completed"):
        store.run("job", fresh=True).open()
    store.discard("job")
    with store.run("job") as run:
        assert list(run.each([1])) == [1]


def test_other_arguments_of_a_step_are_refused(store: wc.Store) -> None:
    """A remembered step with other arguments is another call."""
    with store.run("job") as run:
        assert run.step("load", str.upper, "a") == "A"
    with pytest.raises(StepChanged, match="'load' was remembered with other arguments"), store.run("job") as run:
        run.step("load", str.upper, "b")


def test_a_result_that_could_not_be_restored_is_refused(store: wc.Store) -> None:
    """A dataclass without an annotation would come back as something else."""

    @dataclass
    class Page:
        number: int

    with store.run("job") as run:
        with pytest.raises(TypeError, match=r"result of step 'page' cannot be remembered.*returns="):
            run.step("page", lambda: Page(1))
        assert run.step("typed", lambda: Page(1), returns=Page) == Page(1)
    with store.run("job") as run:
        assert run.step("typed", lambda: Page(2), returns=Page) == Page(1)


def test_a_run_that_was_left_commits_nothing(store: wc.Store) -> None:
    """RunClosed, and the way back in."""
    with store.run("job") as run:
        pass
    with pytest.raises(RunClosed, match="Enter it again"):
        run.save("x", 1)


def test_unknown_runs_and_checkpoints_are_named(store: wc.Store) -> None:
    """Not found says where it was looked for."""
    with pytest.raises(RunNotFound, match="there is no run 'nothing'"):
        store.find("nothing")
    with pytest.raises(CheckpointNotFound, match=r"there is no checkpoint k7f3qx0a9m2d\.4"):
        store.load("k7f3qx0a9m2d.4")
    with pytest.raises(ValueError, match="is not a checkpoint id"):
        store.load("newest")


def test_a_missing_store_is_not_created_by_looking(tmp_path: Path) -> None:
    """create=False tells, and leaves no directory behind."""
    with pytest.raises(StoreNotFound, match="there is no store at"):
        wc.open(tmp_path / "nowhere", create=False)
    assert not (tmp_path / "nowhere").exists()


def test_an_address_of_another_kind_is_refused(tmp_path: Path) -> None:
    """mysql:// is not a place for a store."""
    with pytest.raises(ValueError, match="is not a place for a store"):
        wc.open("mysql://root@localhost/x")


def test_pinned_and_needed_checkpoints_are_not_deleted(store: wc.Store) -> None:
    """A pin is kept, and so is the checkpoint that an unfinished run goes on from."""
    with pytest.raises(KeyError), store.run("job") as run:
        run.state({"n": 1})
        first = run.checkpoint(force=True)
        second = run.checkpoint(tags=["x"])
        raise KeyError
    assert first
    assert second
    with pytest.raises(ValueError, match="the unfinished run 'job' goes on from"):
        store.delete(second)
    store.pin(first)
    with pytest.raises(CheckpointPinned, match="Unpin it first"):
        store.delete(first)
    assert store.clear("job") == 1  # the error checkpoint
    store.pin(first, pinned=False)
    store.delete(first)
    assert [c.id for c in store.checkpoints("job")] == [second]


def test_a_shortened_output_is_noticed(store: wc.Store, tmp_path: Path) -> None:
    """Committed bytes that are gone are never papered over."""
    path = tmp_path / "out.txt"
    with store.run("job") as run:
        out = run.output(path, append=True)
        for item in run.each(["a", "b"]):
            out.write(item)
    path.write_text("a")
    with pytest.raises(Damaged, match="has 1 bytes, but 2 were committed"), store.run("job") as run:
        run.output(path, append=True)
    assert path.read_text() == "a"


def test_a_state_of_another_shape_is_refused(store: wc.Store) -> None:
    """A list does not fit a dict; the user's object is left as it was."""
    with store.run("job") as run:
        run.state([1, 2])
        run.checkpoint(force=True)
    mine = {"n": 1}
    with pytest.raises(Damaged, match="does not fit the dict"), store.run("job") as run:
        run.state(mine)
    assert mine == {"n": 1}


HOLD = """
import sys, time, waycairn as wc
with wc.open(sys.argv[1]) as store, store.run("job", pace=0) as run:
    state = run.state({"n": 0})
    for item in run.each(range(1000)):
        state["n"] += 1
        run.checkpoint(force=True)
        print(item, flush=True)
        time.sleep(0.05 if item < 2 else 1.5)  # who is stopped in a transaction keeps everybody out
"""


def test_a_living_owner_is_respected_and_a_stopped_one_can_be_displaced(tmp_path: Path) -> None:
    """RunIsHeld names pid and host; after a forced takeover the stopped owner is fenced out at its next commit."""
    place = tmp_path / "store"
    owner = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(place)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert owner.stdout
    assert owner.stderr
    try:
        for _ in range(3):
            owner.stdout.readline()
        with wc.open(place) as store:
            with pytest.raises(RunIsHeld, match=f"held by pid {owner.pid} on ") as caught:
                store.run("job").open()
            assert caught.value.owner.pid == owner.pid
            with pytest.raises(RunIsHeld):
                store.discard("job")
            os.kill(owner.pid, signal.SIGSTOP)
            store.takeover("job")
            with store.run("job", pace=0) as run:
                state = run.state({"n": 0})
                done = run.ledger.summary().completed
                assert state["n"] == done >= 2
                for _ in run.each(range(10)):
                    state["n"] += 1
                os.kill(owner.pid, signal.SIGCONT)
                errors = owner.stderr.read()
                assert owner.wait(timeout=30) == 1
                assert "OwnershipLost" in errors
                assert state["n"] == 10
            assert store.load(store.checkpoints("job", role="state")[0].id) == {"n": 10}
    finally:
        owner.kill()
        owner.wait()
        owner.stdout.close()
        owner.stderr.close()


def test_a_forked_child_cannot_commit_and_its_exit_does_nothing(tmp_path: Path) -> None:
    """Calls on the run raise in a child; the parent goes on undisturbed."""
    with wc.open(tmp_path / "store") as store, store.run("job", pace=0) as run:
        out = run.output(tmp_path / "out.txt", append=True)
        for item in run.each(["a", "b"]):
            out.write(item)
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    run.checkpoint(force=True)
                    run.save("x", 1)
                except UsedAfterFork:
                    code = 0
                finally:
                    os._exit(code)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert (tmp_path / "out.txt").read_text() == "ab"


def test_a_child_that_leaves_the_block_changes_nothing(tmp_path: Path) -> None:
    """A fork that falls out of the with-block neither completes nor fails the run of its parent."""
    code = """
import os, sys, time, waycairn as wc
with wc.open(sys.argv[1]) as store:
    with store.run("job", pace=0) as run:
        list(run.each([1, 2]))
        child = os.fork()
        if child:
            assert os.waitpid(child, 0)[1] == 0
            assert store.find("job").status == "running", store.find("job").status
    if not child:
        os._exit(0)
print(wc.open(sys.argv[1]).find("job").status)
"""
    ran = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "store")], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout.strip()) == (0, "completed"), ran.stderr


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    """StoreFull while saving on a real, small file system; with room again the run goes on from the last save."""
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(small)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    try:
        with pytest.raises(wc.errors.StoreFull, match=r"[Ff]ree space"):
            _fill(small / "store")
        (small / "filler").unlink(missing_ok=True)
        subprocess.run(["mount", "-o", "remount,size=64m", str(small)], check=True)
        with wc.open(small / "store") as store, store.run("job", pace=0) as run:
            state = run.state({"n": 0, "text": b""})
            assert state["n"] > 0
            assert state["text"] == _noise(state["n"])
            run.checkpoint(force=True)
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


def _noise(number: int) -> bytes:
    return bytes((number * 31 + i * 17 + i * i) % 251 for i in range(40_000))


def _fill(place: Path) -> None:
    with wc.open(place) as store, store.run("job", pace=0) as run:
        state = run.state({"n": 0, "text": b""})
        while state["n"] < 1000:
            number = state["n"] + 1
            state.update(n=number, text=_noise(number) + os.urandom(0))
            run.checkpoint(force=True)


LEAVE_A_LOG = """
import os, signal, sys, waycairn as wc
with wc.open(sys.argv[1]) as store, store.run("job", pace=0) as run:
    state = run.state({"n": 0, "array": bytearray(300_000)})
    for n in run.each(range(10)):
        state["n"] = n
        run.checkpoint(force=True)
        if n == 5 and sys.argv[2] == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("end", ["left", "killed"])
def test_a_read_only_store_is_read_and_not_written(tmp_path: Path, end: str) -> None:
    """On a file system that is mounted read-only: listed, loaded, verified, exported, also when a kill left a log
    behind; what would write says why not, and changes nothing."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(place)], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a file system cannot be mounted here: {mounted.stderr.strip()}")
    try:
        subprocess.run([sys.executable, "-c", LEAVE_A_LOG, str(place / "store"), end], check=end == "left")
        log = place / "store" / "catalog.db-wal"
        assert log.exists() == (end == "killed")
        subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
        before = {path: path.read_bytes() for path in (place / "store").rglob("*") if path.is_file()}
        with wc.open(place / "store") as store:
            newest = store.checkpoints("job")[0]
            assert store.find("job").status == ("completed" if end == "left" else "running")
            assert store.load(newest.id)["n"] == (9 if end == "left" else 4)
            store.core.verify(newest.checkpoint.stored)
            with pytest.raises(wc.errors.StoreReadOnly, match=r"mounted read-only\. Nothing was changed"):
                store.save("cursor", 2)
            with pytest.raises(wc.errors.StoreReadOnly, match="Nothing was"), store.run("job"):
                raise AssertionError("entered")
        for command in (["runs"], ["checkpoints", "job"], ["stats"], ["export", newest.id]):
            told = waycairn("--store", place / "store", *command, at=tmp_path)
            assert told.returncode == 0, told.stderr
        assert before == {path: path.read_bytes() for path in (place / "store").rglob("*") if path.is_file()}
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_sigterm_ends_the_process_with_143(tmp_path: Path) -> None:
    """A real process, a real signal: the cut is taken, one line on stderr, exit code 143."""
    owner = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "store")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout
    owner.stdout.readline()
    time.sleep(0.1)
    owner.send_signal(signal.SIGTERM)
    _, errors = owner.communicate(timeout=30)
    assert owner.returncode == 143
    assert errors.startswith("waycairn: run 'job' was stopped by SIGTERM")
    with wc.open(tmp_path / "store") as store:
        found = store.find("job")
        assert found.status == "interrupted"
        assert store.load(store.checkpoints("job", role="state")[0].id)["n"] == found.progress.done
