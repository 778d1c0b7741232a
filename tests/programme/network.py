"""A network and a server that fail at every request of every workload: lost replies, resets, black holes, crashes.

Whatever happens, each commit is there once or not at all, nothing acknowledged is lost, the job survives or tells an
error of ours, and the same call ends as if nothing had happened.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crash.workloads import WORKLOADS
from crash.zygote import Zygote
from programme.scene import SILENCE, Scene, assert_same, is_told, last_line
from programme.server import Server, by_port, missing, started
from programme.tally import Budget, Tally
from programme.victim import in_memory
from tcp_proxy import Proxy

__all__ = ["missing", "run"]

ACTS = ("lose reply", "reset", "hole", "long hole", "crash before", "crash during")
_LONG = 3 * SILENCE
"""Seconds of a hole in which a job gives up; from a short one it may recover."""
CREATING = "values"
"""The workload that makes its store through the proxy; all others find one."""


@dataclass(frozen=True, slots=True)
class Case:
    workload: str
    act: str
    at: int
    what: str
    """The request, for people."""

    def __str__(self) -> str:
        return f"{self.workload}: {self.act} at request {self.at} ({self.what})"


class Network:
    def __init__(self, zygote: Zygote, server: Server, proxy: Proxy, folder: Path) -> None:
        self._server, self._proxy = server, proxy
        self._scenes = {name: Scene(zygote, name, folder / name, server) for name in WORKLOADS}
        self._golden: dict[str, dict[str, Any]] = {}

    def cases(self, workloads: Iterable[str], acts: Iterable[str]) -> Iterator[Case]:
        """Every act at every request of the workloads."""
        for workload in workloads:
            for (at, what), act in itertools.product(enumerate(self._record(workload), start=1), acts):
                yield Case(workload, act, at, what)

    def _record(self, workload: str) -> list[str]:
        """The requests of an undisturbed run, and how it ends."""
        scene = self._scenes[workload]
        with scene.fresh(create=workload != CREATING) as here:
            self._proxy.misbehave("", times=0)
            code = scene.run(by_port(here.address, self._proxy.port))
            assert code == 0, scene.errors.read_text()
            self._golden[workload] = scene.outcome()
            return list(self._proxy.heard)

    def deliver(self, case: Case, tally: Tally, bug: str = "") -> None:
        scene = self._scenes[case.workload]
        with scene.fresh(create=case.workload != CREATING) as here:
            self._arm(case)
            code = scene.run(by_port(here.address, self._proxy.port), bug=bug)
            self._proxy.heal()
            if not self._proxy.acted:
                return  # the lease is renewed in the background, so the requests of two runs can differ by a few
            tally.delivered["network faults"] += 1
            try:
                self._judge(case, scene, code)
            except Exception as error:
                tally.bad.append(f"{case}: {type(error).__name__}: {error}"[:1000])

    def _arm(self, case: Case) -> None:
        if case.act.startswith("crash"):
            self._proxy.misbehave("call", at=case.at, call=lambda process: self._crash(case.act, process))
        elif case.act.endswith("hole"):
            heal_after = _LONG if case.act == "long hole" else SILENCE / 4
            self._proxy.misbehave("hole", at=case.at, everything=True, heal_after=heal_after)
        else:
            self._proxy.misbehave(case.act, at=case.at)

    def _crash(self, act: str, process: int) -> None:
        """The server's process of the connection dies, and the server restarts; before the request or beside it."""
        if process:  # not where the request is the one that begins the connection
            self._server.crash(process)
            time.sleep(0.02 if act == "crash before" else 0)

    def _judge(self, case: Case, scene: Scene, code: int) -> None:
        self._server.connect().close()
        golden, said = self._golden[case.workload], last_line(scene.errors)
        if code == 0:
            assert_same(scene.outcome(), golden, "taken for success, and the outcome is another one")
        else:
            assert code == 1, f"exit code {code}"
            assert is_told(scene.errors), f"an error that is none of ours: {said}"
        scene.check()
        assert_same(scene.finish(), golden, f"the next call ends otherwise; before: {said}")


def ordered(cases: list[Case], chance: random.Random) -> Iterator[Case]:
    """Those of COMMIT every other time, since there the outcome can be unknown; each in a random order."""
    chance.shuffle(cases)
    commits = [case for case in cases if case.what == "COMMIT"]
    others = [case for case in cases if case.what != "COMMIT"]
    for pair in itertools.zip_longest(commits, others):
        yield from filter(None, pair)


def run(
    budget: Budget,
    folder: Path,
    server: Server | None = None,
    *,
    workloads: Iterable[str] = tuple(WORKLOADS),
    acts: Iterable[str] = ACTS,
    bug: str = "",
) -> Tally:
    """On a server of its own unless one is given. Raises `server.Missing` where there is no PostgreSQL."""
    tally, began = Tally("network"), budget.began
    with ExitStack() as stack:
        folder = stack.enter_context(in_memory(folder))
        server = server or stack.enter_context(started())
        zygote = stack.enter_context(Zygote())
        proxy = Proxy(server.socket)
        stack.callback(proxy.close)
        network = Network(zygote, server, proxy, folder)
        cases = list(network.cases(workloads, tuple(acts)))
        budget = budget.renewed()
        for number, case in enumerate(ordered(cases, budget.chance("network"))):
            if budget.is_spent or number == budget.most or (bug and tally.bad):
                break
            network.deliver(case, tally, bug)
    tally.seconds = time.monotonic() - began
    return tally
