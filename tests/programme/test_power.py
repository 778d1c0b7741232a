"""The power-loss harness: no state is bad, and each planted bug has one that is."""

from __future__ import annotations

import pytest

from programme import power
from programme.mutants import quick
from programme.tally import Budget

pytestmark = pytest.mark.skipif(power.missing() is not None, reason=f"no recording file system: {power.missing()}")

STATES = 12_000
"""Some 340 of each workload; `make torture` goes through hundreds of thousands."""
BUGS = [(mutant.bug, *mutant.given["workloads"]) for mutant in quick("power")]
BUGS += [("commit-before-pack", "pages")]
"""A kill finds that one, too."""


def test_no_power_cut_loses_what_was_acknowledged(tmp_path):
    """Of every workload, in both models, with takeovers on the tape."""
    tally = power.run(Budget(600, most=STATES + STATES // 10), tmp_path)
    print(tally)
    assert tally.passed, "\n".join(tally.bad)
    assert tally.delivered["power-loss states"] >= STATES
    assert tally.delivered["resumed"] >= STATES // 200


@pytest.mark.parametrize(("bug", "workload"), BUGS)
def test_a_planted_bug_is_found(tmp_path, bug, workload):
    """The same check, on a job with one known mistake, must find a bad state: else it proves nothing."""
    tally = power.run(Budget(120, most=4000), tmp_path, bug=bug, workloads=(workload,))
    assert tally.bad, f"{bug} was not found: {tally}"
    print(f"{bug}: {tally.delivered['power-loss states']} states: {tally.bad[0]}")
