"""Owners that are stopped, displaced, woken up, forked and killed; many processes on one store."""

from __future__ import annotations

import pytest

from programme import many, owners
from programme.tally import Budget


def test_a_displaced_owner_changes_nothing(postgres_server, tmp_path):
    """On files and on a server: whoever is stopped, killed or lied to about time and process ids, one owner at a time."""
    tally = owners.run(Budget(30, most=40), tmp_path, postgres_server)
    print(tally)
    assert tally.passed, tally.bad
    assert tally.delivered["takeovers"] >= 3
    assert tally.delivered["clock jumps"] >= 3
    assert tally.delivered["forks"] >= 1
    assert tally.delivered["kills"] >= 3


@pytest.mark.parametrize(
    ("bug", "scenario", "tries"),
    [
        ("no-epoch-check", "zombie", 12),
        ("lease-by-wall-clock", "clocks_apart", 12),
        ("lock-in-children", "child_that_outlives_the_owner", 8),
    ],
)
def test_a_planted_bug_is_found(postgres_server, tmp_path, bug, scenario, tries):
    """The harness bites."""
    tally = owners.run(Budget(40, most=tries), tmp_path, postgres_server, scenarios=(scenario,), bug=bug)
    print(tally, tally.bad[:1])
    assert tally.bad


def test_many_processes_save_into_one_store(tmp_path):
    """Killed at random and started again: nothing acknowledged is lost, nothing doubled, everyone alive ends."""
    tally = many.run(Budget(8), tmp_path, processes=50)
    print(tally)
    assert tally.passed, tally.bad
    assert tally.delivered["kills"] >= 5
