"""Some hundred kills of every workload: nothing acknowledged is lost, every resumed job ends as if nothing happened."""

from __future__ import annotations

from programme import kills
from programme.tally import Budget


def test_killed_anywhere_it_ends_the_same(tmp_path):
    """Hundreds of kills and some of each other kind; 0 bad outcomes."""
    tally = kills.run(Budget(seconds=300, seed=1, most=420), tmp_path)
    print(tally)
    assert tally.passed, "\n".join(tally.bad)
    assert tally.delivered["kills"] >= 320
    assert all(tally.delivered[kind] for kind in kills.KINDS.values())
