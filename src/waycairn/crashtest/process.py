"""Starting the job and seeing it end, with everything that it started."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from waycairn.crashtest.place import Place
from waycairn.settings import load

_MARK = "WAYCAIRN_CRASHTEST"
"""In the environment of all that belongs to one run: how those are found that left its process group."""
_TICK = 0.005
_LOOK = 0.03
"""Seconds between two looks at more than its end."""
_LEAVING = 3.0
"""Seconds in which what the job started may end after it."""


@dataclass(frozen=True, slots=True)
class Ended:
    code: int
    """Negative for the signal that ended it."""
    seconds: float
    stragglers: int = 0
    """Processes that outlived it and were ended here."""
    is_late: bool = False
    """It did not end in time and was killed."""


class Running:
    """The job, running in its place as the leader of a session of its own."""

    def __init__(self, command: Sequence[str], place: Place, **environment: str) -> None:
        """FileNotFoundError if there is no such command."""
        self.place = place
        self._mark = str(place.root)
        self.began = time.time()
        if _is_over.is_set():
            raise InterruptedError("the crash test was given up")
        with place.said.open("ab") as said:
            self._process = subprocess.Popen(  # noqa: S603 - the command that was asked for
                found(command),
                cwd=place.work,
                env=_environment(place, self._mark, environment),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _living.add(self)

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait(self, seconds: float, until: Callable[[], bool] | None = None) -> bool:
        """Whether it ended, or `until` is true, in time."""
        deadline = time.monotonic() + seconds
        tick = _LOOK if until else _TICK
        while self._process.poll() is None:
            if until and until():
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(tick)
        return True

    def end(self, seconds: float) -> Ended:
        """Wait for its end; then for that of all it started."""
        is_late = not self.wait(seconds)
        if is_late:
            self.signal(signal.SIGKILL)
        code = self._process.wait()
        _living.discard(self)
        took = time.time() - self.began
        return Ended(code, took, self._end_rest(at_once=code == -signal.SIGKILL), is_late)

    def signal(self, number: int) -> None:
        """To the whole group."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def is_stopped(self) -> bool:
        """Whether a process of the group is stopped."""
        return any(process.status() == psutil.STATUS_STOPPED for process in self._members())

    def _members(self) -> list[psutil.Process]:
        """All that carry the mark, in whatever group they are."""
        members = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if process.environ().get(_MARK) == self._mark and process.status() != psutil.STATUS_ZOMBIE:
                    members.append(process)
        return members

    def _end_rest(self, *, at_once: bool) -> int:
        if at_once:
            self.signal(signal.SIGKILL)
        deadline = time.monotonic() + (0.0 if at_once else _LEAVING)
        while (rest := self._members()) and time.monotonic() < deadline:
            time.sleep(4 * _TICK)
        for process in rest:
            with suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(rest, timeout=_LEAVING)
        return len(rest)


_living: set[Running] = set()
_is_over = threading.Event()


def end_all() -> None:
    """Kill what still runs, and let nothing start any more until `begin_anew`."""
    _is_over.set()
    for running in list(_living):
        running.signal(signal.SIGKILL)
        running.signal(signal.SIGCONT)


def begin_anew() -> None:
    """Another crash test in this process."""
    _is_over.clear()


def found(command: Sequence[str]) -> list[str]:
    """The command; outside of an activated environment `python` is this interpreter, which has waycairn installed."""
    is_activated = os.environ.get("VIRTUAL_ENV") or os.environ.get("CONDA_PREFIX")
    if command[0] in {"python", "python3"} and not (is_activated and shutil.which(command[0])):
        return [sys.executable, *command[1:]]
    return list(command)


def _environment(place: Place, mark: str, more: Mapping[str, str]) -> dict[str, str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith("WAYCAIRN_CRASH")}
    for name in ("WAYCAIRN_STORE", "WAYCAIRN_STORE__URL"):
        kept.pop(name, None)  # each trial has the store of its own directory
    return {
        # Read by all, written by the golden run alone: nobody compiles what it imports at every start, or is killed at it.
        "PYTHONPYCACHEPREFIX": str(place.bytecode),
        **kept,
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": str(place.temporary),
        "WAYCAIRN_HISTORY": str(place.history),
        **_own_store(place),
        _MARK: mark,
        **more,
    }


def _own_store(place: Place) -> dict[str, str]:
    """Where a settings file names a store outside of its directory, trials would share it with each other and with you."""
    url = load(start=place.work, environment={}).settings.store.url
    if url is None or ("://" not in url and Path(os.path.normpath(url)).is_relative_to(place.work)):
        return {}
    return {"WAYCAIRN_STORE": str(place.work / ".waycairn")}
