"""Many processes save into one store while some of them are killed: nothing acknowledged is lost, nothing is there
twice, and everyone who lives gets to the end."""

from __future__ import annotations

import os
import signal
import time
from contextlib import chdir
from pathlib import Path

import waycairn as wc
from crash.workloads import Told, open_store, read_acks
from crash.zygote import Order, Zygote
from programme.scene import last_line
from programme.tally import Budget, Tally
from programme.victim import in_memory

__all__ = ["run"]

PROCESSES = 64
_JOB = "programme.many:save_until_told"
_END = Path("end")
_WHO = "WAYCAIRN_JOB_NAME"
_ROUND = 15.0
"""Seconds of one store: jobs are ended by an alarm after a minute."""


def save_until_told(store: wc.Store, told: Told) -> None:
    """Save numbers one after the other under a name of one's own, from the newest on; now and then an item of a run."""
    name = os.environ[_WHO]
    number = store.latest(name, 0)
    while not _END.exists():
        number += 1
        store.save(name, number)
        told(f"number {number}")
        if number % 10 == 0:
            with store.run(f"run of {name}", pace="every item", progress="off") as run:
                for item in run.each(range(number)):
                    assert item < number
            told(f"item {number}")


class Crowd:
    """Processes by name; who is killed comes back under the same name."""

    def __init__(self, zygote: Zygote, folder: Path, tally: Tally, count: int) -> None:
        self._zygote, self._folder, self._tally = zygote, folder, tally
        self._work = folder / "work"
        self._work.mkdir(parents=True)
        self._living = {name: self._start(name) for name in (f"p{number}" for number in range(count))}

    def _start(self, name: str) -> int:
        paths = {"folder": self._work, "acks": self._folder / name, "errors": self._folder / f"{name}.errors"}
        texts = {word: str(path) for word, path in paths.items()}
        return self._zygote.start(Order(workload=_JOB, environment={_WHO: name}, **texts))

    def kill(self, name: str) -> None:
        os.kill(self._living[name], signal.SIGKILL)
        code = self._zygote.wait(self._living[name])
        if code == -signal.SIGKILL:
            self._tally.delivered["kills"] += 1
        else:
            self._complain(name, code)
        self._living[name] = self._start(name)

    def end(self) -> None:
        (self._work / _END).touch()
        for name, pid in self._living.items():
            code = self._zygote.wait(pid)
            if code:
                self._complain(name, code)

    def _complain(self, name: str, code: int) -> None:
        self._tally.bad.append(f"{name} ended with {code}: {last_line(self._folder / f'{name}.errors')}"[:500])

    def judge(self) -> None:
        with chdir(self._work), open_store(create=False) as store:
            for name in self._living:
                self._judge(store, name)

    def _judge(self, store: wc.Store, name: str) -> None:
        told = self._folder / name
        acks = read_acks(told.read_text().splitlines()) if told.exists() else {}
        newest = acks.get("number", 0)
        saved = [store.load(record.id) for record in reversed(store.checkpoints(name))] if newest else []
        if saved not in (list(range(1, newest + 1)), list(range(1, newest + 2))):
            self._tally.bad.append(f"{name}: {newest} acknowledged, {len(saved)} there: {saved[-5:]}")
        items = acks.get("item", 0)
        if items:
            done = store.core.catalog.loops(store.find(f"run of {name}").id)["items"]
            if not items <= done <= newest + 1:
                self._tally.bad.append(f"{name}: {items} items acknowledged, {done} done")


def run(budget: Budget, folder: Path, *, processes: int = PROCESSES) -> Tally:
    """At least one round, however long it takes to start everybody."""
    tally = Tally("many processes")
    chance = budget.chance("many")
    number = 0
    with in_memory(folder) as place, Zygote() as zygote:
        while not budget.is_spent:
            crowd = Crowd(zygote, place / f"store-{number}", tally, processes)
            ends = time.monotonic() + min(_ROUND, budget.seconds)
            while time.monotonic() < ends:
                time.sleep(chance.uniform(0.02, 0.1))
                crowd.kill(f"p{chance.randrange(processes)}")
            crowd.end()
            crowd.judge()
            number += 1
    tally.seconds = time.monotonic() - budget.began
    return tally
