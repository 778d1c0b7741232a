"""A map whose driver or workers are killed: nothing is lost, nothing is folded twice, little is computed again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import waycairn as wc

JOB = Path(__file__).parent.parent / "mapjob.py"
PLACES = ("threads", "processes", "async")


class Job:
    """The job of mapjob.py, started again and again on the same store."""

    def __init__(self, folder: Path, on: str, count: int, how: str) -> None:
        self.folder = folder
        self.effects = folder / "effects"
        self._command = [sys.executable, str(JOB), str(folder / "store"), str(self.effects), on, str(count), how]

    def start(self, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self._command,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **environment},
        )

    def finish(self) -> None:
        """Run it to its end."""
        process = self.start()
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors

    def computed(self) -> Counter[int]:
        return Counter(map(int, self.effects.read_text().split())) if self.effects.exists() else Counter()

    def traces(self) -> int:
        """Bytes of them."""
        return self.effects.stat().st_size if self.effects.exists() else 0

    def folded(self) -> Counter[int]:
        """What the growing output holds."""
        return Counter(int(line.split()[0]) for line in (self.folder / "out.txt").read_text().splitlines())

    def store(self) -> wc.Store:
        return wc.open(self.folder / "store", create=False)


def _wait_for(job: Job, more: int, process: subprocess.Popen[str]) -> None:
    """Until so many calls more were made (of four digits, or fewer), or it ended."""
    goal = job.traces() + (more * len("1234\n") if more > 1 else 1)
    deadline = time.monotonic() + 30
    while process.poll() is None and job.traces() < goal:
        assert time.monotonic() < deadline, "it does not go on"
        time.sleep(0.002)


def _below(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


@pytest.mark.parametrize("on", PLACES)
def test_the_driver_is_killed_again_and_again(tmp_path: Path, on: str) -> None:
    """5 SIGKILLs at random: each item is folded once, the state is right, and what is computed again is at most what
    ran, and what came since the last cut, for each kill."""
    _kill_drivers(tmp_path, on, count=400, kills=5)


@pytest.mark.torture
@pytest.mark.parametrize("on", PLACES)
def test_two_hundred_kills(tmp_path: Path, on: str) -> None:
    """The same with 200 kills over 5,000 items."""
    _kill_drivers(tmp_path, on, count=5000, kills=200)


def _kill_drivers(tmp_path: Path, on: str, *, count: int, kills: int) -> None:
    delivered = 0
    job = Job(tmp_path, on, count, "slow")
    chance = random.Random(3)
    for _ in range(kills):
        process = job.start()
        _wait_for(job, chance.randrange(1, max(2, count // kills // 3)), process)
        time.sleep(chance.random() * 0.01)
        process.kill()
        process.communicate(timeout=30)
        delivered += process.returncode == -signal.SIGKILL
    assert delivered == kills
    job.finish()
    assert job.folded() == Counter(range(count))
    computed = job.computed()
    assert set(computed) == set(range(count))
    again = sum(computed.values()) - count
    # Between two cuts lie 50 folds; beside them what is on its way: 3 workers with at most two batches of 2 items each.
    assert again <= kills * (50 + 12), again
    print(f"{kills} kills, {again} of {count} items computed again")
    with job.store() as store:
        found = store.find("job")
        assert (found.status, found.progress.done, found.progress.failed) == ("completed", count, 0)
        newest = store.core.catalog.latest_checkpoint(found.id, role="state")
        assert newest is not None
        assert store.load(newest.id) == {"sum": sum(n * n for n in range(count))}
        assert list(store.core.catalog.computed(found.id, "items")) == []


def test_workers_are_killed_again_and_again(tmp_path: Path) -> None:
    """8 SIGKILLs of worker processes at random: the batch ends, each item is folded once, none is taken for poison."""
    count = 1500
    job = Job(tmp_path, "processes", count, "slow")
    process = job.start()
    chance = random.Random(5)
    delivered = 0
    while delivered < 8:
        _wait_for(job, 40, process)
        assert process.poll() is None, f"it ended before all kills were delivered: {process.communicate()}"
        workers = [child for child in _below(process.pid) if any("spawn_main" in word for word in child.cmdline())]
        if workers:
            time.sleep(chance.random() * 0.01)
            chance.choice(workers).kill()
            delivered += 1
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert job.folded() == Counter(range(count))
    again = sum(job.computed().values()) - count
    assert again <= delivered * 4, "a batch of a worker: two items, twice"
    with job.store() as store:
        assert store.find("job").progress.failed == 0


def test_an_item_that_kills_the_driver_is_found(tmp_path: Path) -> None:
    """Each entry dies by it: twice among others, three times alone. The next records it as failed, does all others, and
    is partial."""
    job = Job(tmp_path, "threads", 40, "poison")
    for _ in range(5):
        process = job.start()
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL
    job.finish()
    with job.store() as store:
        found = store.find("job")
        assert (found.status, found.progress.done, found.progress.failed) == ("partial", 39, 1)
        (failure,) = store.core.catalog.failures(found.id)
        assert failure.poison
        assert "the process died again and again" in failure.error["message"]
    assert job.computed()[7] == 5
    assert job.folded() == Counter(n for n in range(40) if n != 7)
    job.finish()
    assert job.computed()[7] == 5, "it is left alone"


def test_items_that_only_ran_when_the_process_was_killed_are_no_poison(tmp_path: Path) -> None:
    """Three kills from outside while the same 24 items run: the fourth entry does all of them, several at once."""
    job = Job(tmp_path, "threads", 24, "wide")
    for _ in range(3):
        before = sum(job.computed().values())
        process = job.start()
        deadline = time.monotonic() + 20
        while sum(job.computed().values()) < before + 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.2)
        process.kill()
        process.communicate(timeout=30)
        assert process.returncode == -signal.SIGKILL
    started = time.monotonic()
    job.finish()
    assert time.monotonic() - started < 24, "a second each: not one after the other"
    assert job.folded() == Counter(range(24))


@pytest.mark.parametrize(("on", "how"), [*((on, "long") for on in PLACES), ("processes", "stuck")])
def test_children_die_with_the_driver(tmp_path: Path, on: str, how: str) -> None:
    """SIGKILL, in the middle of items that take a minute, also in native code: soon nothing of it runs any more."""
    job = Job(tmp_path, on, 10, how)
    process = job.start()
    _wait_for(job, 1, process)
    children = _below(process.pid)
    assert bool(children) == (on == "processes")
    process.kill()
    process.communicate(timeout=30)
    _, alive = psutil.wait_procs(children, timeout=5)
    assert alive == []


@pytest.mark.parametrize("on", ["threads", "processes"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_with_a_cut(tmp_path: Path, on: str, number: int) -> None:
    """Also one to the whole group, as Ctrl-C is: exit code 143 or 130 soon, nothing that was computed is lost."""
    job = Job(tmp_path, on, 4000, "slow")
    process = subprocess.Popen(
        job._command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    _wait_for(job, 100, process)
    started = time.monotonic()
    os.killpg(process.pid, number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 128 + number, errors
    assert time.monotonic() - started < 5
    assert "its cut was taken" in errors
    computed, folded = job.computed(), job.folded()
    assert max(computed.values()) == 1
    with job.store() as store:
        found = store.find("job")
        assert (found.status, found.progress.done) == ("interrupted", sum(folded.values()))
        kept = found.progress.done + len(store.core.catalog.computed(found.id, "items"))
    assert sum(computed.values()) - kept <= 3 * 4, "what ran in that moment"


def test_the_crash_points_of_a_map(tmp_path: Path) -> None:
    """A kill at some of them while three threads run (the sweep over all points has one): resumed, the outcome is that
    of an undisturbed run."""
    points = [*_points()]
    delivered = 0
    for number, point in enumerate(points):
        for hit in (1,) if number == 0 else (3,):
            folder = tmp_path / f"{number}-{hit}"
            folder.mkdir()
            job = Job(folder, "threads", 120, "slow")
            process = job.start(WAYCAIRN_CRASH=f"{point}@{hit}:KILL")
            process.communicate(timeout=60)
            delivered += process.returncode == -signal.SIGKILL
            job.finish()
            assert job.folded() == Counter(range(120)), (point, hit)
            with job.store() as store:
                found = store.find("job")
                assert (found.status, found.progress.done) == ("completed", 120), (point, hit)
    print(f"{delivered} kills at {len(points)} points")
    assert delivered >= len(points)


def _points() -> Iterator[str]:
    yield from ("flights.written", "map.computed", "store.committed")


def test_a_job_without_a_guard_is_told_what_to_write(tmp_path: Path) -> None:
    """Worker processes import the script; one that starts its job at once ends with a clear error, and no loop."""
    script = tmp_path / "job.py"
    script.write_text(
        "import waycairn as wc\n"
        "def work(n): return n\n"
        f"with wc.open({str(tmp_path / 'store')!r}) as store, store.run('job') as run:\n"
        "    run.map(work, range(3), on='processes', workers=1).drain()\n"
    )
    ended: Any = subprocess.run([sys.executable, script], check=False, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert '`if __name__ == "__main__":`' in ended.stderr
