"""Who may write: two processes want one run, one of them dead, stopped, or alive."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import waycairn as wc
from crash import job
from crash.workloads import STORE, WORKLOADS, outcome, verify


def start(workload: str, folder: Path, bug: str = "", **environment: str) -> subprocess.Popen:
    """A process that runs the workload in the folder."""
    return subprocess.Popen(
        [sys.executable, job.__file__, workload, f"{folder}.acks", bug],
        cwd=folder,
        env={**os.environ, **environment},
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until_stopped(process: subprocess.Popen) -> None:
    while Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.005)


def end(process: subprocess.Popen) -> tuple[int, str]:
    with process:
        return process.wait(30), process.stderr.read()


def golden(workload: str, folder: Path) -> dict:
    """What the job ends with when nobody disturbs it."""
    folder.mkdir()
    with contextlib.chdir(folder), wc.open(STORE) as store:
        WORKLOADS[workload].run(store, lambda _: None)
    with contextlib.chdir(folder):
        return outcome()


def displaced(workload: str, folder: Path, stop_at: str, bug: str = "") -> tuple[int, str, dict, dict]:
    """Stop an owner, force its run away, let another process finish it, wake the first one up.

    Returns the exit code and errors of the zombie, and what the job had ended with before and after it woke up.
    """
    folder.mkdir()
    zombie = start(workload, folder, bug, WAYCAIRN_CRASH=f"{stop_at}:STOP")
    try:
        wait_until_stopped(zombie)
        with contextlib.chdir(folder):
            with wc.open(STORE) as store:
                store.takeover(workload)
            other = start(workload, folder)
            assert end(other)[0] == 0
            before = outcome()
        zombie.send_signal(signal.SIGCONT)
        code, errors = end(zombie)
        with contextlib.chdir(folder):
            verify(workload, {})
            return code, errors, before, outcome()
    finally:
        zombie.kill()
        zombie.wait()


STOPS = [
    ("fold", "cut.begin@3"),
    ("fold", "output.write@3"),
    ("groups", "output.write@2"),
    ("fold", "output.flush@3"),
    ("fold", "output.flushed@4"),
    ("fold", "store.begin@5"),
    ("fold", "store.begin@6"),
    ("fold", "catalog.committed@5"),
    ("groups", "cut.begin@2"),
    ("groups", "store.begin@1"),
    ("pages", "pack.rename@2"),
    ("pages", "store.chunks@4"),
    ("steps", "store.begin@3"),
    ("steps", "output.whole.flush@1"),
    ("steps", "output.whole.rename@1"),
]


@pytest.mark.parametrize(("workload", "stop_at"), STOPS)
def test_a_displaced_owner_changes_nothing(tmp_path, workload, stop_at):
    """Stopped, displaced, woken up: its next commit is refused, and neither rows nor outputs differ from before."""
    expected = golden(workload, tmp_path / "golden")
    code, errors, before, after = displaced(workload, tmp_path / "work", stop_at)
    assert before | {"owners": []} == expected  # the zombie still held its file
    assert after == expected
    assert code == 1
    assert "waycairn.errors.OwnershipLost: " in errors


@pytest.mark.parametrize("killed_at", ["output.renew@1", "output.renewed@1", "output.truncate@1", "cut.begin@2"])
def test_an_heir_that_dies_passes_the_warning_on(tmp_path, killed_at):
    """Stopped before it writes to an output, displaced; the heir is killed too, a third process finishes the job. What
    the first one writes when it wakes up is in no file of theirs."""
    expected = golden("fold", tmp_path / "golden")
    folder = tmp_path / "work"
    folder.mkdir()
    zombie = start("fold", folder, WAYCAIRN_CRASH="output.write@3:STOP")
    try:
        wait_until_stopped(zombie)
        with contextlib.chdir(folder), wc.open(STORE) as store:
            store.takeover("fold")
        assert end(start("fold", folder, WAYCAIRN_CRASH=f"{killed_at}:KILL"))[0] == -signal.SIGKILL
        assert end(start("fold", folder))[0] == 0
        zombie.send_signal(signal.SIGCONT)
        code, errors = end(zombie)
        assert code == 1
        assert "waycairn.errors.OwnershipLost: " in errors
        with contextlib.chdir(folder):
            assert outcome() == expected
    finally:
        zombie.kill()
        zombie.wait()


def test_without_the_epoch_check_a_zombie_is_found(tmp_path):
    """The test above bites: with the fence taken out of the zombie, it fails."""
    expected = golden("pages", tmp_path / "golden")
    try:
        _, _, _, after = displaced("pages", tmp_path / "work", "store.begin@4", bug="no-epoch-check")
    except AssertionError:
        return  # the check of the store found it
    assert after != expected


def test_a_living_owner_is_respected(tmp_path):
    """Entering a run whose owner lives is refused at once, with its pid, and nothing changed; a stopped one lives."""
    owner = start("fold", tmp_path, WAYCAIRN_CRASH="cut.begin@3:STOP")
    try:
        wait_until_stopped(owner)
        with contextlib.chdir(tmp_path), wc.open(STORE) as store:
            before = store.find("fold")
            with pytest.raises(wc.RunIsHeld, match=f"held by pid {owner.pid}"), store.run("fold"):
                pass
            with pytest.raises(wc.RunIsHeld):
                store.discard("fold")
            with pytest.raises(wc.RunIsHeld):
                store.remove("fold")
            assert store.find("fold") == before
        owner.send_signal(signal.SIGCONT)
        assert end(owner)[0] == 0
    finally:
        owner.kill()
        owner.wait()
    with contextlib.chdir(tmp_path):
        verify("fold", {"item": 9})


def test_a_killed_owner_is_taken_over_at_once(tmp_path):
    """No lease to wait for: the next process enters as soon as the first is dead, in the next epoch."""
    owner = start("fold", tmp_path, WAYCAIRN_CRASH="cut.begin@3:KILL")
    assert end(owner)[0] == -signal.SIGKILL
    with contextlib.chdir(tmp_path), wc.open(STORE) as store:
        began = time.monotonic()
        with store.run("fold") as run:
            assert time.monotonic() - began < 0.5
            assert run.resumed
            assert store.find("fold").epoch == 2
            assert store.holder(store.find("fold")).pid == os.getpid()


def test_many_that_enter_at_once_do_everything_once(tmp_path):
    """Six processes start the same job together: they take turns or are refused, and the end is that of one."""
    expected = golden("groups", tmp_path / "golden")
    folder = tmp_path / "work"
    folder.mkdir()
    ends = [end(process) for process in [start("groups", folder) for _ in range(6)]]
    assert 0 in {code for code, _ in ends}
    for code, errors in ends:
        assert code == 0 or "waycairn.errors.RunIsHeld" in errors, errors
    with contextlib.chdir(folder):
        verify("groups", {"item": 9})
        after = outcome()
    assert after == expected


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_takes_the_cut_and_leaves(tmp_path, number, code):
    """SIGTERM and SIGINT inside an item: the item ends, the cut is taken, one line, the code of the signal; the next
    call goes on from there."""
    expected = golden("groups", tmp_path / "golden")
    folder = tmp_path / "work"
    folder.mkdir()
    stopped = start("groups", folder, WAYCAIRN_CRASH=f"store.begin@1:{number.name.removeprefix('SIG')}")
    got, errors = end(stopped)
    assert got == code, errors
    assert errors.count("\n") == 1
    assert "Traceback" not in errors
    with contextlib.chdir(folder):
        with wc.open(STORE, create=False) as store:
            found = store.find("groups")
            assert found.status == "interrupted"
            assert 0 < found.progress.done < 9
        assert end(start("groups", folder))[0] == 0
        assert outcome() == expected
