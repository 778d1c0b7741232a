"""How a running job tells how far it is: a bar, lines, a callback, or nothing."""

from __future__ import annotations

import logging
import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import waycairn as wc
from waycairn.work.displays import Lines

JOB = """
import sys, time
import waycairn as wc
def work(n):
    time.sleep(0.02)
    if n % 50 == 7:
        raise ValueError("no")
    return n
with wc.open(sys.argv[1]) as store, store.run("replies", key="monday") as run:
    print("the job says: before")
    for item in run.map(work, range(200), workers=2):
        if item.value == 180:
            print("the job says: while")
print("the job says: done")
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[wc.Store]:
    with wc.open(tmp_path / "store") as opened:
        yield opened


def _in_a_terminal(folder: Path, stdout: Any = None, **environment: str) -> str:
    """What a person would have seen."""
    script = folder / "job.py"
    script.write_text(JOB)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, str(script), str(folder / "store")],
        stdout=stdout or theirs,
        stderr=theirs,
        stdin=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120", **environment},
    )
    os.close(theirs)
    seen = b""
    while True:
        try:
            more = os.read(ours, 65536)
        except OSError:
            break
        seen += more
    os.close(ours)
    assert process.wait(30) == 0, seen
    return seen.decode()


def test_a_bar_on_a_terminal(tmp_path: Path) -> None:
    """Name, count, failures, rate, time to go; it ends with where the run stands, and other output stays whole."""
    seen = _in_a_terminal(tmp_path)
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen)
    assert "━" in plain
    assert re.search(r"replies \[monday\].* of 200 done, \d failed, [\d.]+/s, \d+ s to go", plain), plain
    assert "196 of 200 done, 4 failed" in plain
    assert "the job says: done" in plain
    assert "\x1b[?25h" in seen, "the cursor is back"


def test_what_the_job_writes_into_a_file_goes_there(tmp_path: Path) -> None:
    """Also while a bar is drawn on the terminal."""
    with (tmp_path / "out").open("w") as out:
        assert "━" in _in_a_terminal(tmp_path, stdout=out)
    assert (tmp_path / "out").read_text() == "the job says: before\nthe job says: while\nthe job says: done\n"


def test_a_terminal_can_be_left_alone(tmp_path: Path) -> None:
    """WAYCAIRN_PROGRESS=off: nothing but what the job itself says."""
    assert _in_a_terminal(tmp_path, WAYCAIRN_PROGRESS="off").split("\r\n") == [
        "the job says: before",
        "the job says: while",
        "the job says: done",
        "",
    ]


def _count(run: wc.Run, kind: str) -> None:
    if kind == "map":
        run.map(_slow, range(40), workers=1).drain()
    elif kind == "items":
        for item in run.items(range(40)):
            with item:
                _slow(item.value)
    else:
        for number in run.each(range(40)):
            _slow(number)


def _slow(_: int) -> None:
    time.sleep(0.05)


@pytest.mark.parametrize("kind", ["map", "items", "each"])
def test_a_line_now_and_then(
    store: wc.Store, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], kind: str
) -> None:
    """On stderr if it is no terminal and logging is not set up; the last one says where the run stands."""
    monkeypatch.setattr(Lines, "interval", 0.4)
    with store.run("replies") as run:
        _count(run, kind)
    lines = capfd.readouterr().err.splitlines()
    assert 3 <= len(lines) <= 7
    assert re.fullmatch(r"waycairn: replies: \d+ of 40 done, [\d.]+/s, \d+ s to go", lines[1])
    assert lines[-1].startswith("waycairn: replies: 40 of 40 done")


def test_lines_go_to_the_log_where_there_is_one(
    store: wc.Store,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """As INFO of waycairn.progress."""
    monkeypatch.setattr(Lines, "interval", 0.4)
    with caplog.at_level(logging.INFO, "waycairn.progress"), store.run("replies", progress="log") as run:
        _count(run, "each")
    assert len([record for record in caplog.records if record.name == "waycairn.progress"]) >= 3
    assert capfd.readouterr().err == ""


def test_short_jobs_say_nothing(store: wc.Store, capfd: pytest.CaptureFixture[str]) -> None:
    """Nobody wants a line of a job that is over at once."""
    with store.run("replies") as run:
        for _ in run.each(range(100)):
            pass
    assert capfd.readouterr().err == ""


def test_a_mode_that_does_not_exist_is_refused(store: wc.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the run is entered."""
    wrong: Any = "loud"
    with pytest.raises(ValueError, match="auto, bar, log, off, not 'loud'"):
        store.run("replies", progress=wrong)
    monkeypatch.setenv("WAYCAIRN_PROGRESS", "silent")
    with pytest.raises(ValueError, match="WAYCAIRN_PROGRESS"):
        wc.open(store.url)
    assert store.runs() == []


def test_a_callback_hears_how_far_it_is(store: wc.Store) -> None:
    """Now and then, and at the end, with a Summary."""
    heard: list[Any] = []
    with store.run("replies") as run:
        run.map(_slow, range(60), workers=2, on_progress=heard.append).drain()
    assert len(heard) >= 3
    assert [summary.completed for summary in heard] == sorted(summary.completed for summary in heard)
    assert (heard[-1].completed, heard[-1].total, heard[-1].pending) == (60, 60, 0)
    assert heard[-2].rate == pytest.approx(40, rel=0.5)


def test_a_callback_that_raises_harms_nothing(store: wc.Store, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged once, with its traceback, and not called again; the batch goes on."""
    calls = []

    def broken(_: Any) -> None:
        calls.append(1)
        raise RuntimeError("the dashboard is down")

    with store.run("replies") as run:
        report = run.map(_slow, range(40), workers=2, on_progress=broken).drain()
    assert report.completed == 40
    assert len(calls) == 1
    assert "the dashboard is down" in caplog.text
    assert "not called again" in caplog.text


def test_a_closed_stderr_stops_nothing(tmp_path: Path) -> None:
    """`2>&-`, or a pipe that nobody reads: the job is done all the same."""
    script = tmp_path / "job.py"
    script.write_text(JOB.replace("import waycairn as wc\n", _SOON, 1))
    command = f"{sys.executable} {script} {tmp_path / 'store'}"
    for end in ("2>&-", "2> >(true)"):
        ended = subprocess.run(["bash", "-c", f"{command} {end}"], capture_output=True, text=True, check=False)
        assert ended.returncode == 0
        assert ended.stdout.endswith("the job says: done\n")


_SOON = "import waycairn as wc\nfrom waycairn.work.displays import Lines\nLines.interval = 0.2\n"
