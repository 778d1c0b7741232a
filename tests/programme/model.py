"""A store beside a model of it: acts in any order, kills in the midst of them, clocks that jump, owners that wake up."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from programme import isolation
from programme.expected import JOBS, Act, Clear, Delete, Discard, Facts, Pin, Remove, Save, Work, observe
from programme.tally import Budget, Tally
from waycairn.errors import OwnershipLost, RunIsHeld
from waycairn.upkeep import invariants
from waycairn.wiring import open_core
from waycairn.work.store import Store
from waycairn.world import crashpoints

__all__ = ["run"]

STORE = "store"
LIMIT = 30
"""Seconds after which the kernel ends an act that hangs."""
NAMES = st.sampled_from(["cursor", "table"])
JOB = st.sampled_from(JOBS)
COUNT = st.integers(0, 7)
PLACE = st.integers(0, 5)
KILL_AT = st.one_of(st.none(), st.integers(1, 12), st.integers(1, 60))
"""The crash point at which the act is killed, counted from its beginning; many acts are over before."""


class JumpingClock:
    """Stands still but for its jumps, in either direction; `monotonic` never goes back."""

    def __init__(self) -> None:
        self.time = 1_800_000_000.0

    def now(self) -> float:
        return self.time

    monotonic = staticmethod(time.monotonic)
    sleep = staticmethod(time.sleep)


class Machine(RuleBasedStateMachine):
    """One store and what it must hold."""

    tally: Tally
    root: Path

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=self.root))
        os.chdir(self.folder)
        self.clock = JumpingClock()
        self.facts: Facts = {"values": {}, "runs": {}}
        self.store = self._open()

    def _open(self) -> Store:
        return Store(open_core(STORE, clock=self.clock))

    def teardown(self) -> None:
        self.store.close()
        os.chdir(self.root)
        shutil.rmtree(self.folder)

    # -- acts --------------------------------------------------------------------------------------------------------

    @rule(name=NAMES, number=st.integers(0, 9), kill_at=KILL_AT)
    def save(self, name: str, number: int, kill_at: int | None) -> None:
        self._do(Save(name, number), kill_at)

    @rule(name=NAMES, place=PLACE, pinned=st.booleans(), kill_at=KILL_AT)
    def pin(self, name: str, place: int, pinned: bool, kill_at: int | None) -> None:
        self._do(Pin(name, place, pinned), kill_at)

    @rule(name=NAMES, place=PLACE, kill_at=KILL_AT)
    def delete(self, name: str, place: int, kill_at: int | None) -> None:
        self._do(Delete(name, place), kill_at)

    @rule(name=NAMES, kill_at=KILL_AT)
    def clear(self, name: str, kill_at: int | None) -> None:
        self._do(Clear(name), kill_at)

    @rule(job=JOB, count=COUNT, bad=st.frozensets(COUNT, max_size=2), fresh=st.booleans(), kill_at=KILL_AT)
    def work(self, job: str, count: int, bad: frozenset[int], fresh: bool, kill_at: int | None) -> None:
        self._do(Work(job, count, bad, fresh=fresh), kill_at)

    @rule(job=JOB, count=COUNT, stop=COUNT, how=st.sampled_from(["break", "raise"]), kill_at=KILL_AT)
    def leave(self, job: str, count: int, stop: int, how: str, kill_at: int | None) -> None:
        self._do(Work(job, count, stop=stop, how=how), kill_at)

    @rule(job=JOB, kill_at=KILL_AT)
    def discard(self, job: str, kill_at: int | None) -> None:
        self._do(Discard(job), kill_at)

    @rule(job=JOB, kill_at=KILL_AT)
    def remove(self, job: str, kill_at: int | None) -> None:
        self._do(Remove(job), kill_at)

    @rule(job=JOB, count=COUNT, at=COUNT)
    def take_over(self, job: str, count: int, at: int) -> None:
        """A second handle displaces the owner in the midst of an item; the owner wakes up and is refused."""
        act = Work(job, count)
        old = self._open()
        try:
            with pytest.raises(OwnershipLost) if self._reaches(act, at) else _nothing():
                for number in act.walk(old, lambda _: None):
                    if number == at:
                        with pytest.raises(RunIsHeld):
                            act.perform(self.store, lambda _: None)
                        self.store.takeover(job)
                        act.perform(self.store, lambda _: None)
                        self.tally.delivered["zombie owners"] += 1
        finally:
            old.close()
        *_, self.facts = act.plan(self.facts)

    def _reaches(self, act: Work, at: int) -> bool:
        """Whether the item is one that this entry does."""
        run = self.facts["runs"].get(act.job)
        is_done = run is not None and run["status"] != "discarded" and at in run["done"]
        return at < act.count and not is_done

    @rule(seconds=st.sampled_from([-1e7, -7200.0, -1.0, 1.0, 7200.0, 1e7]))
    def jump(self, seconds: float) -> None:
        self.clock.time += seconds

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = self._open()

    # -- doing them --------------------------------------------------------------------------------------------------

    def _do(self, act: Act, kill_at: int | None) -> None:
        planned = list(act.plan(self.facts))
        if kill_at is None:
            act.perform(self.store, lambda _: None)
            self.facts = planned[-1]
            return
        self.store.close()
        told = self._killed(act, kill_at)
        self.store = self._open()
        found = observe(self.store)
        if told[-1:] == ["all"]:
            planned = planned[-1:]
        fitting = [facts for facts in planned if _holds(facts, act, told)]
        assert found in fitting, f"killed at point {kill_at} of {act}, told {told[-3:]}: {found}"
        self.facts = found

    def _killed(self, act: Act, kill_at: int) -> list[str]:
        """Do it in a process that is killed at that crash point, unless it is over before; what it was told."""
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            _perform(act, self.clock, kill_at, writer)
        os.close(writer)
        with os.fdopen(reader) as lines:
            told = lines.read().splitlines()
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert code in {0, -signal.SIGKILL}, f"{act} ended with {code} instead of being killed: {told}"
        self.tally.delivered["kills"] += code != 0
        return told

    @invariant()
    def is_as_planned(self) -> None:
        self.tally.delivered["model steps"] += 1
        found = observe(self.store)
        assert found == self.facts
        assert not invariants.verify(self.store.core, folder=self.folder)


def _perform(act: Act, clock: JumpingClock, kill_at: int, writer: int) -> None:
    """Never returns."""
    code = 70
    try:
        signal.alarm(LIMIT)
        crashpoints.arm("*", kill_at, "KILL")
        store = Store(open_core(STORE, clock=clock))
        act.perform(store, lambda word: os.write(writer, f"{word}\n".encode()) and None)
        store.close()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _holds(facts: Facts, act: Act, told: list[str]) -> bool:
    """Whether everything that was acknowledged is in there."""
    if not isinstance(act, Work):
        return True
    run: Any = facts["runs"].get(act.job)
    for word, _, what in (one.partition(" ") for one in told):
        if word == "step" and (run is None or int(what) not in run["steps"]):
            return False
        if word == "items" and (run is None or int(what) > len(run["done"])):
            return False
    return True


class _nothing:
    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


def run(budget: Budget, folder: Path) -> Tally:
    """`most` is how many stories of up to 30 acts."""
    tally = Tally("model")
    began = time.monotonic()
    chance = budget.chance("model")
    here = Path.cwd()
    stories = 0
    while not (budget.is_spent or len(tally.bad) >= isolation.HOPELESS) and (
        budget.most is None or stories < budget.most
    ):
        seed, stories = chance.getrandbits(32), stories + _AT_ONCE
        try:
            _tell(seed, tally, folder)
        except Exception as error:
            tally.bad.append(f"seed {seed}: {''.join(traceback.format_exception(error))}")
    os.chdir(here)
    tally.seconds = time.monotonic() - began
    return tally


_AT_ONCE = 2
"""Stories of one seed."""


def _tell(seed: int, tally: Tally, folder: Path) -> None:
    settings = hypothesis.settings(
        max_examples=_AT_ONCE,
        stateful_step_count=30,
        deadline=None,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    machine = type("Story", (Machine,), {"tally": tally, "root": folder})
    run_state_machine_as_test(hypothesis.seed(seed)(machine), settings=settings)
