"""I/O errors at any call of any job: told, never taken for success; what was acknowledged is there; the next call ends
as if nothing had happened.

Every open, read, write, flush, rename, lock... that a job makes below its folder is a place where the kernel can say
no (see `system_calls`), once, for ever, or from then on for everything that changes something. A job may survive that;
then it must end as it does without. See `flushes` for those that fail and lose their data.
"""

from __future__ import annotations

import errno
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product, repeat, zip_longest
from pathlib import Path
from typing import TypeVar

from programme import system_calls
from programme.faulty_job import JOBS, FaultyJobs
from programme.faulty_scene import FaultyScene, empty_store
from programme.refusing import Fault
from programme.tally import Budget, Tally
from programme.victim import in_memory

__all__ = ["Way", "missing", "run", "sweep"]

Thing = TypeVar("Thing")


@dataclass(frozen=True, slots=True)
class Way:
    """One way to fail of one kind of call, at any of its calls."""

    fault: Callable[[int], Fault]
    count: int

    def shuffled(self, chance: random.Random) -> Iterator[Fault]:
        """Made when they are asked for: in all jobs together there are a million, and a test run tries some hundred."""
        yield from map(self.fault, chance.sample(range(1, self.count + 1), self.count))


Plan = Callable[[Mapping[str, int]], Iterator[Way]]
"""From the calls of a job to the ways in which they can fail."""

_ROOM = (errno.ENOSPC, errno.EDQUOT)
ERRORS = {
    "flush": (errno.EIO, *_ROOM),
    "write": (errno.EIO, *_ROOM, errno.EFBIG, errno.EINTR),
    "open": (errno.EMFILE, errno.ENFILE, errno.EIO, errno.EACCES, errno.EROFS, *_ROOM, errno.EINTR),
    "truncate": (errno.EIO, *_ROOM, errno.EINTR),
    "allocate": (errno.EIO, *_ROOM, errno.EOPNOTSUPP, errno.EINTR),
    "rename": (errno.EIO, *_ROOM, errno.EROFS),
    "link": (errno.EIO, errno.EMLINK, errno.EPERM),
    "unlink": (errno.EIO, errno.EROFS, errno.EACCES),
    "mkdir": (errno.EIO, *_ROOM, errno.EMLINK),
    "read": (errno.EIO, errno.EINTR),
    "list": (errno.EIO,),
    "look": (errno.EIO, errno.EACCES),
    "lock": (errno.EIO, errno.ENOLCK, errno.EINTR),
    "range lock": (errno.EIO, errno.ENOLCK, errno.EINTR),
    "map": (errno.ENOMEM,),
}
"""What each kind of call may answer."""


def missing() -> str | None:
    """Why calls cannot be made to fail here; None if they can."""
    return system_calls.missing()


def faults(calls: Mapping[str, int]) -> Iterator[Way]:
    """All errors at all calls."""
    for kind, count in sorted(calls.items()):
        for error in ERRORS[kind]:
            # A call that is interrupted for ever is made again for ever; SQLite tries locks again for ten seconds.
            for lasts in ("once",) if error == errno.EINTR or kind == "range lock" else ("once", "for ever", "dead"):
                yield Way(partial(Fault, kind, error=error, lasts=lasts), count)
        if kind == "write":
            for error, lasts in product((errno.EIO, *_ROOM), ("once", "for ever", "dead")):
                yield Way(partial(Fault, kind, error=error, lasts=lasts, short=True), count)


def _mixed(budget: Budget, scenes: Sequence[FaultyScene], plan: Plan) -> Iterator[tuple[FaultyScene, Fault]]:
    """The scenes in turn, and of each its ways in turn: reads are many and renames are few, and neither is to crowd out
    the other."""
    chance = budget.chance("order")
    scenes = chance.sample(scenes, len(scenes))
    ways = _in_turn([(scene, way) for way in _shuffled(plan(scene.calls), chance)] for scene in scenes)
    return _in_turn([zip(repeat(scene), way.shuffled(chance)) for scene, way in ways])


def _shuffled(things: Iterable[Thing], chance: random.Random) -> list[Thing]:
    every = list(things)
    chance.shuffle(every)
    return every


def _in_turn(groups: Iterable[Iterable[Thing]]) -> Iterator[Thing]:
    return (thing for turn in zip_longest(*groups) for thing in turn if thing)


def run(
    budget: Budget,
    folder: Path,
    *,
    bug: str = "",
    workloads: Sequence[str] = tuple(JOBS),
    kinds: Sequence[str] = tuple(ERRORS),
    only: str | None = None,
) -> Tally:
    """Errors at any call of these kinds. `bug` is planted into every job that suffers, and one bad outcome is enough
    then; `only` is one case, as a bad outcome names it."""

    def plan(calls: Mapping[str, int]) -> Iterator[list[Fault]]:
        return faults({kind: calls[kind] for kind in kinds if kind in calls})

    return sweep(Tally("errors"), "I/O errors", plan, budget, folder, workloads, bug=bug, only=only)


def sweep(  # noqa: PLR0917 - two calls
    tally: Tally,
    kind: str,
    plan: Plan,
    budget: Budget,
    folder: Path,
    workloads: Sequence[str],
    *,
    bug: str,
    only: str | None,
) -> Tally:
    """The faults that `plan` makes of the calls of each workload; `kind` is what the tally calls them."""
    began = time.monotonic()
    with in_memory(folder) as place, FaultyJobs(workloads) as jobs:
        scenes = _scenes(jobs, place, workloads)
        for scene, fault in _named(scenes, only) if only else _mixed(budget, scenes, plan):
            if budget.is_spent or tally.delivered.total() == budget.most or (bug and tally.bad):
                break
            _try(tally, kind, scene, fault, bug)
    tally.seconds = time.monotonic() - began
    return tally


def _named(scenes: Sequence[FaultyScene], only: str) -> Iterator[tuple[FaultyScene, Fault]]:
    name, _, fault = only.partition(" ")
    return ((scene, Fault.read(fault)) for scene in scenes if scene.name == name)


def _scenes(jobs: FaultyJobs, folder: Path, names: Sequence[str]) -> list[FaultyScene]:
    """Every workload in a store that is there, one of them in a new one; each as it is and as one that goes on after an
    error."""
    store = empty_store(folder)
    scenes = []
    for name, begins in [*((name, store) for name in names), *((name, None) for name in names if name == "values")]:
        root = folder / (name if begins else f"{name} anew")
        once, again = (FaultyScene(jobs, name, root, begins, goes_on=on, often=on) for on in (False, True))
        again.record()
        once.golden, once.calls = again.golden, again.calls
        scenes += [once, again]
    return scenes


def _try(tally: Tally, kind: str, scene: FaultyScene, fault: Fault, bug: str) -> None:
    scene.clear()
    ending = scene.run(fault=fault, bug=bug)
    if not ending.refused:
        return
    tally.delivered[kind] += 1
    tally.touched |= {scene.order.workload, fault.kind}
    try:
        wrong = scene.judge(ending, fault.error)
    except Exception as error:
        wrong = f"{type(error).__name__}: {error}"
    if wrong:
        tally.bad.append(f"{scene.name} {fault} ({ending.refused[0]}): {wrong[:400]}")
