"""Lost replies, resets, black holes and a crashing server; kills of jobs that use one."""

from __future__ import annotations

from programme import network, server_kills
from programme.tally import Budget


def test_every_commit_is_there_once_whatever_the_network_does(postgres_server, tmp_path):
    """Survived or told, nothing acknowledged is lost, and the same call ends as without it."""
    workloads = ("values", "fold", "phases", "batch", "walk", "parts")
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
