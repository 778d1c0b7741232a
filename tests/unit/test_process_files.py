"""The owner file: real locks, real processes, real kills."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from waycairn.model.ids import RunId
from waycairn.model.records import Progress, RunRecord
from waycairn.model.states import RunStatus
from waycairn.process import FileOwnership, current_owner, files
from waycairn.world.clock import SystemClock

pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")  # forks are the subject

RUN = RunId("k7f3qx0a9m2d")

HOLD = """
import sys, time, pathlib, subprocess, os
from waycairn.process import FileOwnership
from waycairn.world.clock import SystemClock
hold = FileOwnership(pathlib.Path(sys.argv[1]), SystemClock()).claim("k7f3qx0a9m2d", int(sys.argv[2]))
"""
# One write a line: what two processes print may mix.
WAIT = "os.write(1, b'held\\n' if hold else b'none\\n')\nsys.stdin.read()\n"


def row(epoch: int = 1, owner=None) -> RunRecord:
    return RunRecord(
        id=RUN, root=RUN, parent=None, name="n", key=None, status=RunStatus.RUNNING, epoch=epoch, sequence=0,
        owner=owner, lease_until=None, fingerprint=None, task=None, tags=(), metadata={}, launch=None,
        progress=Progress(), error=None, created=0.0, updated=0.0, entered=1,
    )  # fmt: skip


@pytest.fixture
def ownership(tmp_path):
    return FileOwnership(tmp_path / "owners", SystemClock())


@contextmanager
def other_process(ownership, code=HOLD + WAIT, epoch=1):
    """A real process that claims the run, ended at exit."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(ownership.directory), str(epoch)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    process.first_word = process.stdout.readline().strip()
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def until(condition, seconds=5.0):
    """Wait for a truth that the kernel brings about; the time it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "waited too long"
        time.sleep(0.001)
    return time.monotonic() - began


def children_of(process) -> list[int]:
    return [
        int(pid)
        for task in Path(f"/proc/{process.pid}/task").iterdir()
        for pid in (task / "children").read_text().split()
    ]


def test_file_names_its_owner(ownership):
    """The owner file is the PID file: readable JSON, for this user only."""
    hold = ownership.claim(RUN, 1)
    path = ownership.directory / f"{RUN}.1"
    told = json.loads(path.read_text())
    assert told["pid"] == os.getpid()
    assert told["nonce"] == hold.owner.nonce
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(ownership.directory.stat().st_mode) == 0o700
    assert ownership.holder(row()) == hold.owner
    hold.release()


def test_a_second_claim_of_one_process_is_refused(ownership):
    """Two entries in one process exclude each other like two processes do."""
    hold = ownership.claim(RUN, 1)
    assert ownership.claim(RUN, 1) is None
    assert FileOwnership(ownership.directory, SystemClock()).claim(RUN, 1) is None
    hold.release()
    again = ownership.claim(RUN, 1)
    assert again is not None
    again.release()


def test_threads_exclude_each_other(ownership):
    """Of 16 threads that claim at once, one gets it."""
    holds, start = [], threading.Barrier(16)

    def claim():
        start.wait()
        holds.append(ownership.claim(RUN, 1))

    threads = [threading.Thread(target=claim) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [hold for hold in holds if hold]
    assert len(winners) == 1
    winners[0].release()


def test_release_is_idempotent_and_leaves_nothing(ownership):
    """After release the file is gone, the run is free, and the hold says so."""
    hold = ownership.claim(RUN, 1)
    assert not hold.is_lost()
    hold.release()
    hold.release()
    assert hold.is_lost()
    assert list(ownership.directory.iterdir()) == []
    assert ownership.holder(row()) is None


def test_a_missing_directory_means_no_holder(ownership):
    """A store whose owner files were never written has no owners."""
    assert ownership.holder(row()) is None
    ownership.forget(RUN, 5)


def test_a_living_process_holds(ownership):
    """Another process' claim is seen, named and respected."""
    with other_process(ownership) as other:
        assert other.first_word == "held"
        assert ownership.claim(RUN, 1) is None
        assert ownership.holder(row()).pid == other.pid


def test_sigkill_frees_at_once(ownership):
    """The kernel frees the lock in the instant of death; the file stays and means nothing."""
    with other_process(ownership) as other:
        other.send_signal(signal.SIGKILL)
        took = until(lambda: ownership.holder(row()) is None)
        assert (ownership.directory / f"{RUN}.1").exists()
        hold = ownership.claim(RUN, 1)
        assert hold is not None
        hold.release()
        assert other.wait() == -signal.SIGKILL
        assert took < 1.0


def test_a_stopped_process_still_holds(ownership):
    """SIGSTOP is not death."""
    with other_process(ownership) as other:
        other.send_signal(signal.SIGSTOP)
        until(lambda: Path(f"/proc/{other.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
        assert ownership.holder(row()).pid == other.pid
        assert ownership.claim(RUN, 1) is None
        newer = ownership.claim(RUN, 2)
        assert newer is not None
        newer.release()


@pytest.mark.parametrize(
    "child",
    [
        "pid = os.fork()\nif pid == 0:\n    hold.release(); os.write(1, b'child\\n'); time.sleep(60); os._exit(0)\n",
        "subprocess.Popen(['sleep', '60'], close_fds=False)\nos.write(1, b'child\\n')\n",
        "from multiprocessing import get_context\nget_context('fork').Process(target=time.sleep, args=(60,)).start(); os.write(1, b'child\\n')\n",
    ],
    ids=["fork", "subprocess", "multiprocessing"],
)
def test_children_do_not_inherit_the_claim(ownership, child):
    """While the parent lives it holds (whatever the child does); when it dies its children hold nothing."""
    with other_process(ownership, HOLD + child + WAIT) as other:
        assert {other.first_word, other.stdout.readline().strip()} == {"child", "held"}
        time.sleep(0.05)
        assert ownership.holder(row()).pid == other.pid, "a child must not free its parent's lock"
        children = children_of(other)
        assert children
        try:
            other.kill()
            other.wait()
            until(lambda: ownership.holder(row()) is None)
            assert all(os.path.exists(f"/proc/{pid}") for pid in children), "the children outlive the parent"
        finally:
            for pid in children:
                os.kill(pid, signal.SIGKILL)


def test_hold_in_a_forked_child_is_lost_and_releases_nothing(ownership):
    """In the child the object is dead; the parent's claim stands."""
    hold = ownership.claim(RUN, 1)
    pid = os.fork()
    if pid == 0:
        lost = hold.is_lost()
        hold.release()
        os._exit(0 if lost and (ownership.directory / f"{RUN}.1").exists() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert not hold.is_lost()
    assert ownership.claim(RUN, 1) is None
    hold.release()


def test_a_forked_child_can_claim_from_any_thread(ownership):
    """Nothing of the parent's bookkeeping is left locked in the child."""
    held = ownership.claim(RUN, 1)
    pid = os.fork()
    if pid == 0:
        results = []
        thread = threading.Thread(
            target=lambda: results.extend([ownership.claim(RUN, 1), ownership.claim(RUN, 2)]), daemon=True
        )
        thread.start()
        thread.join(5)
        os._exit(0 if len(results) == 2 and results[0] is None and results[1] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    held.release()


FORKS_WHILE_CLAIMING = """
import threading
ownership = FileOwnership(pathlib.Path(sys.argv[1]), SystemClock())
done = threading.Event()

def fork():
    for _ in range(40):
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        time.sleep(0.001)
    done.set()

threading.Thread(target=fork).start()
holds = []
while not done.is_set() or len(holds) < 20:
    holds.append(ownership.claim("000000000000", len(holds) + 1))
hold = all(holds)
"""


def test_forks_during_claims_inherit_nothing(ownership):
    """A fork in the middle of another thread's claim must not keep the lock for the child's life."""
    with other_process(ownership, HOLD + FORKS_WHILE_CLAIMING + WAIT) as other:
        assert other.first_word == "held"
        children = children_of(other)
        assert len(children) == 40
        try:
            other.kill()
            other.wait()
            paths = list(ownership.directory.glob("000000000000.*"))
            assert len(paths) >= 20
            # A child that was just forked may not have run yet; one that kept a lock keeps it for a minute.
            until(lambda: not any(map(is_locked, paths)))
        finally:
            for pid in children:
                os.kill(pid, signal.SIGKILL)


def is_locked(path: Path) -> bool:
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


HAMMER = """
ownership = FileOwnership(pathlib.Path(sys.argv[1]), SystemClock())
marker, won, clashes = pathlib.Path(sys.argv[1]).parent / "marker", 0, 0
print("started", flush=True)
deadline = time.monotonic() + 1.5
while time.monotonic() < deadline:
    hold = ownership.claim("000000000000", 1)
    if hold:
        try:
            os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
            won += 1
            os.unlink(marker)
        except FileExistsError:
            clashes += 1
        hold.release()
print(won, clashes, flush=True)
"""


def test_claims_that_cross_releases_exclude_each_other(ownership):
    """Three processes claim and release the same epoch all the time: never two owners at once, although each release
    removes the file that the others have just opened."""
    with (
        other_process(ownership, HOLD + HAMMER) as a,
        other_process(ownership, HOLD + HAMMER) as b,
        other_process(ownership, HOLD + HAMMER) as c,
    ):
        counts = [[int(word) for word in process.stdout.readline().split()] for process in (a, b, c)]
    assert sum(won for won, _ in counts) > 10
    assert [clashes for _, clashes in counts] == [0, 0, 0]


def test_probers_never_make_a_claim_fail(ownership):
    """Two other processes that probe all the time do not look like an owner."""
    probe = HOLD.replace("hold = ", "o = ").rpartition(".claim")[0] + (
        "\nfrom types import SimpleNamespace\nprint('probing', flush=True)\n"
        "while True: o.holder(SimpleNamespace(root='k7f3qx0a9m2d', epoch=1, owner=None))\n"
    )
    with other_process(ownership, probe), other_process(ownership, probe):
        for _ in range(500):
            hold = ownership.claim(RUN, 1)
            assert hold is not None
            hold.release()


def test_a_half_written_file_falls_back_to_the_row(ownership):
    """Held, but the name is not written yet: the catalog's row tells the owner; without a row it is nobody's name."""
    hold = ownership.claim(RUN, 1)
    in_row = current_owner(7.0)
    path = ownership.directory / f"{RUN}.1"
    path.write_text('{"host": "a", "boo')
    assert ownership.holder(row(owner=in_row)) == in_row
    assert ownership.holder(row()).pid == 0
    path.write_bytes(b'{"host": "\xc0"}')  # what a disk made of it
    assert ownership.holder(row(owner=in_row)) == in_row
    hold.release()


def test_forget_removes_older_epochs_only(ownership):
    """Files of dead owners of older epochs go, the present one stays, other runs are untouched; a stopped older owner
    notices, and is seen to live by all who come after."""
    old, new = ownership.claim(RUN, 2), ownership.claim(RUN, 10)
    other = ownership.claim(RunId("000000000000"), 1)
    (ownership.directory / f"{RUN}.3").write_text("died")
    assert ownership.has_rival(row(9))
    for _ in range(2):
        ownership.forget(RUN, 10)
        names = sorted(path.name for path in ownership.directory.iterdir())
        assert names == ["000000000000.1", f"{RUN}.10", f"{RUN}.2", f"{RUN}.2.displaced"]
        assert old.is_lost()
        assert not new.is_lost()
        assert ownership.has_rival(row(9))
    old.release()
    assert not ownership.has_rival(row(9))
    for hold in (new, other):
        hold.release()
    assert list(ownership.directory.iterdir()) == []


def test_a_displaced_owner_that_died_leaves_nothing(ownership):
    """Both names of its file go at the next entry."""
    with other_process(ownership) as other:
        ownership.forget(RUN, 2)
        assert len(list(ownership.directory.iterdir())) == 2
        other.kill()
        other.wait()
    assert not ownership.has_rival(row(3))
    ownership.forget(RUN, 4)
    assert list(ownership.directory.iterdir()) == []


def test_without_hard_links_a_displaced_owner_notices(ownership, monkeypatch):
    """Its file is removed instead."""

    def refuse(*_arguments):
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    hold = ownership.claim(RUN, 1)
    ownership.forget(RUN, 2)
    assert hold.is_lost()
    assert list(ownership.directory.iterdir()) == []
    hold.release()


def test_a_lock_on_a_removed_file_is_no_claim(ownership, monkeypatch):
    """Between our open and our lock its owner releases (removing the file) and another claims: that one has it."""
    winner = []
    first, real = ownership.claim(RUN, 1), files._try_lock

    def late(handle, kind):
        if not winner:
            winner.append(None)
            first.release()
            winner[0] = ownership.claim(RUN, 1)
        return real(handle, kind)

    monkeypatch.setattr(files, "_try_lock", late)
    assert ownership.claim(RUN, 1) is None
    assert ownership.holder(row()) == winner[0].owner
    winner[0].release()


def test_sweep_removes_what_nobody_holds(ownership):
    """Files of the dead go, those of the living stay, a stopped one's too."""
    mine = ownership.claim(RUN, 1)
    with other_process(ownership, epoch=2) as other:
        other.kill()
        other.wait()
    with other_process(ownership, epoch=3) as other:
        other.send_signal(signal.SIGSTOP)
        assert ownership.sweep() == 1
        assert sorted(path.name for path in ownership.directory.iterdir()) == [f"{RUN}.1", f"{RUN}.3"]
    assert ownership.sweep() == 1
    mine.release()
    assert ownership.sweep() == 0


def test_a_late_release_does_not_remove_a_newer_file(ownership):
    """An owner whose file was removed and made anew by another leaves that other one alone."""
    old = ownership.claim(RUN, 1)
    (ownership.directory / f"{RUN}.1").unlink()
    new = ownership.claim(RUN, 1)
    assert new is not None
    old.release()
    assert ownership.holder(row()) == new.owner
    new.release()


def test_claim_and_release_take_little(ownership):
    """Entering a run must not cost a flush; the best of some, since the machine may be busy."""
    took = []
    for _ in range(100):
        began = time.perf_counter()
        ownership.claim(RUN, 1).release()
        took.append(time.perf_counter() - began)
    assert min(took) < 0.005
