"""A workload on tape: what it asked of a recording file system, what it told, and what it ends with."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import waycairn as wc
from crash import job
from crash.workloads import STORE, WORKLOADS, Told, outcome
from waycairn.crashtest.power.mounted import recording
from waycairn.crashtest.power.oplog import AnyOp, acknowledged
from waycairn.world import crashpoints, history
from waycairn.world.history import Event, read_history

__all__ = ["Golden", "Taped", "golden_of", "record", "resume", "run_job"]


@dataclass(frozen=True, slots=True)
class Golden:
    """How a workload ends without any fault, and the points it passes: a name and how often."""

    outcome: dict[str, Any]
    points: list[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Taped:
    workload: str
    kills: tuple[str, ...]
    """Where processes died before the one that came to the end: their takeovers are on the tape."""
    tape: list[AnyOp]
    history: Sequence[Event]
    """Everything acknowledged: one event for each mark on the tape."""
    golden: dict[str, Any]

    @property
    def name(self) -> str:
        return " ".join([self.workload, *self.kills])


def record(workload: str, number: int, seed: int, folder: Path, bug: str = "") -> Taped:
    """Tape 0 is of one undisturbed process; before tape n one to three processes are killed, chosen by the seed."""
    golden = golden_of(workload, folder)
    chance = random.Random(f"{seed} {workload} {number}")
    delivered = []
    with recording(folder / "recording") as disk:
        work = disk.root / "work"
        work.mkdir()
        disk.settled()  # the folder itself is the user's, not the library's, to make durable
        for _ in range(chance.randint(1, 3) if number else 0):
            name, hits = chance.choice(golden.points)
            point = f"{name}@{chance.randint(1, hits)}"
            code = run_job(workload, work, disk.ack, bug, point)
            assert code in {0, -signal.SIGKILL}, f"{workload} ended with exit code {code} at {point}"
            delivered += [point] if code else []
        code = run_job(workload, work, disk.ack, bug)
        assert code == 0, f"{workload} ended with exit code {code}"
    return Taped(workload, tuple(delivered), disk.tape, _events(disk.tape, folder), golden.outcome)


def _events(tape: list[AnyOp], folder: Path) -> Sequence[Event]:
    lines = folder / "history"
    lines.write_text("".join(f"{line}\n" for line in acknowledged(tape)))
    return read_history(lines)


def run_job(workload: str, work: Path, acks: Path, bug: str = "", point: str = "") -> int:
    """As a process of its own, killed at the point if there is one; returns its exit code, negative for a signal.
    What it acknowledges is written to `acks`, see `waycairn.world.history`.

    Forked from this one, which has everything imported: a new interpreter would take longer than the job.
    """
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.chdir(work)
            if point:
                name, _, hit = point.rpartition("@")
                crashpoints.arm(name, int(hit), "KILL")
            history.begin(acks)
            job.main(workload, os.devnull, bug)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def golden_of(workload: str, folder: Path) -> Golden:
    """Run it in this process, on a common file system."""
    common = folder / "common"
    common.mkdir()
    hits = crashpoints.arm("", act="RAISE")  # no point has no name: they are only counted
    try:
        with contextlib.chdir(common):
            end = resume(workload)
    finally:
        crashpoints.disarm()
    return Golden(end, sorted(hits.items()))


def silent(_: str) -> None:
    """Nobody is told."""


def resume(workload: str, told: Told = silent) -> dict[str, Any]:
    """Go on to the end in this process, in the working directory; what is there then."""
    with wc.open(STORE) as store:
        WORKLOADS[workload].run(store, told)
    return outcome()
