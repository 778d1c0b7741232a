"""Cut the power at every instant of real jobs: what was acknowledged is there, what is there is whole, and the same
call goes on to the right end."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import waycairn as wc
from crash import job
from crash.bugs import BUGS
from crash.workloads import STORE, WORKLOADS, Told, outcome, read_acks, verify
from power.mounted import missing, recording
from power.oplog import Ack, AnyOp
from power.states import Disk, Model, State, power_loss_states

pytestmark = pytest.mark.skipif(missing() is not None, reason=f"no recording file system: {missing()}")

MOST = int(os.environ.get("WAYCAIRN_TEST_STATES", "250"))
"""States checked for each workload and model."""
RESUMED = 12
"""Of these, states from which the job is taken to its end."""

TAKEOVERS = {"fold": "cut.committed@4:KILL", "pages": "pack.rename@3:KILL", "values": "catalog.commit@3:KILL"}
"""Workloads whose first process is killed, so that a second one takes over: on the tape are both."""


@dataclass(frozen=True, slots=True)
class Recorded:
    workload: str
    tape: list[AnyOp]
    golden: dict

    @property
    def told(self) -> list[str]:
        return [op.text.strip() for op in self.tape if isinstance(op, Ack)]


def record(workload: str, folder: Path, bug: str = "") -> Recorded:
    """Run the job on a recording file system, and once more on a common one: its end is the one to compare with."""
    with recording(folder) as disk:
        work = disk.root / "work"
        work.mkdir()
        with contextlib.chdir(disk.root):
            handle = os.open(".", os.O_RDONLY)
            os.fsync(handle)  # the folder itself is the user's, not the library's, to make durable
            os.close(handle)
        command = [sys.executable, job.__file__, workload, str(disk.ack), bug]
        if workload in TAKEOVERS:
            crash = {**os.environ, "WAYCAIRN_CRASH": TAKEOVERS[workload]}
            assert subprocess.run(command, cwd=work, env=crash, check=False).returncode == -signal.SIGKILL
        subprocess.run(command, cwd=work, check=True)
    (folder / "common").mkdir()
    with contextlib.chdir(folder / "common"):
        return Recorded(workload, disk.tape, resume(workload))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Each workload is recorded once, for both models."""
    known: dict[str, Recorded] = {}

    def get(workload: str) -> Recorded:
        if workload not in known:
            folder = tmp_path_factory.mktemp(workload)
            known[workload] = record(workload, folder / "disk")
        return known[workload]

    return get


def spread(states: list[State], most: int) -> list[State]:
    """At most so many of the states, evenly, the last one included."""
    if len(states) <= most:
        return states
    return [states[(number + 1) * len(states) // most - 1] for number in range(most)]


def chosen_of(states: list[State]) -> list[State]:
    """A quarter while the store comes into being (half of all ops, nothing acknowledged), the rest from there on."""
    early = spread([state for state in states if not state.acks], MOST // 4)
    return early + spread([state for state in states if state.acks], MOST - len(early))


def silent(_: str) -> None:
    """Nobody is told."""


def resume(workload: str, told: Told = silent) -> dict:
    with wc.open(STORE) as store:
        WORKLOADS[workload].run(store, told)
    return outcome()


def bad_states(recorded: Recorded, model: Model, folder: Path, resumed: int) -> Iterator[str]:
    """Check states of the model; yields what is wrong in each bad one. Prints the counts."""
    everything = power_loss_states(recorded.tape, model)
    chosen = chosen_of(everything)
    taken_up = {id(state) for state in spread(chosen, resumed)} if resumed else set()
    disk, counts, began = Disk(recorded.tape, folder), Counter(), time.monotonic()
    for state in chosen:
        disk.show(state)
        (folder / "work").mkdir(exist_ok=True)  # a power cut that took the user's own folder
        with contextlib.chdir(folder / "work"):
            try:
                counts["with a store"] += verify(recorded.workload, read_acks(recorded.told[: state.acks]))
                if id(state) in taken_up:
                    counts["resumed"] += 1
                    assert resume(recorded.workload) == recorded.golden, "resumed, it ends differently"
            except Exception as error:
                counts["bad"] += 1
                yield f"after op {state.at}, lost {state.lost}: {type(error).__name__}: {str(error)[:200]}"
    shutil.rmtree(folder)
    print(
        f"{recorded.workload} {model}: {len(recorded.tape)} ops, {len(everything)} states, {len(chosen)} checked "
        f"({counts['with a store']} with a store, {counts['resumed']} resumed), {counts['bad']} bad, "
        f"{(time.monotonic() - began) / len(chosen) * 1000:.1f} ms a state"
    )


@pytest.mark.parametrize("model", list(Model))
@pytest.mark.parametrize("workload", WORKLOADS)
def test_no_power_cut_loses_what_was_acknowledged(recorded, tmp_path, workload, model):
    """Every state that POSIX allows, and every state that ext4 leaves."""
    tape = recorded(workload)
    assert len(tape.told) > 0, "a job that acknowledges nothing proves nothing"
    assert len(power_loss_states(tape.tape, model)) > 100
    assert list(bad_states(tape, model, tmp_path / "cut", RESUMED)) == []


@pytest.mark.parametrize(
    ("bug", "workload"),
    [
        ("no-flush-of-files", "pages"),
        ("no-flush-of-directories", "pages"),
        ("synchronous-normal", "fold"),
        ("commit-before-pack", "pages"),
        ("output-after-commit", "again"),
    ],
)
def test_a_planted_bug_is_found(tmp_path, bug, workload):
    """The same check, on a job with one known mistake, must find a bad state: else it proves nothing."""
    assert bug in BUGS
    tape = record(workload, tmp_path / "disk", bug)
    found = next(bad_states(tape, Model.POSIX, tmp_path / "cut", resumed=0), None)
    assert found is not None, f"{bug} was not found"
    print(f"{bug}: {found}")
