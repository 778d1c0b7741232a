"""The states themselves are right: a small correct job survives them all, and each model shows the bugs it must."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from programme import reference_job
from programme.victim import in_memory
from waycairn.crashtest.power import Disk, Model, missing, power_loss_states, recording

pytestmark = pytest.mark.skipif(missing() is not None, reason=f"no recording file system: {missing()}")

SAVES = 3


def verdicts(folder, bug: str) -> Iterator[tuple[Model, bool]]:
    """Run the job once, cut the power everywhere: each state, good or bad."""
    with in_memory(folder) as scratch:
        with recording(scratch / "recording") as disk:
            command = [sys.executable, reference_job.__file__, str(disk.root / "store"), str(disk.ack), str(SAVES), bug]
            subprocess.run(command, check=True)
        for model in Model:
            shown = Disk(disk.tape, scratch / "cut")
            for state in power_loss_states(disk.tape, model):
                try:
                    reference_job.check(shown.show(state) / "store", state.acks)
                except (AssertionError, OSError):
                    yield model, False
                else:
                    yield model, True


def test_a_right_job_loses_nothing(tmp_path):
    """No false alarm: the job that flushes everything in order has no bad state in either model."""
    found = list(verdicts(tmp_path, ""))
    assert all(is_good for _, is_good in found)
    assert len(found) > 250


@pytest.mark.parametrize("bug", reference_job.BUGS)
def test_each_model_shows_what_it_must(tmp_path, bug):
    """Each bug has bad states; of a parent that is not flushed only in the POSIX model: ext4 happens to hide it."""
    models = {Model.POSIX} if bug == "no-flush-of-parent" else set(Model)
    missing = set(models)
    for model, is_good in verdicts(tmp_path, bug):
        if not is_good:
            missing.discard(model)
        if not missing:
            return
    pytest.fail(f"{bug} was not found in {missing}")
