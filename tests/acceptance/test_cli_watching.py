"""`waycairn show --watch`: a job followed from another process, to its end or its death."""

from __future__ import annotations

import json
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

import waycairn as wc
from commands import WAYCAIRN, document, environment, on_terminal, waycairn
from waycairn.errors import RunNotFound
from waycairn.upkeep.watching import Watcher

PAUSE = 0.02
JOB = f'''
"""Ninety items, three of which fail, behind a phase that waits until somebody watches."""

import sys
import time
from pathlib import Path

import waycairn as wc


def clean(phase):
    for number in phase.each(range(6), total=6):
        if number == 3:
            phase.checkpoint("half")
            Path("waits").touch()
            for _ in range(3000):
                if Path("watched").exists():
                    break
                time.sleep(0.01)
            else:
                Path("alone").touch()


with wc.run("slow", total=90, pace="1 item") as run:
    run.phase("clean", clean)
    for item in run.items(range(90)):
        if item.value == 45 and sys.argv[1:] == ["hang"]:
            Path("hangs").touch()
            time.sleep(600)
        with item:
            time.sleep({PAUSE})
            if item.value % 30 == 7:
                raise ValueError("odd one")
            item.result = item.value
'''


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A store with a run that is completed and one that failed."""
    place = tmp_path_factory.mktemp("watching")
    with wc.open(place / ".waycairn") as store:
        with store.run("done", key="naïve") as run:
            for _ in run.each(range(3), total=3):
                pass
        with pytest.raises(ZeroDivisionError), store.run("broken"):
            _ = 1 / 0
    return place


@contextmanager
def job(place, *arguments, until="waits"):
    """JOB, once it waits in its phase or hangs at an item."""
    (place / "job.py").write_text(JOB)
    with subprocess.Popen([sys.executable, "job.py", *arguments], cwd=place, env=environment()) as process:
        try:
            deadline = time.monotonic() + 60
            while not (place / until).exists():
                assert time.monotonic() < deadline
                assert process.poll() is None
                time.sleep(0.01)
            yield process
        finally:
            process.kill()


def watching(place, *options):
    return subprocess.Popen(
        [WAYCAIRN, "show", "slow", "--watch", "--interval", "0.1", *options],
        cwd=place,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_job_is_followed_by_lines(tmp_path):
    """One line a change, each at once: what is done never falls, the rate is that of the job, and the end is told."""
    with job(tmp_path) as running, watching(tmp_path) as watcher:
        first = watcher.stdout.readline()
        assert not (tmp_path / "alone").exists()
        assert running.poll() is None
        assert re.fullmatch(r"\S+Z  running  0/90  0 failed  0\.0 %  -/s  ETA -  commit \d+  clean 3/6\n", first)
        time.sleep(0.5)  # several looks at the same
        (tmp_path / "watched").touch()
        *changes, ending = watcher.stdout.read().splitlines()
        assert (watcher.wait(60), watcher.stderr.read()) == (0, "")
    done = [int(re.search(r"  (\d+)/90  ", line)[1]) for line in changes]
    assert done == sorted(done)
    assert done[-1] == 87
    assert len(set(done)) > 5
    without_time = [line.partition("  ")[2] for line in (first.rstrip(), *changes)]
    assert all(before != after for before, after in pairwise(without_time))
    seen = [re.search(r"  (\d+)/90  (\d) failed .* ([\d.]+)/s  ETA (\d+) s", line) for line in changes]
    rates = [float(found[3]) for found in seen if found]
    assert len(rates) > 5
    assert 5 < rates[-1] < 1 / PAUSE
    assert changes[-1].split("  ")[1:5] == ["partial", "87/90", "3 failed", "100.0 %"]
    assert re.fullmatch(r"run 'slow' \(\w+\) is partial", ending)


def test_a_job_is_followed_by_documents(tmp_path):
    """One JSON object a line: a run as in lists, with rate, ETA, phases that run, and failures grouped."""
    with job(tmp_path) as running, watching(tmp_path, "--json") as watcher:
        first = json.loads(watcher.stdout.readline())
        assert not (tmp_path / "alone").exists()
        assert running.poll() is None
        (tmp_path / "watched").touch()
        looks = [first, *map(json.loads, watcher.stdout)]
        assert (watcher.wait(60), watcher.stderr.read()) == (0, "")
    (phase,) = first["phases"]
    assert (phase["name"], phase["progress"]["done"]) == ("clean", 3)
    assert first["owner"]["alive"]
    assert (first["rate"], first["eta"], first["resume"]) == (None, None, None)
    sequences = [look["sequence"] for look in looks]
    assert sequences == sorted(sequences)
    moving = [look for look in looks if look["rate"] is not None and look["status"] == "running"]
    for look in moving:
        progress = look["progress"]
        left = progress["total"] - progress["done"] - progress["failed"]
        assert look["eta"] == pytest.approx(left / look["rate"], rel=0.01, abs=0.1)
    assert 5 < moving[-1]["rate"] < 1 / PAUSE
    last = looks[-1]
    assert (last["status"], last["progress"]["done"], last["progress"]["failed"]) == ("partial", 87, 3)
    assert (last["eta"], last["phases"], last["resume"]) == (None, [], None)
    (group,) = last["failures"]
    assert (group["type"], group["message"], group["count"]) == ("ValueError", "odd one", 3)


@pytest.mark.parametrize("options", [[], ["--json"]], ids=str)
def test_a_job_that_is_killed_is_told(tmp_path, options):
    """kill -9 while it is watched: exit code 3, that it died, and how to go on."""
    (tmp_path / "watched").touch()
    with job(tmp_path, "hang", until="hangs") as running, watching(tmp_path, *options) as watcher:
        watcher.stdout.readline()
        running.kill()
        *_, last = watcher.stdout.read().splitlines()
        assert (watcher.wait(60), watcher.stderr.read()) == (3, "")
    found = document("runs", at=tmp_path)["runs"][0]
    if options:
        assert json.loads(last)["status"] == "orphaned"
        assert json.loads(last)["resume"] == ["waycairn", "resume", found["id"]]
    else:
        pid = found["owner"]["pid"]
        assert f"pid {pid} on {found['owner']['host']} is dead" in last
        assert last.endswith(f"Go on with: waycairn resume {found['id']}")
    # One that is dead already is told at once.
    assert waycairn("show", "slow", "--watch", at=tmp_path).returncode == 3


def test_on_a_terminal_it_is_a_picture(tmp_path):
    """Drawn again in its place, with bar, rate, age of the last commit and the newest failures grouped; the last one
    stays, and a sentence says how it ended."""
    with job(tmp_path):
        spoken = on_terminal(
            "show", "slow", "--watch", "--interval", "0.1", at=tmp_path, shown=("3/6", tmp_path / "watched")
        )
    assert spoken.code == 0
    assert re.search(r"progress +\S*█\S* +\d+ % +\d+/90", spoken.plain)
    assert re.search(r"rate +[\d.]+/s", spoken.plain)
    assert re.search(r"to go +about \d+ s", spoken.plain)
    assert re.search(r"commits +\d+, the last 0 s ago", spoken.plain)
    assert re.search(r"running phases\s+clean +running .* 3/6", spoken.plain)
    assert re.search(r"newest failed items\s+2 items, such as 37: ValueError: odd one", spoken.plain)
    assert "\x1b[1A" in spoken.text
    assert re.search(r"run 'slow' \(\w+\) is partial\s*$", spoken.plain)


def test_without_colours_there_are_lines(place):
    """NO_COLOR and TERM=dumb: no escape code at all, so nothing is drawn again."""
    for more in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        command = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)"
        ran = subprocess.run(
            [sys.executable, "-c", command, WAYCAIRN, "show", "done", "--watch"],
            cwd=place,
            env=environment(**{"TERM": "xterm-256color", **more}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=True,
        )
        assert b"completed  3/3" in ran.stdout
        assert b"\x1b" not in ran.stdout


def test_a_run_that_is_left_is_shown_once(place):
    """One line and how it ended; as a document, one object."""
    ran = waycairn("show", "done", "--watch", at=place)
    change, ending = ran.stdout.splitlines()
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "  completed  3/3  " in change
    assert re.fullmatch(r"run 'done' \(key 'naïve', \w+\) is completed", ending)
    assert document("show", "done", "--watch", at=place)["status"] == "completed"


def test_a_run_that_failed_says_by_what(place):
    """Exit code 0: watching went well."""
    ran = waycairn("show", "broken", "--watch", at=place)
    assert ran.returncode == 0
    assert ran.stdout.endswith(" is failed by ZeroDivisionError: division by zero\n")
    assert document("show", "broken", "--watch", at=place)["error"]["type"] == "ZeroDivisionError"


@pytest.mark.parametrize("options", [[], ["--json"]], ids=str)
def test_ctrl_c_ends_it_quietly(tmp_path, options):
    """Exit code 130, no word; the job goes on."""
    with job(tmp_path) as running, watching(tmp_path, *options) as watcher:
        assert watcher.stdout.readline()
        watcher.send_signal(signal.SIGINT)
        assert (watcher.wait(60), watcher.stdout.read(), watcher.stderr.read()) == (130, "", "")
        (tmp_path / "watched").touch()
        assert running.wait(60) == 0


@pytest.mark.parametrize(
    "options",
    [["--interval", "1"], ["--watch", "--interval", "0"], ["--watch", "--interval", "nan"], ["--watch", "--traceback"]],
    ids=" ".join,
)
def test_wrong_use(place, options):
    """Exit code 2, and what it takes."""
    ran = waycairn("show", "done", *options, at=place)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert options[-2 if "--interval" in options else -1] in ran.stderr


def test_the_job_is_not_disturbed(place):
    """It takes no lock: it looks while another process is in the middle of a transaction, and changes no byte."""
    files = [*Path(place / ".waycairn").glob("*.db")]
    before = [file.read_bytes() for file in files]
    writer = sqlite3.connect(files[0], isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    try:
        assert waycairn("show", "done", "--watch", at=place).returncode == 0
    finally:
        writer.execute("ROLLBACK")
        writer.close()
    assert [file.read_bytes() for file in files] == before


def test_a_run_that_is_left_between_two_questions_is_not_called_dead(tmp_path):
    """Its row said running, then it was left, then nobody held it: the row is read again."""
    with wc.open(tmp_path / "store") as store:
        with store.run("quick"):
            running = store.find("quick")
        watcher = Watcher(store.core, running.id)
        left = store.find("quick")
        answers = [running, left]
        watcher._read = lambda: answers.pop(0)
        assert watcher.look().standing.word == "completed"


def test_a_run_that_is_deleted_meanwhile(tmp_path):
    """It is told as what it is, not as an end or a death."""
    with wc.open(tmp_path / "store") as store:
        with store.run("gone"):
            pass
        watcher = Watcher(store.core, store.find("gone").id)
        store.remove(store.find("gone").id)
        with pytest.raises(RunNotFound, match="was deleted while it was watched"):
            watcher.look()


def test_the_rate_is_that_of_this_entry(tmp_path):
    """What was done before, and the time since, say nothing about how fast it goes now."""
    with wc.open(tmp_path / "store") as store:
        with store.run("job", total=100) as run:
            watcher = Watcher(store.core, run.id)
            for number in run.each(range(100)):
                if number in {10, 20}:
                    run.checkpoint("here")
                    look = watcher.look()
                if number == 50:
                    break
        assert look.rate > 100
        time.sleep(0.5)
        with store.run("job", total=100) as run:
            assert watcher.look().rate is None
            for number in run.each(range(100)):
                time.sleep(0.01)
                if number in {60, 70}:
                    run.checkpoint("here")
                    look = watcher.look()
            assert 30 < look.rate < 100
            assert look.eta == pytest.approx((100 - look.standing.run.progress.done) / look.rate)
