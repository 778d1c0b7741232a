"""One workload in one folder: run it, hurt it, look at it, see how it ends."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import waycairn as wc
from crash.workloads import STORE, WORKLOADS, Acks, Workload, outcome
from crash.zygote import Order, Zygote
from waycairn.errors import StoreNotFound
from waycairn.upkeep.invariants import read_history, verify
from waycairn.world.history import Event, Told

__all__ = ["Point", "Scene", "Victim", "in_memory", "look_at", "told"]

Point = tuple[str, int]
"""A crash point and the number of its hit."""


@contextlib.contextmanager
def in_memory(folder: Path) -> Iterator[Path]:
    """A folder in memory if there is one, else in the folder: whoever kills processes proves nothing about flushes, and
    those of a real disk take most of the time."""
    memory = Path("/dev/shm")
    place = memory if os.access(memory, os.W_OK) else folder
    with tempfile.TemporaryDirectory(prefix="waycairn-victims-", dir=place) as made:
        yield Path(made)


def look_at(workload: Workload, folder: Path, events: Sequence[Event], leftovers: int | None) -> Iterator[str]:
    """Everything that is wrong in a folder where the workload ran, after what was acknowledged."""
    with contextlib.chdir(folder):
        try:
            store = wc.open(STORE, create=False)
        except StoreNotFound:
            if events:
                yield f"the store is gone with {len(events)} acknowledgements"
            return
        with store:
            workload.first(store)
            yield from map(str, verify(store.core, events, folder=Path.cwd(), leftovers=leftovers))
            try:
                workload.check(store, told(events))
            except Exception as error:
                yield f"the workload's own check: {_where(error)}"


def told(events: Sequence[Event]) -> Acks:
    """The highest number that the workload told of each word."""
    acks: dict[str, int] = {}
    for event in events:
        if isinstance(event, Told):
            acks[event.word] = max(event.number, acks.get(event.word, 0))
    return acks


class Scene:
    """One workload in one folder, whoever runs it there: look at it, see how it ends."""

    def __init__(self, workload: Workload, root: Path, folder: Path | None = None) -> None:
        """`folder` is where the job works, if not below the root."""
        self.root, self.folder = root, folder or root / "work"
        self._workload = workload
        self._history, self._errors = root / "history", root / "errors"
        self.clear()

    def clear(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.root.mkdir(parents=True)
        self.folder.mkdir(parents=True)

    def errors(self) -> str:
        """What the last run wrote to stderr."""
        return self._errors.read_text() if self._errors.exists() else ""

    def last_error(self) -> str:
        lines = [line for line in self.errors().splitlines() if re.match(r"\S", line)]
        return lines[-1] if lines else "nothing on stderr"

    def look(self, leftovers: int | None) -> Iterator[str]:
        """Everything that is wrong at this instant."""
        return look_at(self._workload, self.folder, read_history(self._history), leftovers)

    def statuses(self) -> set[str]:
        """Of all runs."""
        with contextlib.chdir(self.folder), wc.open(STORE, create=False) as store:
            return {run.status.value for root in store.runs() for run in (root, *store.phases(root.id))}

    def outcome(self) -> dict[str, Any]:
        with contextlib.chdir(self.folder):
            return outcome()


def _where(error: Exception) -> str:
    """What failed, and the line of it: an assertion may say nothing by itself."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {str(error)[:300]} ({Path(last.filename).name}:{last.lineno}: {last.line})"


class Victim(Scene):
    """Run by forking a warm process, killed at crash points."""

    def __init__(self, zygote: Zygote, workload: str, root: Path, bug: str = "") -> None:
        super().__init__(WORKLOADS[workload], root)
        self.workload, self.bug = workload, bug
        self._zygote = zygote
        self._hits = root / "hits"

    def run(self, crash: str | None = None) -> int:
        """The job, from its beginning to wherever it ends; its exit code."""
        self._hits.unlink(missing_ok=True)
        self._errors.unlink(missing_ok=True)
        order = Order(
            workload=self.workload,
            folder=str(self.folder),
            acks=str(self.root / "acks"),
            errors=str(self._errors),
            crash=crash,
            record=str(self._hits),
            history=str(self._history),
            bug=self.bug,
        )
        return self._zygote.run(order)

    @property
    def points(self) -> list[Point]:
        """What the last run passed, in order."""
        lines = self._hits.read_text().splitlines() if self._hits.exists() else []
        return [(name, int(hit)) for _, name, hit, *_ in map(str.split, lines)]

    def was_reached(self, blow: str) -> bool:
        """Whether the last run came to `name@k:ACT`."""
        name, _, hit = blow.partition(":")[0].partition("@")
        return len(self.points) >= int(hit) if name == "*" else (name, int(hit)) in self.points
