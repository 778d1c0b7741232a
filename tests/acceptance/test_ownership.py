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


def start(workload: str, folder: Path, **environment: str) -> subprocess.Popen:
    """A process that runs the workload in the folder."""
    return subprocess.Popen(
        [sys.executable, job.__file__, workload, f"{folder}.acks"],
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


@pytest.mark.parametrize("workload", ["fold", "groups"])
def test_a_displaced_owner_that_wakes_up_cuts_nothing_back(tmp_path, workload):
    """Stopped before it opens a file that its heir then finishes: it changes nothing of it."""
    expected = golden(workload, tmp_path / "golden")
    folder = tmp_path / "work"
    folder.mkdir()
    zombie = start(workload, folder, WAYCAIRN_CRASH="output.open@1:STOP")
    try:
        wait_until_stopped(zombie)
        with contextlib.chdir(folder), wc.open(STORE) as store:
            store.takeover(workload)
        assert end(start(workload, folder))[0] == 0
        files = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        zombie.send_signal(signal.SIGCONT)
        code, errors = end(zombie)
    finally:
        zombie.kill()
        zombie.wait()
    assert (code, "waycairn.errors.OwnershipLost: " in errors) == (1, True), errors
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == files
    with contextlib.chdir(folder):
        assert outcome() == expected


def test_who_is_displaced_while_entering_is_not_its_heir(tmp_path):
    """Stopped between its claim and the look at the row, which shows the epoch of its heir by then: it is refused like
    anybody else, and the heir, which is under way, is not disturbed."""
    expected = golden("fold", tmp_path / "golden")
    folder = tmp_path / "work"
    folder.mkdir()
    zombie = start("fold", folder, WAYCAIRN_CRASH="enter.look@1:STOP")
    heir = None
    try:
        wait_until_stopped(zombie)
        with contextlib.chdir(folder), wc.open(STORE) as store:
            store.takeover("fold")
        heir = start("fold", folder, WAYCAIRN_CRASH="cut.begin@3:STOP")
        wait_until_stopped(heir)
        zombie.send_signal(signal.SIGCONT)
        code, errors = end(zombie)
        assert (code, f"is held by pid {heir.pid}" in errors) == (1, True), errors
        heir.send_signal(signal.SIGCONT)
        code, errors = end(heir)
        assert code == 0, errors
    finally:
        for process in filter(None, (zombie, heir)):
            process.kill()
            process.wait()
    with contextlib.chdir(folder):
        assert outcome() == expected


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
