"""The tutorial tells the truth: its job, killed and started again, leaves forty lines and none twice."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

TUTORIAL = Path(__file__).resolve().parents[2] / "docs" / "tutorial" / "first-job.md"


def _job():
    """The first program of the page."""
    return re.search(r"^```python\n(.*?)^```", TUTORIAL.read_text("utf-8"), re.MULTILINE | re.DOTALL).group(1)


def _start(folder, **options):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WAYCAIRN")}
    return subprocess.Popen(
        [sys.executable, "job.py"], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, **options
    )


def _blocks(lines):
    return [int(line.split()[0]) for line in lines if re.fullmatch(r"\d+ done\n", line)]


def test_killed_and_started_again(tmp_path):
    """As the page says: kill -9 in the middle, go on, every block once in the file, and a third start does nothing."""
    (tmp_path / "job.py").write_text(_job(), "utf-8")
    with _start(tmp_path) as first:
        seen = []
        for line in first.stdout:
            seen.append(line)
            if line.startswith("15000 "):
                first.kill()
    assert first.returncode == -signal.SIGKILL
    with _start(tmp_path, stderr=subprocess.STDOUT) as second:
        said = list(second.stdout)
    assert second.returncode == 0
    assert said[0].startswith("resumed run 'primes'")
    went_on = _blocks(said)
    assert went_on[0] > 0, "the second start began anew"
    assert went_on[-1] == 39_000
    lines = (tmp_path / "primes.txt").read_text("utf-8").splitlines()
    assert [int(line.split()[0]) for line in lines] == list(range(0, 40_000, 1000))
    assert sum(int(line.split(":")[1]) for line in lines) == 4203
    with _start(tmp_path) as third:
        assert _blocks(third.stdout) == []
