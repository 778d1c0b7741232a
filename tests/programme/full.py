"""A disk that fills up and gets room again, at every size; limits on files; stores that cannot be written.

The file system is real: a small tmpfs that grows when room is made (needs root). Without root the kernel's own limits
remain: the size of a file and the number of open files.
"""

from __future__ import annotations

import errno
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from programme.faulty_job import JOBS, Ending, FaultyJobs
from programme.faulty_scene import FaultyScene, empty_store
from programme.tally import Budget, Tally
from programme.victim import in_memory

__all__ = ["run", "small_disk"]

_STEP = 4096
_LEAST_SIZE = 64 * 1024
"""Of a file: what a job tells us about itself is shorter."""
_LEAST_FILES, _MOST_FILES = 6, 24
"""Open files; no job needs as many."""
_LOG = 160 * 1024
"""Of the database: as long as what it adds in most jobs."""
_ROOM = 64 * 1024 * 1024


class SmallDisk:
    """A tmpfs whose size is set while it is mounted."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def resize(self, size: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={size}", str(self.place)], check=True)

    @property
    def used(self) -> int:
        state = os.statvfs(self.place)
        return (state.f_blocks - state.f_bfree) * state.f_frsize


@contextmanager
def small_disk() -> Iterator[SmallDisk | None]:
    """Mounted until the end of the block; None where that is not permitted."""
    with tempfile.TemporaryDirectory(prefix="waycairn-disk-") as place:
        command = ["mount", "-t", "tmpfs", "-o", f"size={_ROOM}", "tmpfs", place]
        if os.getuid() or subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode:
            yield None
            return
        try:
            yield SmallDisk(Path(place))
        finally:
            subprocess.run(["umount", "-l", place], check=True)


@dataclass(frozen=True)
class Case:
    """One job within one bound."""

    scene: FaultyScene
    kind: str
    bound: int
    disk: SmallDisk | None = None
    bug: str = ""

    def __str__(self) -> str:
        return f"{self.scene.name} {self.kind} {self.bound}"

    def strike(self, tally: Tally) -> None:
        """A job that does not come to the bound proves nothing and is not counted."""
        self.scene.clear()
        ending = self._run()
        if ending.code:
            tally.delivered[_COUNTED[self.kind]] += 1
        try:
            wrong = self.scene.judge(ending, *_HONEST[self.kind], heal=self._heal)
        except Exception as error:
            wrong = f"{type(error).__name__}: {error}"
        self._heal()
        if wrong:
            tally.bad.append(f"{self}: {wrong[:400]}")

    def _run(self) -> Ending:
        if self.disk is None:
            return self.scene.run(limits={_LIMITS[self.kind]: self.bound}, bug=self.bug)
        self.disk.resize(self.disk.used + self.bound)
        return self.scene.run(bug=self.bug)

    def _heal(self) -> None:
        if self.disk is not None:
            self.disk.resize(_ROOM)


_LIMITS = {"size": "RLIMIT_FSIZE", "files": "RLIMIT_NOFILE"}
_COUNTED = {"disk": "full disks", "size": "limits of file size", "files": "limits of open files"}
_HONEST = {"disk": (errno.ENOSPC,), "size": (errno.EFBIG,), "files": (errno.EMFILE,)}


def run(
    budget: Budget, folder: Path, *, bug: str = "", workloads: Sequence[str] = tuple(JOBS), only: str | None = None
) -> Tally:
    """`bug` is planted into every job that suffers, and one bad outcome is enough then; `only` is one case, as a bad
    outcome names it."""
    tally = Tally("full")
    began = time.monotonic()
    with in_memory(folder) as place, small_disk() as disk, FaultyJobs(workloads) as jobs:
        store = empty_store(place)
        cases = [case for name in workloads for case in _cases(jobs, name, store, disk, bug)]
        for case in [case for case in cases if str(case) == only] if only else _mixed(budget, cases):
            if budget.is_spent or tally.delivered.total() == budget.most or (bug and tally.bad):
                break
            case.strike(tally)
    tally.seconds = time.monotonic() - began
    return tally


def _mixed(budget: Budget, cases: Sequence[Case]) -> Iterator[Case]:
    """In a random order, the kinds in turn."""
    kinds = [[case for case in cases if case.kind == kind] for kind in _COUNTED]
    chance = budget.chance("order")
    for one in kinds:
        chance.shuffle(one)
    return (case for turn in zip_longest(*kinds) for case in turn if case)


def _cases(jobs: FaultyJobs, name: str, store: Path, disk: SmallDisk | None, bug: str) -> Iterator[Case]:
    """Every bound that could hurt this job, as it is and as one that goes on after an error."""
    root = store.with_name(name)
    golden = FaultyScene(jobs, name, root, store, is_watched=False)
    golden.record()
    sizes = [path.stat().st_size for path in golden.folder.rglob("*") if path.is_file()]
    begins = sum(path.stat().st_size for path in store.rglob("*") if path.is_file())
    # Its log is gone when it ends; while it works, everything in the catalog is there twice.
    most = 2 * (sum(sizes) - begins) + _LOG
    for again in (False, True):
        scene = FaultyScene(jobs, name, root, store, is_watched=False, goes_on=again)
        scene.golden = golden.golden
        yield from (Case(scene, "size", bound, bug=bug) for bound in range(_LEAST_SIZE, max(sizes), _STEP))
        yield from (Case(scene, "files", bound, bug=bug) for bound in range(_LEAST_FILES, _MOST_FILES))
        if disk is not None:
            scene = FaultyScene(jobs, name, root, store, folder=disk.place / "work", is_watched=False, goes_on=again)
            scene.golden = golden.golden
            yield from (Case(scene, "disk", bound, disk, bug) for bound in range(0, most, _STEP))
