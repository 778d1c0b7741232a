"""Processes that fork while the store is open in them, and while a thread of theirs is at work in it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

import waycairn as wc
from waycairn.errors import UsedAfterFork

BESIDE_UPKEEP = """
import os, signal, sys, warnings, waycairn as wc
warnings.simplefilter("ignore")
store = wc.open(sys.argv[1])
for _ in range(3):
    store.save("value", os.urandom(100_000))

def work(number):
    signal.alarm(30)  # a child that hangs is killed by it
    with wc.open(sys.argv[1]) as own:
        own.save(f"of {number}", number)
        own.start_upkeep()
        own.stop_upkeep()

store.start_upkeep()
children = []
for number in range(10):
    if (child := os.fork()) == 0:
        try:
            work(number)
        finally:
            os._exit(1 if sys.exc_info()[0] else 0)
    children.append(child)
print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
store.close()
with wc.open(sys.argv[1]) as store:
    assert {run.name for run in store.runs()} == {"value", *(f"of {number}" for number in range(10))}
"""


def test_ten_forks_beside_upkeep(tmp_path):
    """Each child works in the same store as its parent, whatever the upkeep of that was doing."""
    forking = [sys.executable, "-c", BESIDE_UPKEEP, tmp_path / "store"]
    ended = subprocess.run(forking, capture_output=True, text=True, check=False, timeout=100)
    assert (ended.returncode, ended.stdout) == (0, f"{[0] * 10}\n"), ended.stderr


def in_child(work) -> int:
    """The pid of a child that does it: it ends with 0 if that raised nothing."""
    child = os.fork()
    if child:
        return child
    signal.alarm(30)
    try:
        work()
        os._exit(0)
    except BaseException as error:
        os.write(2, repr(error).encode())
        os._exit(1)


def succeeded(child: int) -> bool:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_a_child_commits_outlives_the_parents_close(tmp_path):
    """SQLite would take the locks of the parent for the child's, and the log would be removed that the child commits to."""
    store = wc.open(tmp_path / "store")
    store.save("before", 1)
    told, asked = os.pipe(), os.pipe()

    def work():
        with wc.open(tmp_path / "store") as own:
            own.save("first", 1)
            os.write(told[1], b"x")
            os.read(asked[0], 1)
            own.save("second", 2)

    child = in_child(work)
    os.read(told[0], 1)
    store.close()
    os.write(asked[1], b"x")
    assert succeeded(child)
    for end in (*told, *asked):
        os.close(end)
    with wc.open(tmp_path / "store") as store:
        assert {run.name for run in store.runs()} == {"before", "first", "second"}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_in_the_midst_of_a_transaction(tmp_path):
    """By a signal handler, say: the child is refused the file that it cannot lock, and the parent goes on."""
    with wc.open(tmp_path / "store") as store:

        def work():
            with pytest.raises(UsedAfterFork, match="in the midst of using"):
                wc.open(tmp_path / "store")
            with wc.open(tmp_path / "other") as other:
                other.save("value", 1)

        assert succeeded(store.core.catalog._database.read(lambda _: in_child(work)))
        store.save("value", 1)
        assert succeeded(in_child(lambda: wc.open(tmp_path / "store").close()))
