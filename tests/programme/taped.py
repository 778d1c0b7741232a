"""A workload on tape: what it asked of a recording file system, what it told, and what it ends with."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import waycairn as wc
from crash import job
from crash.workloads import STORE, WORKLOADS, outcome
from programme.victim import look_at
from waycairn.crashtest.power.mounted import recording
from waycairn.crashtest.power.oplog import AnyOp, acknowledged
from waycairn.world import crashpoints, history
from waycairn.world.history import Event, read_history

__all__ = ["Story", "Taped", "check", "check_end", "events_of", "record", "run_story"]


@dataclass(frozen=True, slots=True)
class Golden:
    """How a workload ends without any fault, and the points it passes: a name and how often."""

    outcome: dict[str, Any]
    points: list[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Story:
    """Which processes there were: some that were killed, and the one that came to the end."""

    workload: str
    golden: Golden
    kills: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join([self.workload, *self.kills])


@dataclass(frozen=True, slots=True)
class Taped:
    story: Story
    tape: list[AnyOp]
    history: Sequence[Event]
    """Everything acknowledged: one event for each mark on the tape."""


def record(workload: str, number: int, seed: int, folder: Path, bug: str = "") -> Taped:
    """Run a story on a recording file system."""
    with recording(folder / "recording") as disk:
        work = disk.root / "work"
        work.mkdir()
        disk.settled()  # the folder itself is the user's, not the library's, to make durable
        story = run_story(workload, number, seed, work, disk.ack, folder, bug)
    return Taped(story, disk.tape, events_of(acknowledged(disk.tape), folder))


def run_story(  # noqa: PLR0917 - two callers
    workload: str, number: int, seed: int, work: Path, acks: Path, folder: Path, bug: str = ""
) -> Story:
    """Story 0 is of one undisturbed process; in story n one to three are killed before, chosen by the seed.

    What they acknowledge is appended to `acks`; `folder` is for what else has to be found out.
    """
    golden = golden_of(workload, folder)
    chance = random.Random(f"{seed} {workload} {number}")
    kills: list[str] = []
    for _ in range(chance.randint(1, 3) if number else 0):
        name, hits = chance.choice(golden.points)
        point = f"{name}@{chance.randint(1, hits)}"
        code = run_job(workload, work, acks, bug, point)
        if code == 0:
            return Story(workload, golden, tuple(kills))  # its end came before that point
        assert code == -signal.SIGKILL, f"{workload} ended with exit code {code} at {point}"
        kills.append(point)
    code = run_job(workload, work, acks, bug)
    assert code == 0, f"{workload} ended with exit code {code}"
    return Story(workload, golden, tuple(kills))


def events_of(lines: Sequence[str], folder: Path) -> Sequence[Event]:
    """What was acknowledged, from the lines of a history."""
    file = folder / "history"
    file.write_text("".join(f"{line}\n" for line in lines))
    return read_history(file)


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


def resume(workload: str) -> dict[str, Any]:
    """Go on to the end in this process, in the working directory; what is there then."""
    with wc.open(STORE) as store:
        WORKLOADS[workload].run(store, lambda _: None)
    return outcome()


def check(story: Story, work: Path, history: Sequence[Event]) -> Iterator[str]:
    """What was acknowledged and is not there, and what is there and is not right."""
    work.mkdir(exist_ok=True)  # a power cut that took the user's own folder
    try:
        yield from look_at(WORKLOADS[story.workload], work, history, leftovers=None)
    except Exception as error:
        yield f"it cannot be looked at: {type(error).__name__}: {str(error)[:200]}"


def check_end(story: Story, work: Path) -> Iterator[str]:
    """The same call again must end as if nothing had happened."""
    try:
        with contextlib.chdir(work):
            end = resume(story.workload)
    except Exception as error:
        yield f"resumed, it fails: {type(error).__name__}: {str(error)[:200]}"
    else:
        if end != story.golden.outcome:
            yield "resumed, it ends differently"
