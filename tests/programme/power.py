"""Cut the power at every instant of real jobs: what was acknowledged is there, what is there is whole, and the same
call goes on to the right end."""

from __future__ import annotations

import itertools
import math
import random
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

from crash.workloads import WORKLOADS
from programme.alike import digest_of, visible
from programme.tally import Budget, Tally
from programme.taped import Taped, check, check_end, record
from programme.victim import in_memory
from waycairn.crashtest.power import Disk, Model, State, missing, power_loss_states
from waycairn.crashtest.power.oplog import save

__all__ = ["missing", "run"]

WORKERS = 2
STATES = 12_000
"""Distinct states of one tape; then the next tape is worth more."""
SEEDS = 16
"""Of random choices on one tape, at most: each finds fewer states that are new."""
RESUMED = 150
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
    bug: str = ""


@dataclass
class Looked:
    """What came of a tape."""

    states: int = 0
    views: int = 0
    """As the store sees them: many states differ only in what SQLite takes back."""
    resumed: int = 0
    bad: list[str] = field(default_factory=list)


def run(budget: Budget, folder: Path, *, bug: str = "", workloads: Sequence[str] = tuple(WORKLOADS)) -> Tally:
    """Tape after tape of every workload, in two processes. Tapes that showed a bad state are kept in the folder.

    `bug` is planted into every job that is recorded; then the first bad state is enough.
    """
    tally = Tally("power")
    units = _units(budget, folder, workloads, bug)
    for looked in map(look, units) if bug else _in_parallel(units, budget):
        kinds = {"power-loss states": looked.states, "different to the store": looked.views, "resumed": looked.resumed}
        tally.delivered.update(kinds)
        tally.bad += looked.bad
        if bug and looked.bad:
            break
    tally.seconds = time.monotonic() - budget.began
    return tally


def _in_parallel(units: Iterator[Unit], budget: Budget) -> Iterator[Looked]:
    waiting: set[Future[Looked]] = set()
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
        while True:
            if not budget.is_spent:
                waiting |= {pool.submit(look, unit) for unit in itertools.islice(units, WORKERS + 1 - len(waiting))}
            if not waiting:
                return
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)


def _units(budget: Budget, folder: Path, workloads: Sequence[str], bug: str) -> Iterator[Unit]:
    """Every second workload undisturbed, the others with takeovers; then again with other ones."""
    states = STATES if budget.most is None else min(STATES, math.ceil(budget.most / len(workloads)))
    planned = 0
    for turn in itertools.count():
        for index, workload in enumerate(workloads):
            if budget.is_spent or (budget.most is not None and planned >= budget.most):
                return
            planned += states
            number = turn + (index + budget.seed) % 2
            yield Unit(workload, number, budget.seed, states, budget.began + budget.seconds, folder, bug)


def look(unit: Unit) -> Looked:
    """Record a tape and check its states."""
    looked = Looked()
    with in_memory(unit.folder) as scratch:
        taped = record(unit.workload, unit.number, unit.seed, scratch, unit.bug)
        for bad in look_through(taped, unit, scratch, looked):
            looked.bad.append(bad)
            if len(looked.bad) >= (1 if unit.bug else BAD):
                break
    if looked.bad:
        save(unit.folder / f"{unit.workload}-{unit.number}.tape", taped.tape)
    return looked


def look_through(taped: Taped, unit: Unit, scratch: Path, looked: Looked) -> Iterator[str]:
    """Yields what is wrong in each bad state. Counts states that differ in some byte."""
    disk, work = Disk(taped.tape, scratch / "cut"), scratch / "cut/work"
    seen: dict[bytes, int] = {}
    good: set[tuple[bytes, int]] = set()
    for state, of in _states(taped, unit):
        if looked.states >= unit.most or time.monotonic() >= unit.end:
            return
        digests = disk.digests(state)
        digest = digest_of(digests)
        if seen.get(digest, -1) >= state.acks:
            continue
        looked.states += digest not in seen
        seen[digest] = state.acks
        view = visible(disk.show(state), digests), state.acks
        is_resumed = looked.states % RESUMED == 1
        if view in good and not is_resumed:
            continue
        disk.show(state)
        looked.views += 1
        wrong = list(check(taped.story, work, taped.history[: state.acks]))
        if not wrong:
            good.add(view)
            if is_resumed:
                looked.resumed += 1
                wrong = list(check_end(taped.story, work))
        if wrong:
            tape = f"tape {unit.number} of seed {unit.seed} ({taped.story})"
            yield f"{tape}, {of}, after op {state.at}, lost {state.lost}: {'; '.join(wrong)}"


def _states(taped: Taped, unit: Unit) -> Iterator[tuple[State, str]]:
    """Seed after seed, in both models; of each a share of what is wanted, spread over the tape."""
    share = 1.0 if unit.bug else min(1.0, unit.most / (16 * len(taped.tape)))  # about three times what is wanted
    for seed in range(SEEDS):
        for model in Model:
            chance = Budget(0, seed=unit.seed).chance(f"{unit.workload} {unit.number} {model} {seed}")
            states = power_loss_states(taped.tape, model, seed=seed + unit.seed * SEEDS if seed else 0, share=share)
            chosen = _spread(states, unit.most // 2, chance)
            if unit.bug:
                chance.shuffle(chosen)  # found sooner than in the order of the tape
            else:
                chosen.sort(key=lambda state: state.at)  # one state is quickly made from the one before
            for state in chosen:
                yield state, f"{model} {seed}"


def _spread(states: list[State], most: int, chance: random.Random) -> list[State]:
    """A quarter while the store comes into being (half of all ops, nothing acknowledged), the rest after it."""
    early = [state for state in states if not state.acks]
    late = [state for state in states if state.acks]
    chosen = chance.sample(early, min(len(early), most // 4))
    return chosen + chance.sample(late, min(len(late), most - len(chosen)))
