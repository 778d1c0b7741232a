"""One trial: strike the job at a point, start it again until it is done, and look at what it left."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from waycairn.crashtest.backends import BackEnd, recording
from waycairn.crashtest.difference import Difference
from waycairn.crashtest.place import Place
from waycairn.crashtest.points import WORK, Point, read_hits, work_in
from waycairn.crashtest.process import Ended, Running
from waycairn.crashtest.settings import Mode, Settings

Judge = Callable[[Place], list[Difference]]
"""What is wrong with what a finished job left."""
_LEAVING = {"term": {143, -signal.SIGTERM}, "int": {130, -signal.SIGINT}}
"""Exit codes with which a job leaves when it is asked to: as the library does it, or unhandled."""
_SECOND = (1, 2, 3, 5, 8, 13, 21, 34)
"""Which point of the recovery the second kill falls on, from trial to trial."""


@dataclass
class Trial:
    number: int
    point: Point
    mode: Mode
    delivered: int = 0
    """Kills or signals that really happened."""
    note: str = ""
    differences: list[Difference] = field(default_factory=list)
    attempts: int = 0
    """Starts after the first one."""
    redone: int = 0
    """Items, steps and calls of a map that began again."""
    killed_after: float = 0.0
    """Seconds."""
    resumed_in: float = 0.0
    """Seconds from starting again to the first work, or to the end where nothing was left to do."""
    seconds: float = 0.0
    """Of all its starts together."""
    place: Path | None = None
    """Where it lies, if it was kept."""

    @property
    def passed(self) -> bool:
        return not self.differences


class Trials:
    """Does trials; the same for each of them: settings, back end, how much an undisturbed run does."""

    def __init__(self, settings: Settings, back_end: BackEnd | None, work: int, judge: Judge) -> None:
        self._settings, self._back_end, self._work, self._judge = settings, back_end, work, judge

    def do(self, number: int, point: Point, mode: Mode, place: Place) -> Trial:
        assert self._back_end is not None
        trial = Trial(number, point, mode)
        running = self._back_end.start(point, mode, place)
        if self._back_end.strike(point, mode, running):
            ended = self._taken_over(trial, running) if mode == "takeover" else self._struck(trial, running)
        else:
            ended = running.end(self._settings.timeout)
        trial.killed_after = trial.seconds = ended.seconds
        if not trial.delivered:
            trial.note = f"not reached: it ended with {ended.code}"
            return trial
        if mode == "double":
            self._strike_again(trial, place)
        if mode == "takeover" or (mode == "worker" and ended.code == self._settings.exit_code):
            last = ended if mode == "worker" else None
        else:
            last = self._resume(trial, place)
        trial.redone = max(0, work_in(read_hits(place.hits)) - self._work) if self._work else 0
        if last is None or last.code == self._settings.exit_code:
            trial.differences += self._judge(place)
        return trial

    def go_on(self, number: int, point: Point, place: Place, lost: str) -> Trial:
        """From what a power cut left."""
        trial = Trial(number, point, "kill", delivered=1, note=f"lost {lost}")
        if self._resume(trial, place).code == self._settings.exit_code:
            trial.differences += self._judge(place)
        return trial

    # -- striking ----------------------------------------------------------------------------------------------------

    def _struck(self, trial: Trial, running: Running) -> Ended:
        mode = trial.mode
        if mode not in _LEAVING:
            ended = running.end(self._settings.timeout)
            is_struck = running.place.struck.exists() if mode == "worker" else ended.code == -signal.SIGKILL
            trial.delivered = int(is_struck)
            return self._judged_late(trial, ended)
        reached = running.wait(self._settings.timeout, until=lambda: self._was_reached(trial.point, running.place))
        ended = running.end(self._settings.grace if reached else 0)
        trial.delivered = int(self._was_reached(trial.point, running.place))
        if trial.delivered and not ended.is_late and ended.code not in _LEAVING[mode] | {self._settings.exit_code}:
            trial.note = f"left with exit code {ended.code}"
        return self._judged_late(trial, ended)

    def _judged_late(self, trial: Trial, ended: Ended) -> Ended:
        if ended.is_late:
            left = self._settings.grace if trial.mode in _LEAVING else self._settings.timeout
            trial.delivered = max(1, trial.delivered)
            trial.differences.append(Difference("leaving", f"it did not end within {left:g} s and was killed", "late"))
        return ended

    def _was_reached(self, point: Point, place: Place) -> bool:
        """A moment of the clock is reached when it was waited for."""
        return not point.name or place.struck.exists()

    def _strike_again(self, trial: Trial, place: Place) -> None:
        """In the midst of its recovery, at whatever point it passes then."""
        second = _SECOND[trial.number % len(_SECOND)]
        environment = recording(place) | {"WAYCAIRN_CRASH": f"*@{second}:GROUP"}
        ended = Running(self._settings.command, place, **environment).end(self._settings.timeout)
        trial.seconds += ended.seconds
        trial.attempts += 1
        trial.delivered += ended.code == -signal.SIGKILL and not ended.is_late

    def _taken_over(self, trial: Trial, running: Running) -> Ended:
        """The owner is stopped, another process takes over and ends the job, the owner wakes up."""
        stopped = running.wait(self._settings.timeout, until=running.is_stopped) and running.is_stopped()
        trial.delivered = int(stopped)
        if not stopped:
            return running.end(self._settings.timeout)
        place = running.place
        _take_over_all(place)
        self._resume(trial, place)
        running.signal(signal.SIGCONT)
        ended = running.end(self._settings.grace)
        trial.note = f"the first owner left with exit code {ended.code}"
        return self._judged_late(trial, ended)

    # -- going on ----------------------------------------------------------------------------------------------------

    def _resume(self, trial: Trial, place: Place) -> Ended:
        """Start it again until it is done."""
        for attempt in range(1, self._settings.attempts + 1):
            before = len(read_hits(place.hits))
            running = Running(self._settings.command, place, **recording(place))
            ended = running.end(self._settings.timeout)
            trial.attempts += 1
            trial.seconds += ended.seconds
            if attempt == 1:
                trial.resumed_in = _back_at_work(place, before, running.began, ended.seconds)
            if ended.code == self._settings.exit_code:
                return ended
        words = place.last_words(1).strip()
        what = "did not end in time" if ended.is_late else f"is {ended.code}, not {self._settings.exit_code}"
        trial.differences.append(
            Difference("exit code", f"{what} ({words[:200]})", "late" if ended.is_late else "ending")
        )
        return ended


def _back_at_work(place: Place, before: int, began: float, seconds: float) -> float:
    """Seconds from the start to the first work of a resumed run."""
    for hit in read_hits(place.hits)[before:]:
        if hit.name in WORK:
            return hit.at - began
    return seconds


def _take_over_all(place: Place) -> None:
    from waycairn.errors import WaycairnError
    from waycairn.model.states import RunStatus
    from waycairn.work.store import open_store

    for path in place.stores():
        with open_store(path, create=False) as store:
            for run in store.runs():
                if run.status is RunStatus.RUNNING:
                    try:
                        store.takeover(run.id)
                    except WaycairnError:
                        continue  # its owner had left it by then
