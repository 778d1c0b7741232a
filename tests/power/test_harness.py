"""The harness bites: a right job survives every power cut, and each planted bug is found in the model that shows it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from power import reference_job
from power.mounted import missing, recording
from power.states import Disk, Model, power_loss_states

pytestmark = pytest.mark.skipif(missing() is not None, reason=f"no recording file system: {missing()}")

SAVES = 4


def bad_states(folder: Path, bug: str) -> dict[Model, tuple[int, int]]:
    """Run the job once, cut the power everywhere: states checked and states found bad, by model."""
    with recording(folder) as disk:
        command = [sys.executable, reference_job.__file__, str(disk.root / "store"), str(disk.ack), str(SAVES), bug]
        subprocess.run(command, check=True)
    counts = {}
    for model in Model:
        states = power_loss_states(disk.tape, model)
        shown, bad = Disk(disk.tape, folder / "cut"), 0
        for state in states:
            try:
                reference_job.check(shown.show(state) / "store", state.acks)
            except (AssertionError, OSError):
                bad += 1
        counts[model] = (len(states), bad)
        print(f"{bug or 'right job':22} {model:5}: {len(states)} states, {bad} bad")
    return counts


def test_a_right_job_loses_nothing(tmp_path):
    """No false alarm: the job that flushes everything in order has no bad state in either model."""
    counts = bad_states(tmp_path, "")
    assert all(states > 300 and bad == 0 for states, bad in counts.values()), counts


@pytest.mark.parametrize("bug", reference_job.BUGS)
def test_a_planted_bug_is_found(tmp_path, bug):
    """Each bug has bad states. Only the POSIX model sees what ext4 happens to hide."""
    counts = bad_states(tmp_path, bug)
    assert counts[Model.POSIX][1] > 0
    if bug != "no-flush-of-parent":
        assert counts[Model.EXT4][1] > 0
