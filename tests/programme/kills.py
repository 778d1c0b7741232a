"""Processes that die or are told to stop at named points, again while they recover, and once more.

Each case is a workload and one to three blows. After every blow all invariants and the workload's own promises are
looked at; in the end the job goes on untouched and must end as if nothing had happened.
"""

from __future__ import annotations

import random
import re
import signal
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from crash.workloads import WORKLOADS
from crash.zygote import Zygote
from programme.tally import Budget, Tally
from programme.victim import Point, Victim, in_memory

__all__ = ["Case", "run"]

KINDS = {"KILL": "kills", "TERM": "terminations", "RAISE": "device errors", "ENOSPC": "full disks"}
STORAGE = re.compile(r"(pack|files|catalog|output|store|cut)\.")
"""Points at which a device can fail."""
COMMITS = re.compile(r"(cut|catalog|store|store\.value)\.(begin|commit|committed)$")
"""Both sides of every commit."""
_STOPPED = 128 + signal.SIGTERM
_ENDS = {
    "KILL": {-signal.SIGKILL},
    "TERM": {_STOPPED, -signal.SIGTERM, 0},
    "RAISE": {0, 1},
    "ENOSPC": {0, 1},
}
"""Exit codes that are right. A signal that comes outside of a run ends the process by itself, one that comes in its last
cut finds it completed; an error of the device may hit what needs no device."""
_STORE_ERROR = re.compile(r"waycairn\.errors\.(StoreFull|WriteFailed)|OSError: \[Errno")


@dataclass(frozen=True, slots=True)
class Case:
    workload: str
    blows: tuple[str, ...]
    """Each `name@k:ACT`, as WAYCAIRN_CRASH takes it; `*@k` is the k-th point of any name."""

    def __str__(self) -> str:
        return " ".join((self.workload, *self.blows))

    @classmethod
    def read(cls, text: str) -> Case:
        workload, *blows = text.split()
        return cls(workload, tuple(blows))


def run(
    budget: Budget,
    folder: Path,
    *,
    bug: str = "",
    workloads: Sequence[str] = tuple(WORKLOADS),
    only: str | None = None,
    zygote: Zygote | None = None,
) -> Tally:
    """`bug` is planted into every job after the first one; then the first bad outcome ends it. `only` is one case, as a
    bad outcome names it. `zygote` is one that runs already."""
    tally = Tally("kills")
    began = time.monotonic()
    wanted = [Case.read(only).workload] if only else workloads
    with in_memory(folder) as place, nullcontext(zygote) if zygote else Zygote() as zygote:  # noqa: PLR1704
        golden = {workload: Golden.of(Victim(zygote, workload, place / workload)) for workload in wanted}
        points = {workload: one.points for workload, one in golden.items()}
        for case in [Case.read(only)] if only else cases(points, budget.chance("kills")):
            is_found = bool(bug and tally.bad)
            if is_found or budget.is_spent or tally.delivered.total() >= (budget.most or 1 << 62):
                break
            victim = Victim(zygote, case.workload, place / case.workload, bug)
            tally.bad += [f"{case}: {what}" for what in strike(victim, case, golden[case.workload], tally)]
    tally.seconds = time.monotonic() - began
    return tally


@dataclass(frozen=True, slots=True)
class Golden:
    """How a workload ends without a fault, and what it passes."""

    outcome: object
    points: Sequence[Point]

    @classmethod
    def of(cls, victim: Victim) -> Golden:
        code = victim.run()
        assert code == 0, f"{victim.workload} fails without any fault: {victim.errors()}"
        wrong = list(victim.look(leftovers=0))
        assert not wrong, f"{victim.workload} is bad without any fault: {wrong}"
        return cls(victim.outcome(), victim.points)


def strike(victim: Victim, case: Case, golden: Golden, tally: Tally) -> Iterator[str]:
    """Deliver the blows one after the other, then let the job finish; whatever is wrong on the way."""
    hits = 0
    for blow in case.blows:
        act = blow.partition(":")[2]
        code = victim.run(blow)
        if not victim.was_reached(blow):
            if code != 0:
                yield f"{blow} was not reached and the exit code is {code}: {victim.last_error()}"
                return
            break  # it came to its end first
        if code not in _ENDS[act]:
            yield f"{blow}: exit code {code}: {victim.last_error()}"
            return
        tally.delivered[KINDS[act]] += 1
        hits += 1
        yield from (f"after {blow}: {what}" for what in victim.look(leftovers=2 * hits))
        yield from _told(victim, blow, code, golden)
        if code == 0:
            break  # it survived and is done: what is entered once more is another job
    yield from _finish(victim, golden, hits)


def _told(victim: Victim, blow: str, code: int, golden: Golden) -> Iterator[str]:
    """I9: what ends with 0 is done; what fails says that the store failed."""
    if code == 0 and victim.outcome() != golden.outcome:
        yield f"{blow} was taken for success: another outcome with exit code 0"
    if code == 1 and not _STORE_ERROR.search(victim.errors()):
        yield f"{blow} ended with another error: {victim.last_error()}"
    if code == _STOPPED and "running" in victim.statuses():
        yield f"{blow}: exit code {code}, and a run was not left"


def _finish(victim: Victim, golden: Golden, hits: int) -> Iterator[str]:
    code = victim.run()
    if code != 0:
        yield f"going on afterwards fails with exit code {code}: {victim.last_error()}"
        return
    yield from (f"at the end: {what}" for what in victim.look(leftovers=2 * hits))
    if victim.outcome() != golden.outcome:
        yield "it ends otherwise than without the fault"


# -- which cases ---------------------------------------------------------------------------------------------------


def cases(points: Mapping[str, Sequence[Point]], chance: random.Random) -> Iterator[Case]:
    """Every name once; both sides of every commit and every name of every workload; deeper hits; then whatever
    chance brings, for ever."""
    for stratum in (_names(points, chance), _commits(points), _deeper(points)):
        shuffled = list(stratum)
        chance.shuffle(shuffled)
        for workload, point in shuffled:
            yield _case(workload, point, points[workload], chance)
    workloads = sorted(points)
    while True:
        workload = chance.choice(workloads)
        yield _case(workload, chance.choice(points[workload]), points[workload], chance)


def _names(points: Mapping[str, Sequence[Point]], chance: random.Random) -> Iterable[tuple[str, Point]]:
    passing: dict[str, list[str]] = {}
    for workload, passed in points.items():
        for name in {name for name, _ in passed}:
            passing.setdefault(name, []).append(workload)
    return [(chance.choice(passing[name]), (name, 1)) for name in sorted(passing)]


def _commits(points: Mapping[str, Sequence[Point]]) -> Iterable[tuple[str, Point]]:
    for workload, passed in points.items():
        yield from ((workload, (name, hit)) for name, hit in passed if hit == 1 or COMMITS.match(name))


def _deeper(points: Mapping[str, Sequence[Point]]) -> Iterable[tuple[str, Point]]:
    for workload, passed in points.items():
        yield from ((workload, (name, hit)) for name, hit in passed if hit > 1 and not COMMITS.match(name))


def _case(workload: str, point: Point, passed: Sequence[Point], chance: random.Random) -> Case:
    """Mostly killed, sometimes told to stop or refused by the device; two of three are killed again in their recovery,
    half of those a third time."""
    name, hit = point
    act = chance.choices(("KILL", "TERM", "RAISE", "ENOSPC"), (8, 2, 1, 1))[0]
    if act in {"RAISE", "ENOSPC"} and not STORAGE.match(name):
        act = "KILL"
    blows = [f"{name}@{hit}:{act}"]
    while len(blows) < 3 and chance.random() < (2 / 3 if len(blows) == 1 else 1 / 2):
        blows.append(f"*@{chance.randint(1, len(passed))}:KILL")
    return Case(workload, tuple(blows))
