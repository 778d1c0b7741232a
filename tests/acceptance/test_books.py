"""The job of the demo, killed where a random instant may miss: in the middle of a growing file, and politely."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = ("report.md", "report.json", "concordance.jsonl")


def _start(place, *options):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WAYCAIRN")}
    command = [sys.executable, ROOT / "examples" / "books.py", "--most", "3", "--trace", place / "trace", *options]
    return subprocess.Popen(
        command, cwd=place, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def _signal_at(place, process, piece, number):
    """Send the signal as soon as the job has asked for that piece; returns its exit code and what it said."""
    deadline = time.monotonic() + 60
    while f" {piece}\n" not in (place / "trace").read_text() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    process.send_signal(number)
    said, _ = process.communicate(timeout=60)
    return process.returncode, said


def _finish(process):
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    return said


@pytest.fixture(scope="module")
def golden(tmp_path_factory):
    """What the job writes with nothing of waycairn in between."""
    place = tmp_path_factory.mktemp("golden")
    _finish(_start(place, "--forget", "--out", "out"))
    return {name: (place / "out" / name).read_bytes() for name in FILES}


@pytest.mark.parametrize("piece", ["clean 1", "rank 30", "concord 20"])
def test_killed_in_the_middle_of_a_phase(piece, tmp_path, golden):
    """At `concord 20` the growing file holds lines that no commit knows; they are cut off, none is twice."""
    (tmp_path / "trace").touch()
    options = ("--store", "store", "--out", "out")
    code, _ = _signal_at(tmp_path, _start(tmp_path, *options), piece, signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert "resumed run 'books'" in _finish(_start(tmp_path, *options))
    assert {name: (tmp_path / "out" / name).read_bytes() for name in FILES} == golden


def test_asked_to_stop(tmp_path, golden):
    """The cut is taken, the exit code says why, and nothing that was finished is done again."""
    (tmp_path / "trace").touch()
    options = ("--store", "store", "--out", "out")
    code, said = _signal_at(tmp_path, _start(tmp_path, *options), "rank 30", signal.SIGTERM)
    assert code == 143, said
    begun = (tmp_path / "trace").read_text().splitlines()
    _finish(_start(tmp_path, *options))
    after = (tmp_path / "trace").read_text().splitlines()[len(begun) :]
    assert not any(" clean " in line or " measure " in line or " count " in line for line in after)
    assert {name: (tmp_path / "out" / name).read_bytes() for name in FILES} == golden
