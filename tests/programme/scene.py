"""One workload on a store of its own: run it under a fault, look at it, run it to its end, compare."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from crash.workloads import ADDRESS, DEADLINE, WORKLOADS, open_store, outcome, read_acks
from crash.zygote import Order, Zygote
from programme.server import Server
from waycairn.errors import StoreNotFound
from waycairn.upkeep.invariants import read_history, verify

__all__ = ["SILENCE", "Scene", "assert_same", "is_stopped", "is_told", "last_line"]

SILENCE = 0.4
"""Seconds that a server may be silent before a job under a fault gives the connection up."""
_PATIENCE = 20.0
_LEFTOVERS = 6
"""Of each kind that the dead may leave: of two processes, or three."""


class Scene:
    """A workload in a folder; on a server, in a schema of its own. Jobs are forked processes."""

    def __init__(self, zygote: Zygote, workload: str, root: Path, server: Server | None = None) -> None:
        self.zygote, self.workload, self.root, self.server = zygote, workload, root, server
        self.acks, self.hits, self.folder = root / "acks", root / "hits", root / "work"
        self.address = ""
        self.errors = root / "errors.0"
        """What the newest job said."""
        self._started = 0
        self.living: set[int] = set()

    def __str__(self) -> str:
        return f"{self.workload} on {'a server' if self.server else 'files'}"

    @contextlib.contextmanager
    def fresh(self, *, create: bool = True) -> Iterator[Scene]:
        """An empty folder and schema; with `create` the store is made before any fault. No job outlives it."""
        shutil.rmtree(self.root, ignore_errors=True)
        self.folder.mkdir(parents=True)
        with self.server.schema() if self.server else contextlib.nullcontext("") as self.address:
            if create:
                with self.here():
                    open_store().close()
            try:
                yield self
            finally:
                for pid in list(self.living):
                    os.kill(pid, signal.SIGKILL)
                    self.wait(pid)

    # -- jobs ----------------------------------------------------------------------------------------------------

    def run(self, through: str | None = None, **order: Any) -> int:
        """The exit code of one job; `through` is another address of the same store."""
        return self.wait(self.start(through, **order))

    def start(self, through: str | None = None, environment: Mapping[str, str] | None = None, **order: Any) -> int:
        """The process id of a job; its words go to a file of its own."""
        self._started += 1
        self.errors = self.root / f"errors.{self._started}"
        settings = {ADDRESS: through or self.address, **(environment or {})}
        if through:
            settings[DEADLINE] = str(SILENCE)
        what = {"workload": self.workload, **order}
        pid = self.zygote.start(
            Order(
                folder=str(self.folder),
                acks=str(self.acks),
                errors=str(self.errors),
                history=str(self.root / "history"),
                environment=settings,
                **what,
            )
        )
        self.living.add(pid)
        return pid

    def wait(self, pid: int) -> int:
        code = self.zygote.wait(pid)
        self.living.discard(pid)
        return code

    def stopped(self, pid: int) -> bool:
        """Wait until a job has stopped itself; false if it ended instead."""
        ends = time.monotonic() + _PATIENCE
        while time.monotonic() < ends:
            state = _state(pid)
            if state in "TZ":
                return state == "T"
            time.sleep(0.002)
        raise TimeoutError(f"process {pid} neither stopped nor ended")

    # -- what is there -------------------------------------------------------------------------------------------

    def record(self) -> tuple[dict[str, Any], list[tuple[str, int]]]:
        """How it ends without a fault, and the crash points that it passes."""
        with self.fresh():
            code = self.run(record=str(self.hits))
            assert code == 0, self.errors.read_text()
            hits = [line.split() for line in self.hits.read_text().splitlines()]
            return self.outcome(), [(hit[1], int(hit[2])) for hit in hits]

    def check(self) -> None:
        """What was acknowledged is there, everything that is there is whole, and the workload keeps its promises."""
        events = read_history(self.root / "history")
        told = self.acks.read_text().splitlines() if self.acks.exists() else []
        with self.here():
            try:
                store = open_store(create=False)
            except StoreNotFound:
                assert not events, f"the store is gone with {len(events)} acknowledgements"
                return
            with store:
                if self.workload in WORKLOADS:
                    WORKLOADS[self.workload].first(store)
                wrong = verify(store.core, events, folder=Path.cwd(), leftovers=_LEFTOVERS)
                assert not wrong, "; ".join(map(str, wrong))
                WORKLOADS[self.workload].check(store, read_acks(told))

    def outcome(self) -> dict[str, Any]:
        with self.here():
            return outcome()

    def finish(self) -> dict[str, Any]:
        """The same call again, now without a fault; what it ends with."""
        code = self.run()
        assert code == 0, f"the next call failed: {last_line(self.errors)}"
        if self.workload in WORKLOADS:
            self.check()
        return self.outcome()

    @contextlib.contextmanager
    def here(self) -> Iterator[None]:
        """This process stands where the jobs do."""
        before = os.environ.get(ADDRESS)
        os.environ[ADDRESS] = self.address
        try:
            with contextlib.chdir(self.folder):
                yield
        finally:
            del os.environ[ADDRESS]
            if before is not None:
                os.environ[ADDRESS] = before


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def is_stopped(pid: int) -> bool:
    return _state(pid) == "T"


def last_line(errors: Path) -> str:
    """What a job ended by: the line behind the last frame of its traceback, before the notes; else what it said last."""
    lines = errors.read_text().strip().splitlines() if errors.exists() else []
    frames = [number for number, line in enumerate(lines) if line.startswith('  File "')]
    said = [line for line in lines[frames[-1] + 1 :] if line[:1] != " "] if frames else lines[-1:]
    return said[0] if said else "no error was told"


def assert_same(found: Mapping[str, Any], golden: Mapping[str, Any], what: str = "ends otherwise") -> None:
    """Two outcomes are equal; else says where they differ."""
    if found == golden:
        return
    differences = [
        f"{part}: {one!r} instead of {other!r}"
        for part in golden
        for one, other in _differing(found.get(part), golden[part])
    ]
    raise AssertionError(f"{what}: {'; '.join(differences)}"[:800])


def _differing(one: Any, other: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in {**one, **other}:
            yield from _differing(one.get(key), other.get(key))
    elif one != other:
        yield one, other


def is_told(errors: Path, name: str = "") -> bool:
    """Whether a job that failed ended by an error of ours (of that name), not of a driver."""
    return last_line(errors).startswith(f"waycairn.errors.{name}")
