"""Upkeep beside a long-lived process: one thread that does what is due, one task after the other, with pauses between them."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module

from waycairn.errors import WaycairnError
from waycairn.store import StoreCore
from waycairn.upkeep.sweep_due import may_begin, note
from waycairn.upkeep.tasks import Task, tasks

log = logging.getLogger("waycairn")
_LOOK_EVERY = 60.0
"""Seconds after which a task that another process does, or that has to wait for the end of quiet hours, is looked at again."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The last time that this process did a task."""

    at: float
    took: float
    error: BaseException | None = None


class Upkeep:
    """One thread of this process. Several processes may have one each: what is due is done once."""

    def __init__(self, core: StoreCore, todo: Sequence[Task] | None = None) -> None:
        self._core = core
        todo = tasks() if todo is None else todo
        self._tasks = list(todo) if core.settings.upkeep.enabled else []
        self._due = {task.name: 0.0 for task in self._tasks}
        self._ended: dict[str, Ended] = {}
        self._stop = threading.Event()
        self._process = os.getpid()
        # A daemon: an exit that nobody prepared does not wait for it, and it can be interrupted anywhere.
        self._thread = threading.Thread(target=self._run, name="waycairn-upkeep", daemon=True)

    @property
    def ended(self) -> Mapping[str, Ended]:
        """By task, what came of it last in this process; with the error, if it failed."""
        return dict(self._ended)

    @property
    def is_running(self) -> bool:
        """Never in a forked child: its parent has the thread."""
        return os.getpid() == self._process and self._thread.is_alive()

    def start(self) -> None:
        for module in filter(None, (task.loads for task in self._tasks)):
            import_module(module)
        self._thread.start()
        atexit.register(self.stop)

    def stop(self) -> None:
        """Returns when the task at hand has come to a safe point and the thread has ended. Idempotent; does nothing in a
        forked child, nor when called by a task."""
        if os.getpid() != self._process:
            return
        self._stop.set()
        atexit.unregister(self.stop)
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join()

    # -- in the thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        wait = 0.0
        while not self._stop.wait(wait):
            wait = self._look()

    def _look(self) -> float:
        """Do one task that is due; seconds until something may be due again."""
        now = self._core.clock.monotonic()
        task = min(self._tasks, key=lambda one: self._due[one.name], default=None)
        if task is None:
            return _LOOK_EVERY
        if (left := self._due[task.name] - now) > 0:
            return left
        try:
            interval = task.interval(self._core)
            begins = interval is not None and may_begin(
                self._core, task.name, interval, in_quiet_hours=task.in_quiet_hours
            )
        except (WaycairnError, OSError, ValueError) as error:
            interval, begins = _LOOK_EVERY, False
            self._note(task, now, error)
        if not begins:
            self._due[task.name] = now + min(interval or _LOOK_EVERY, _LOOK_EVERY)
            return 0.0
        took = self._do(task, now)
        self._due[task.name] = now + took + (interval or 0.0)
        return took / self._core.settings.upkeep.share - took

    def _do(self, task: Task, began: float) -> float:
        """Seconds that it took. What goes wrong is kept and told, and tried again when it is due again."""
        error: Exception | None = None
        try:
            facts = task.work(self._core, self._stop.is_set)
            undone = task.interval(self._core) if facts.get("stopped") else None
            note(self._core, task.name, facts, before=undone or 0.0)
        except Exception as failed:  # noqa: BLE001 - whatever a task does wrong, the others go on
            error = failed
            with suppress(WaycairnError, OSError):
                note(self._core, task.name, {"error": f"{type(failed).__name__}: {failed}"})
        self._note(task, began, error)
        return self._core.clock.monotonic() - began

    def _note(self, task: Task, began: float, error: BaseException | None) -> None:
        took = self._core.clock.monotonic() - began
        self._ended[task.name] = Ended(self._core.clock.now(), took, error)
        if error is not None:
            log.warning("upkeep: %s was given up: %s", task.name, error)
