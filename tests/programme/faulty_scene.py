"""Jobs on a device that fails: run one, judge whether it told the truth, see that it recovers."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec.structs import replace

import waycairn as wc
from crash.common import nothing
from crash.workloads import STORE
from programme.faulty_job import JOBS, Ending, FaultyJobs, Order
from programme.victim import Scene
from waycairn import errors

__all__ = ["FaultyScene", "empty_store"]

HONEST = {
    f"{error.__module__}.{error.__qualname__}"
    for error in (
        *(errors.StoreFull, errors.StoreReadOnly, errors.WriteFailed, errors.StoreUnreachable, errors.StoreBusy),
        *(errors.Damaged, errors.UnsafeFileSystem, errors.StoreNotFound, errors.FilesUnreadable, errors.BackupError),
    )
}
"""What a job may end with; StoreNotFound where it cannot be seen that there is one."""
_MANY = 8
"""Things of each kind that a job may leave behind: four tries, each of which could remove nothing."""


class FaultyScene(Scene):
    """`store` is what the folder begins with; None: the job makes its own."""

    golden: dict[str, Any]
    """How it ends without a fault."""
    calls: dict[str, int]
    """How many of each kind it makes then."""

    def __init__(
        self,
        jobs: FaultyJobs,
        workload: str,
        root: Path,
        store: Path | None,
        folder: Path | None = None,
        **options: Any,
    ) -> None:
        self._store = store
        self._jobs = jobs
        super().__init__(JOBS[workload], root, folder)
        self.order = Order(
            workload=workload,
            folder=str(self.folder),
            acks=str(root / "acks"),
            errors=str(self._errors),
            history=str(self._history),
            **options,
        )

    @property
    def name(self) -> str:
        """`fold`; `fold+` goes on after an error; `fold*` makes its own store."""
        return self.order.workload + ("+" if self.order.goes_on else "") + ("" if self._store else "*")

    def clear(self) -> None:
        super().clear()
        if self._store:
            shutil.copytree(self._store, self.folder / STORE)

    def record(self) -> None:
        """Run it without a fault, to know how it ends."""
        ending = self.run()
        assert ending.code == 0, f"without a fault {self.name} ends with {ending.error}: {ending.message}"
        self.golden, self.calls = self.outcome(), ending.seen

    def run(self, **changes: Any) -> Ending:
        """From where it stands, with a fault or without."""
        return self._jobs.run(replace(self.order, **changes))

    def judge(self, ending: Ending, *honest: int, heal: Callable[[], None] = lambda: None) -> str | None:
        """What is wrong now. It must have told the truth: it is done, or it was an error of ours or the very one that
        the kernel gave; nothing is lost, and with a sound device it ends as if nothing had happened. `heal` makes it
        sound."""
        if ending.code == 0:
            return self._first_wrong() or self._compare("taken for success")
        if ending.code != 1:
            return f"ended with {ending.code}"
        if ending.error not in HONEST and ending.number not in honest:
            return f"told as {ending.error}: {ending.message}"
        if JOBS[self.order.workload].first is not nothing:
            heal()  # who looks puts right first what the job broke on purpose, and that takes room
        wrong = self._first_wrong()
        heal()
        return wrong or self._recover()

    def _recover(self) -> str | None:
        ending = self.run(is_watched=False, limits={})
        if ending.code:
            return f"with a sound device it ends with {ending.error or ending.code}: {ending.message}"
        return self._first_wrong(leftovers=_MANY) or self._compare("with a sound device it ends otherwise")

    def _first_wrong(self, leftovers: int | None = None) -> str | None:
        return next(self.look(leftovers), None)

    def _compare(self, otherwise: str) -> str | None:
        return None if self.outcome() == self.golden else otherwise


def empty_store(folder: Path) -> Path:
    """To begin with: making one takes as long as most jobs."""
    store = folder / "empty store"
    wc.open(store).close()
    return store
