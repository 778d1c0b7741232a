"""The power is cut while something is backed up, deleted and brought back: it is in its place, in a whole backup, or in both."""

from __future__ import annotations

import pytest

from crash import backing, leaving_paths, leaving_rows, leaving_runs
from programme import power
from programme.tally import Budget

STATES = 2_400
WORKLOADS = (
    *backing.WORKLOADS,
    *leaving_paths.WORKLOADS,
    *leaving_rows.WORKLOADS,
    *leaving_runs.WORKLOADS,
)


@pytest.mark.torture
@pytest.mark.skipif(power.missing() is not None, reason=f"no recording file system: {power.missing()}")
def test_what_is_deleted_is_in_a_backup_at_every_power_cut(tmp_path):
    """At least 2,000 states of exports, deletes, restores and prunes, with takeovers on the tape; 0 bad."""
    tally = power.run(Budget(900, seed=8, most=STATES), tmp_path, workloads=WORKLOADS)
    print(tally)
    assert tally.passed, "\n".join(tally.bad)
    assert tally.delivered["power-loss states"] >= 2_000
    assert tally.delivered["resumed"] >= 10
