"""The fair queue of processes: order, death, stopped waiters, what it says about a holder."""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from waycairn.catalog.helper import Helper
from waycairn.catalog.holders import describe_holder, holder_of, is_stopped
from waycairn.catalog.queue import FairQueue

MEMBER = """
import sys, time
from pathlib import Path
from waycairn.catalog.queue import FairQueue
queue = FairQueue(Path(sys.argv[1]))
print("ready", flush=True)
for line in sys.stdin:
    if line == "acquire\\n":
        queue.acquire()
        print("acquired", flush=True)
    else:
        queue.release()
        print("released", flush=True)
"""


class Member:
    """A process that takes a place in the queue when it is told to."""

    def __init__(self, path):
        self.process = subprocess.Popen(
            [sys.executable, "-c", MEMBER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.says("ready")

    def tell(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def says(self, word):
        assert self.process.stdout.readline().strip() == word

    def end(self):
        with contextlib.suppress(OSError):
            self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "catalog.db.queue"


@pytest.fixture
def members(path):
    found = [Member(path) for _ in range(4)]
    yield found
    for member in found:
        member.end()


def in_line(path, count):
    """Wait until that many tickets were drawn."""
    for _ in range(500):
        if int.from_bytes(path.read_bytes()[:8], "little") >= count:
            # Drawn; give it the time to begin waiting.
            time.sleep(0.05)
            return
        time.sleep(0.01)
    raise AssertionError(f"{count} tickets were not drawn")


def test_turns_come_in_the_order_of_asking(path, members):
    """Whoever has had its turn and asks again comes last, though nobody else is running."""
    first, *others = members
    first.tell("acquire")
    first.says("acquired")
    for position, member in enumerate(others, start=2):
        member.tell("acquire")
        in_line(path, position)
    first.tell("release")
    first.says("released")
    first.tell("acquire")
    for member in others:
        member.says("acquired")
        member.tell("release")
        member.says("released")
    first.says("acquired")


def test_the_death_of_a_member_is_no_obstacle(path, members):
    """One dies with the turn, one while it waits: the last gets its turn."""
    first, second, third, _ = members
    first.tell("acquire")
    first.says("acquired")
    second.tell("acquire")
    in_line(path, 2)
    third.tell("acquire")
    in_line(path, 3)
    second.process.kill()
    second.process.wait()
    first.process.kill()
    third.says("acquired")


def test_a_stopped_waiter_is_passed_over(path, members, monkeypatch):
    """Two are stopped while they wait: the one behind them gets its turn, and they get theirs when they go on."""
    first, second, third, _ = members
    first.tell("acquire")
    first.says("acquired")
    for position, member in enumerate((second, third), start=2):
        member.tell("acquire")
        in_line(path, position)
        member.process.send_signal(signal.SIGSTOP)
    mine = FairQueue(path)
    waiting = threading.Thread(target=mine.acquire)
    waiting.start()
    in_line(path, 4)
    first.tell("release")
    first.says("released")
    waiting.join(20)
    assert not waiting.is_alive()
    mine.release()
    for member in (second, third):
        member.process.send_signal(signal.SIGCONT)
        member.says("acquired")
        member.tell("release")
        member.says("released")
    mine.acquire()
    mine.release()
    mine.close()


def test_a_lost_counter_is_no_obstacle(path, members):
    """A power cut may take the queue file's content: a ticket that is still held is skipped."""
    first, second, _, _ = members
    first.tell("acquire")
    first.says("acquired")
    second.tell("acquire")
    in_line(path, 2)
    with path.open("r+b") as file:
        file.write((1).to_bytes(8, "little"))
    mine = FairQueue(path)
    waiting = threading.Thread(target=mine.acquire)
    waiting.start()
    in_line(path, 3)
    first.tell("release")
    second.says("acquired")
    second.tell("release")
    waiting.join(20)
    assert not waiting.is_alive()
    assert mine._newest == 3
    mine.release()
    mine.close()


def test_who_is_stopped_while_drawing_is_passed_over(path):
    """Its lock on the tickets would block all others for ever; they take turns without tickets, and with them later."""
    queue = FairQueue(path)
    with path.open("rb") as stopped:
        fcntl.flock(stopped, fcntl.LOCK_EX)
        began = time.monotonic()
        queue.acquire()
        assert time.monotonic() - began < 5
        queue.release()
        assert path.stat().st_size == 0, "no ticket was drawn"
    queue.acquire()
    queue.release()
    assert path.stat().st_size > 0
    queue.close()


def test_one_alone_draws_no_more_tickets(path):
    """Nobody else has come: its own ticket is still the newest, so its turns cost no ticket."""
    queue = FairQueue(path)
    for _ in range(5):
        queue.acquire()
        queue.release()
    assert int.from_bytes(path.read_bytes()[:8], "little") == 1
    queue.close()
    queue.close()


def test_one_at_a_time(path):
    """Eight queues of threads, a counter without a lock: nothing is lost."""
    total = [0]

    def work():
        queue = FairQueue(path)
        for _ in range(50):
            queue.acquire()
            seen = total[0]
            time.sleep(0.00001)
            total[0] = seen + 1
            queue.release()
        queue.close()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert total[0] == 400


def test_an_interrupted_wait_leaves_nothing_behind(path, members):
    """Ctrl-C while waiting: the place in the queue is free, and the turn is not taken afterwards."""
    first, second, third, _ = members
    first.tell("acquire")
    first.says("acquired")
    second.tell("acquire")
    in_line(path, 2)
    second.process.send_signal(signal.SIGINT)
    second.process.wait()
    third.tell("acquire")
    in_line(path, 3)
    first.tell("release")
    third.says("acquired")


def test_the_holder_is_named(path, members):
    """By its pid and what it is doing; nobody is named where nobody holds it."""
    first = members[0]
    turn = path.with_name(path.name + ".turn")
    assert "not visible" in describe_holder(turn)
    first.tell("acquire")
    first.says("acquired")
    first.process.send_signal(signal.SIGSTOP)
    for _ in range(200):
        if is_stopped(first.process.pid):
            break
        time.sleep(0.01)
    assert describe_holder(turn) == f"it is held by pid {first.process.pid} (stopped)"
    assert "cannot be found out" in describe_holder(path.with_name("missing"))


def test_waiters_are_not_taken_for_holders():
    """The text of /proc/locks, with a waiter, another kind of lock and another file."""
    device, inode = os.makedev(8, 2), 131
    locks = """\
1: POSIX  ADVISORY  WRITE 11 08:02:131 0 EOF
2: FLOCK  ADVISORY  WRITE 12 08:02:999 0 EOF
3: -> FLOCK  ADVISORY  WRITE 13 08:02:131 0 EOF
4: FLOCK  ADVISORY  WRITE 14 08:02:131 0 EOF
"""
    assert holder_of(device, inode, locks) == 14
    assert holder_of(device, 5, locks) is None
    assert not is_stopped(os.getpid())
    assert not is_stopped(int(Path("/proc/sys/kernel/pid_max").read_text()) + 1)


@pytest.mark.parametrize("ends_first", [True, False])
def test_a_call_that_is_given_up_is_undone_once(ends_first):
    """Whether it ends before or after it is given up; one that is waited for is not undone."""
    helper, go_on, undone = Helper(), threading.Event(), []
    waiting = helper.begin(go_on.wait, undo=lambda: undone.append(1))
    assert helper.is_busy
    assert not waiting.wait(0.01)
    if ends_first:
        go_on.set()
        assert waiting.wait(5)
        assert undone == []
        waiting.give_up()
    else:
        waiting.give_up()
        assert undone == []
        assert not helper.close()
        go_on.set()
    assert helper.close()
    assert undone == [1]
