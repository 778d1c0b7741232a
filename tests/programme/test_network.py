"""Lost replies, resets, black holes and a crashing server; kills of jobs that use one."""

from __future__ import annotations

import subprocess
import sys

from programme import network, server_kills
from programme.scene import is_told
from programme.tally import Budget


def test_every_commit_is_there_once_whatever_the_network_does(postgres_server, tmp_path):
    """Survived or told, nothing acknowledged is lost, and the same call ends as without it."""
    workloads = ("values", "fold", "phases", "batch", "walk", "parts", "backup-runs")
    tally = network.run(Budget(35, most=40), tmp_path, postgres_server, workloads=workloads)
    print(tally)
    assert tally.passed, tally.bad
    assert tally.delivered["network faults"] >= 5  # 30 and more, unless the machine is very busy


def test_a_job_on_a_server_is_killed_anywhere(postgres_server, tmp_path):
    """Its lease does not have to run out: the dead of this host are known at once."""
    tally = server_kills.run(Budget(15, most=40), tmp_path, postgres_server, workloads=("values", "fold", "phases"))
    print(tally)
    assert tally.passed, tally.bad
    assert tally.delivered["kills"] >= 5


def test_a_lost_reply_that_is_taken_for_a_lost_commit_is_found(postgres_server, tmp_path):
    """The harness bites: a client that runs such a commit again, as another one, has it twice."""
    which = {"workloads": ("values",), "acts": ("lose reply",), "bug": "commit-twice"}
    tally = network.run(Budget(30, most=12), tmp_path, postgres_server, **which)
    print(tally, tally.bad[:1])
    assert tally.bad


def test_what_a_job_ended_by_stands_before_its_notes(tmp_path):
    """Also where one error led to another."""
    job = """
from waycairn.errors import StoreUnreachable
try:
    raise OSError("a driver's")
except OSError:
    error = StoreUnreachable("no answer\\n  from there")
    error.add_note("Nothing was deleted.")
    raise error
"""
    with (tmp_path / "errors").open("w") as errors:
        subprocess.run([sys.executable, "-c", job], stderr=errors, check=False)
    assert is_told(tmp_path / "errors", "StoreUnreachable")
    (tmp_path / "errors").write_text(
        'Traceback (most recent call last):\n  File "x.py", line 1, in <module>\nOSError: a driver\n'
    )
    assert not is_told(tmp_path / "errors")
