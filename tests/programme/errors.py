"""I/O errors at any call of any job: told, never taken for success; what was acknowledged is there; the next call ends
as if nothing had happened.

Every open, read, write, flush, rename, lock... that a job makes below its folder is a place where the kernel can say
no (see `system_calls`), once, for ever, or from then on for everything that changes something. A job may survive that;
then it must end as it does without. `run_lost` is for flushes: what Linux does with data that it could not write.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import product, zip_longest
from pathlib import Path
from typing import Any

from msgspec.structs import replace

import waycairn as wc
from crash import workloads
from crash.workloads import STORE, WORKLOADS, outcome, read_acks
from programme import stubborn
from programme.faulty_job import Ending, FaultyJobs, Order
from programme.refusing import Fault
from programme.tally import Budget, Tally
from waycairn import errors as ours
from waycairn.errors import StoreNotFound
from waycairn.upkeep import invariants

__all__ = ["run", "run_lost"]

workloads.WORKLOADS.update(stubborn.WORKLOADS)

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

HONEST = {
    f"{error.__module__}.{error.__qualname__}"
    for error in (
        *(ours.StoreFull, ours.StoreReadOnly, ours.WriteFailed, ours.StoreUnreachable, ours.StoreBusy, ours.Damaged),
        *(ours.UnsafeFileSystem, ours.StoreNotFound),
    )
}
"""What a job may end with; StoreNotFound where it cannot be seen that there is one."""
MANY = 8
"""Things of each kind that a job may leave behind: four tries, each of which could remove nothing."""


@dataclass
class Scene:
    """One workload in one folder: run it, look at it, compare how it ends."""

    jobs: FaultyJobs
    order: Order
    store: Path | None
    """What the folder begins with; None: the job makes its store."""
    golden: dict[str, Any]
    calls: dict[str, int]
    """How many of each kind it makes without a fault."""

    @property
    def name(self) -> str:
        begins = "" if self.store else " in a new store"
        return self.order.workload + (" going on" if self.order.goes_on else "") + begins

    def clear(self) -> None:
        folder = Path(self.order.folder)
        shutil.rmtree(folder.parent, ignore_errors=True)
        folder.mkdir(parents=True)
        if self.store:
            shutil.copytree(self.store, folder / STORE)

    def record(self) -> None:
        """How it ends without a fault, and how many calls of each kind it makes."""
        self.clear()
        ending = self.jobs.run(self.order)
        assert ending.code == 0, f"without a fault {self.name} ends with {ending.error}: {ending.message}"
        self.check()
        self.golden, self.calls = self.outcome(), ending.seen

    def suffer(self, **changes: Any) -> Ending:
        """Run it anew with a fault."""
        self.clear()
        return self.jobs.run(replace(self.order, **changes))

    def judge(self, ending: Ending, *honest: int) -> None:
        """It told the truth: it is done, or it was an error of ours, or the very one that the kernel gave."""
        if ending.code == 0:
            assert self.outcome() == self.golden, "taken for success"
            return
        assert ending.code == 1, f"ended with {ending.code}"
        assert ending.error in HONEST or ending.number in honest, f"told as {ending.error}: {ending.message}"

    def recover(self) -> None:
        """With a sound device it ends as if nothing had happened."""
        ending = self.jobs.run(replace(self.order, is_watched=False))
        assert ending.code == 0, f"with a sound device it ends with {ending.error}: {ending.message}"
        self.check(leftovers=MANY)
        assert self.outcome() == self.golden, "with a sound device it ends otherwise"

    def check(self, leftovers: int | None = None) -> None:
        """What was acknowledged is there, and everything that is there is whole."""
        acks = Path(self.order.acks)
        told = read_acks(acks.read_text().splitlines() if acks.exists() else [])
        with contextlib.chdir(self.order.folder):
            try:
                store = wc.open(STORE, create=False)
            except StoreNotFound:
                assert not told, f"the store is gone with {told} acknowledged"
                return
            with store:
                WORKLOADS[self.order.workload].check(store, told)
                history = invariants.read_history(self.order.history)
                wrong = invariants.verify(store.core, history, folder=Path.cwd(), leftovers=leftovers)
        assert not wrong, "; ".join(map(str, wrong))

    def outcome(self) -> dict[str, Any]:
        with contextlib.chdir(self.order.folder):
            return outcome()


def scenes(jobs: FaultyJobs, folder: Path, names: Iterable[str]) -> list[Scene]:
    """Each was run once without a fault: every workload in a store that is there, one of them in a new one; each as it
    is and as one that goes on after an error."""
    store = folder / "template"
    wc.open(store).close()
    found = [_recorded(jobs, folder / name, name, store) for name in names]
    found.append(_recorded(jobs, folder / "new store", "values", None))
    return [*found, *(dataclasses.replace(scene, order=replace(scene.order, goes_on=True, often=True)) for scene in found)]


def _recorded(jobs: FaultyJobs, root: Path, workload: str, store: Path | None) -> Scene:
    order = Order(
        workload=workload,
        folder=str(root / "work"),
        acks=str(root / "acks"),
        errors=str(root / "errors"),
        history=str(root / "history"),
    )
    scene = Scene(jobs, order, store, {}, {})
    scene.record()
    return scene


def faults(calls: dict[str, int]) -> Iterator[list[Fault]]:
    """All errors at all calls, one list for each kind of call and way to fail."""
    for kind, count in sorted(calls.items()):
        for error in ERRORS[kind]:
            # A call that is interrupted for ever is made again for ever; SQLite tries locks again for ten seconds.
            for lasts in ("once",) if error == errno.EINTR or kind == "range lock" else ("once", "for ever", "dead"):
                yield [Fault(kind, number, error, lasts) for number in range(1, count + 1)]
        if kind == "write":
            for error, lasts in product((errno.EIO, *_ROOM), ("once", "for ever", "dead")):
                yield [Fault(kind, number, error, lasts, short=True) for number in range(1, count + 1)]


def lost(calls: dict[str, int]) -> Iterator[list[Fault]]:
    """Every flush, with the data of it lost."""
    for loses in ("late", "at once"):
        yield [Fault("flush", number, errno.EIO, loses=loses) for number in range(1, calls["flush"] + 1)]


def mixed(budget: Budget, lists: Iterable[list[tuple[Scene, Fault]]]) -> Iterator[tuple[Scene, Fault]]:
    """One of each list in turn: reads are many and renames are few, and neither is to crowd out the other."""
    shuffled = [[*one] for one in lists]
    chance = budget.chance("order")
    chance.shuffle(shuffled)
    for one in shuffled:
        chance.shuffle(one)
    return (pair for turn in zip_longest(*shuffled) for pair in turn if pair)


def run(budget: Budget, folder: Path, bug: str = "", names: Iterable[str] = WORKLOADS) -> Tally:
    """Errors at any call; the data stay as they are."""
    return _sweep(Tally("errors"), "I/O errors", faults, budget, folder, bug, names)


def run_lost(budget: Budget, folder: Path, bug: str = "", names: Iterable[str] = WORKLOADS) -> Tally:
    """Flushes that fail and lose their data: nothing may be built upon them, by us or by SQLite."""
    return _sweep(Tally("lost flushes"), "lost flushes", lost, budget, folder, bug, names)


def _sweep(
    tally: Tally,
    kind: str,
    plan: Callable[[dict[str, int]], Iterator[list[Fault]]],
    budget: Budget,
    folder: Path,
    bug: str,
    names: Iterable[str],
) -> Tally:
    began = time.monotonic()
    with FaultyJobs() as jobs:
        lists = [
            [(scene, fault) for fault in group]
            for scene in scenes(jobs, folder, names)
            for group in plan(scene.calls)
        ]
        for scene, fault in mixed(budget, lists):
            if budget.is_spent or tally.delivered.total() == budget.most:
                break
            ending = scene.suffer(fault=fault, bug=bug)
            if not ending.refused:
                continue
            tally.delivered[kind] += 1
            try:
                scene.judge(ending, fault.error)
                scene.check()
                if ending.code:
                    scene.recover()
            except Exception as wrong:
                tally.bad.append(f"{scene.name}: {fault} ({ending.refused[0]}): {shown(wrong)}")
    tally.seconds = time.monotonic() - began
    return tally


def shown(wrong: Exception) -> str:
    return (str(wrong) or type(wrong).__name__).splitlines()[0]
