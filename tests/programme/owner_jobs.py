"""Jobs for the tests of ownership: slow ones, ones that fork, ones whose clock jumps. Started by `module:function`."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import waycairn as wc
from crash.workloads import ADDRESS, STORE, WORKLOADS, Told
from waycairn.errors import OwnershipLost, RunIsHeld, RunNotFound, UsedAfterFork
from waycairn.process import LeaseOwnership, identity
from waycairn.wiring import open_core
from waycairn.work.store import Store
from waycairn.world import crashpoints

SETTINGS = "WAYCAIRN_JOB_CLOCK"
"""JSON: see `_Settings`."""
NUMBERS = 30
SLOW = "slow"


def slow_fold(store: wc.Store, told: Told, nap: float = 0.004) -> None:
    with store.run(SLOW, pace="2 items") as run:
        state = run.state({"sum": 0})
        out = run.output("slow.txt", append=True)
        for number in run.each(range(NUMBERS)):
            state["sum"] += number
            out.write(f"{number}\n" * (1 + number % 4))
            time.sleep(nap)
    told(f"done {NUMBERS}")


def persistent(store: wc.Store, told: Told) -> None:
    """Tries until the run is done, by whomever."""
    while True:
        try:
            return slow_fold(store, told)
        except RunIsHeld:
            time.sleep(0.01)
        except OwnershipLost:
            continue


def displace(store: wc.Store, told: Told) -> None:
    """Unless somebody is entering at this moment, or nobody has yet."""
    with suppress(RunIsHeld, RunNotFound):
        store.takeover(SLOW)
        told("takeover 1")


# -- forks -------------------------------------------------------------------------------------------------------------


def fork_inside(store: wc.Store, told: Told) -> None:
    """In the middle of an item a child uses the run, is refused, and leaves; the parent goes on."""
    with store.run("forks", pace="2 items") as run:
        state = run.state({"sum": 0})
        out = run.output("forks.txt", append=True)
        for number in run.each(range(8)):
            state["sum"] += number
            out.write(f"{number}\n")
            if number == 5 and not os.path.exists("child"):
                child = os.fork()
                if child == 0:
                    _misuse(store, run)
                    raise SystemExit(3)  # through the blocks of the run and the store: leaving them does nothing
                os.waitpid(child, 0)
                assert Path("child").read_text() == "refused refused refused "
    told("done 1")


def _misuse(store: wc.Store, run: wc.Run) -> None:
    crashpoints.disarm()  # the parent is to be killed there
    acts: list[Any] = [
        lambda: run.checkpoint(force=True),
        lambda: run.step("of a child", int),
        lambda: store.save("of a child", 1),
    ]
    for act in acts:
        with open("child", "a") as file:
            try:
                act()
            except UsedAfterFork:
                file.write("refused ")
            else:
                file.write("done ")


def fork_and_go_on(store: wc.Store, told: Told) -> None:
    """A child that only sleeps, and may outlive the owner."""
    with store.run("forks", pace="2 items") as run:
        out = run.output("forks.txt", append=True)
        for number in run.each(range(8)):
            out.write(f"{number}\n")
            if number == 2 and not os.path.exists("child"):
                child = os.fork()
                if child == 0:
                    signal.alarm(20)
                    signal.pause()
                Path("child").write_text(str(child))
    told("done 1")


# -- clocks ------------------------------------------------------------------------------------------------------------


class JumpingClock:
    """The clock of this host, `ahead` seconds off; after `calls` looks at it, `jump` seconds more. `monotonic` begins
    anywhere, as after a restart of the machine."""

    def __init__(self, ahead: float = 0.0, jump: float = 0.0, calls: int = 0, monotonic: float = 0.0) -> None:
        self._ahead, self._jump, self._left = ahead, jump, calls
        self._begin = monotonic - time.monotonic()

    def now(self) -> float:
        self._left -= 1
        if self._left == 0:
            self._ahead += self._jump
        return time.time() + self._ahead

    def monotonic(self) -> float:
        return time.monotonic() + self._begin

    @staticmethod
    def sleep(seconds: float) -> None:
        time.sleep(seconds)


def by_another_clock(_: wc.Store, told: Told) -> None:
    """A workload on a host of another name whose clock is wrong; its lease is short."""
    settings = json.loads(os.environ[SETTINGS])
    host, lease = settings.pop("host", ""), settings.pop("lease", 60.0)
    workload = settings.pop("workload")
    if host:
        identity._boot = lambda: host
    with open_by(JumpingClock(**settings), lease) as store:
        WORKLOADS[workload].run(store, told)


def open_by(clock: JumpingClock, lease: float) -> Store:
    address = os.environ.get(ADDRESS, "")
    packs = Path(STORE, "packs") if address else None
    core = open_core(address or STORE, packs=packs, clock=clock)
    if isinstance(core.ownership, LeaseOwnership):
        core.ownership = LeaseOwnership(core.catalog, clock, lease)
    return Store(core)
