"""Cut the power at every instant of real jobs: what was acknowledged is there, what is there is whole, and the same
call goes on to the right end."""

from __future__ import annotations

import contextlib
import itertools
import math
import random
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

from crash.workloads import WORKLOADS, read_acks, verify
from programme.tally import Budget, Tally
from programme.taped import Taped, in_memory, record, resume
from waycairn.crashtest.power import Disk, Model, State, missing, power_loss_states
from waycairn.crashtest.power.oplog import Ack, save

__all__ = ["find_bad", "missing", "run"]

WORKERS = 2
STATES = 12_000
"""Distinct states of one tape; then the next tape is worth more."""
SEEDS = 16
"""Of random choices on one tape, at most: each finds fewer states that are new."""
RESUMED = 100
"""One state in so many is taken to its end."""
BAD = 10
"""Bad states of one tape that are told; then the next tape."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One tape and how much of it is looked at, by a process of its own."""

    workload: str
    number: int
    seed: int
    most: int
    end: float
    """On the monotonic clock, which all processes share."""
    folder: Path


@dataclass
class Looked:
    """What came of a tape."""

    tape: str
    states: int = 0
    resumed: int = 0
    bad: list[str] = field(default_factory=list)


def run(budget: Budget, folder: Path) -> Tally:
    """Tape after tape of every workload, in two processes. Tapes that showed a bad state are kept in the folder."""
    tally = Tally("power")
    waiting: set[Future[Looked]] = set()
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
        units = _units(budget, folder)
        while True:
            if not budget.is_spent:
                waiting |= {pool.submit(look, unit) for unit in itertools.islice(units, WORKERS + 1 - len(waiting))}
            if not waiting:
                break
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for looked in [future.result() for future in done]:
                tally.delivered.update({"power-loss states": looked.states, "resumed": looked.resumed})
                tally.bad += looked.bad
    tally.seconds = time.monotonic() - budget.began
    return tally


def _units(budget: Budget, folder: Path) -> Iterator[Unit]:
    """Every workload undisturbed, then every workload with takeovers, and again with other ones."""
    states = STATES if budget.most is None else min(STATES, math.ceil(budget.most / (2 * len(WORKLOADS))))
    planned = 0
    for number in itertools.count():
        for workload in WORKLOADS:
            if budget.most is not None and planned >= budget.most:
                return
            planned += states
            yield Unit(workload, number, budget.seed, states, budget.began + budget.seconds, folder)


def look(unit: Unit) -> Looked:
    """Record a tape and check its states."""
    with in_memory(unit.folder) as scratch:
        taped = record(unit.workload, unit.number, unit.seed, scratch)
        looked = Looked(taped.name)
        for bad in check_tape(taped, unit, scratch, looked):
            looked.bad.append(bad)
            if len(looked.bad) >= BAD:
                break
    if looked.bad:
        save(unit.folder / f"{unit.workload}-{unit.number}.tape", taped.tape)
    return looked


def check_tape(taped: Taped, unit: Unit, scratch: Path, looked: Looked) -> Iterator[str]:
    """Yields what is wrong in each bad state. Counts states that differ in some byte."""
    disk = Disk(taped.tape, scratch / "cut")
    seen: dict[bytes, int] = {}
    for state, of in _states(taped, unit):
        digest = disk.digest(state)
        if seen.get(digest, -1) >= state.acks:
            continue
        looked.states += digest not in seen
        seen[digest] = state.acks
        disk.show(state)
        is_resumed = looked.states % RESUMED == 1
        looked.resumed += is_resumed
        try:
            check(taped, state, scratch / "cut/work", is_resumed=is_resumed)
        except Exception as error:
            yield f"tape {unit.number} of seed {unit.seed} ({taped.name}), {of}, {_told(state, error)}"
        if looked.states >= unit.most or time.monotonic() >= unit.end:
            return


def check(taped: Taped, state: State, work: Path, *, is_resumed: bool) -> None:
    """Raises if what was acknowledged is not there, or what is there is not right."""
    work.mkdir(exist_ok=True)  # a power cut that took the user's own folder
    with contextlib.chdir(work):
        verify(taped.workload, read_acks(taped.told[: state.acks]))
        if is_resumed:
            assert resume(taped.workload) == taped.golden, "resumed, it ends differently"


def _states(taped: Taped, unit: Unit) -> Iterator[tuple[State, str]]:
    """Seed after seed, in both models; of each a share of what is wanted, spread over the tape."""
    for seed in range(SEEDS):
        for model in Model:
            chance = Budget(0, seed=unit.seed).chance(f"{unit.workload} {unit.number} {model} {seed}")
            states = power_loss_states(taped.tape, model, seed=seed + unit.seed * SEEDS if seed else 0)
            # A quarter while the store comes into being (half of all ops, nothing acknowledged), the rest after it.
            early = [state for state in states if not state.acks]
            late = [state for state in states if state.acks]
            chosen = chance.sample(early, min(len(early), unit.most // 8))
            chosen += chance.sample(late, min(len(late), unit.most // 2 - len(chosen)))
            for state in sorted(chosen, key=lambda state: state.at):
                yield state, f"{model} {seed}"


def find_bad(workload: str, folder: Path, bug: str) -> tuple[str | None, int]:
    """A bad state of a job with a known mistake, of those after its first acknowledgement; and how many it took."""
    with in_memory(folder) as scratch:
        taped = record(workload, 0, 0, scratch, bug)
        begin = next(position for position, op in enumerate(taped.tape) if isinstance(op, Ack))
        states = power_loss_states(taped.tape, Model.POSIX, begin=begin)
        random.Random(0).shuffle(states)
        disk = Disk(taped.tape, scratch / "cut")
        for number, state in enumerate(states, start=1):
            disk.show(state)
            try:
                check(taped, state, scratch / "cut/work", is_resumed=False)
            except Exception as error:
                return _told(state, error), number
    return None, len(states)


def _told(state: State, error: Exception) -> str:
    return f"after op {state.at}, lost {state.lost}: {type(error).__name__}: {str(error)[:200]}"
