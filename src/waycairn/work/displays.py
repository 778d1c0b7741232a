"""How the progress of a running job is told: a bar on a terminal, else a line now and then. On stderr, always."""

from __future__ import annotations

import logging
import os
import sys
import threading
import typing
from typing import TYPE_CHECKING, Protocol

from waycairn.model.batch_settings import Mode
from waycairn.model.records import Progress
from waycairn.upkeep.sizes import duration_text, rate_text

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

_MODES = typing.get_args(Mode)

log = logging.getLogger("waycairn.progress")


class Display(Protocol):
    """Of one run."""

    interval: float
    """Seconds between two looks."""

    def show(self, progress: Progress, rate: float | None, eta: float | None) -> None: ...

    def close(self) -> None: ...


def display_for(name: str, said: str | None) -> Display | None:
    """What was said, else "auto": a bar if stderr is a terminal, lines otherwise. None: quiet."""
    mode = check_mode(said)
    if mode == "auto":
        mode = "bar" if _is_terminal() else "log"
    if mode == "off":
        return None
    return Bar(name) if mode == "bar" else Lines(name)


def check_mode(said: str | None) -> str:
    """The mode that holds, before anything is entered. Raises ValueError."""
    mode = said or "auto"
    if mode not in _MODES:
        raise ValueError(f"progress is one of {', '.join(_MODES)}, not {mode!r}. Nothing was done.")
    return mode


def _is_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


class Lines:
    """One line every half minute, and one at the end of a job that had one: through the logger `waycairn.progress` (INFO)
    where logging is set up for it, else on stderr."""

    interval = 30.0

    def __init__(self, name: str) -> None:
        self._name = name
        self._last = ""

    def show(self, progress: Progress, rate: float | None, eta: float | None) -> None:
        line = f"{self._name}: {words(progress, rate, eta)}"
        if line == self._last:
            return
        self._last = line
        if log.isEnabledFor(logging.INFO) and log.hasHandlers():
            log.info("%s", line)
        elif sys.stderr is not None:
            sys.stderr.write(f"waycairn: {line}\n")
            sys.stderr.flush()

    def close(self) -> None:
        """A line stays where it is."""


def words(progress: Progress, rate: float | None, eta: float | None) -> str:
    """`1,234 of 5,000 done, 3 failed, 41.2/s, 2 min to go`."""
    parts = [f"{progress.done:,}{'' if progress.total is None else f' of {progress.total:,}'} done"]
    if progress.failed:
        parts.append(f"{progress.failed:,} failed")
    if rate:
        parts.append(rate_text(rate))
    if eta:
        parts.append(f"{duration_text(eta)} to go")
    return ", ".join(parts)


class Bar:
    """One line of a terminal, drawn again and again. Runs that are under way at once share the screen."""

    interval = 0.25

    def __init__(self, name: str) -> None:
        self._name = name
        self._task: TaskID | None = None

    def show(self, progress: Progress, rate: float | None, eta: float | None) -> None:
        if self._task is None:
            self._task = _screen.add(self._name)
        _screen.update(self._task, progress, rate, eta)

    def close(self) -> None:
        if self._task is not None:
            _screen.remove()
            self._task = None


class _Screen:
    """rich can draw one thing at a time on a terminal."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._drawn: RichProgress | None = None
        self._users = 0

    def add(self, name: str) -> TaskID:
        with self._lock:
            if self._drawn is None:
                self._drawn = _new_progress()
                self._drawn.start()
            self._users += 1
            return self._drawn.add_task(name, total=None, words="")

    def update(self, task: TaskID, progress: Progress, rate: float | None, eta: float | None) -> None:
        with self._lock:
            if self._drawn is not None:
                ended = progress.done + progress.failed
                told = words(progress, rate, eta)
                self._drawn.update(task, total=progress.total, completed=ended, words=told)

    def remove(self) -> None:
        with self._lock:
            self._users -= 1
            if self._drawn is not None and not self._users:
                self._drawn.stop()
                self._drawn = None


def _new_progress() -> RichProgress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    return Progress(
        SpinnerColumn(finished_text="·"),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[words]}", markup=False),
        TimeElapsedColumn(),
        console=Console(stderr=True, no_color=bool(os.environ.get("NO_COLOR"))),
        # What the job prints goes above the bar; but never what it writes into a pipe or a file.
        redirect_stdout=sys.stdout is not None and sys.stdout.isatty(),
    )


_screen = _Screen()
