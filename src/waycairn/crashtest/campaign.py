"""A whole crash test: undisturbed runs, the points, the trials, the report."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from pathlib import Path
from typing import Any

from waycairn.crashtest.backends import BACK_ENDS, Recorder
from waycairn.crashtest.comparing import Comparison
from waycairn.crashtest.difference import Difference
from waycairn.crashtest.place import Place, Places
from waycairn.crashtest.points import Point, choose, named, read_hits, work_in
from waycairn.crashtest.powerless import PowerLoss
from waycairn.crashtest.process import Ended, Running, begin_anew, end_all
from waycairn.crashtest.report import Report
from waycairn.crashtest.settings import Mode, Settings
from waycairn.crashtest.trial import Trial, Trials
from waycairn.errors import WaycairnError

Tell = Callable[[str, int, int], None]
"""Called with what is being done, how many trials are done, and of how many."""
_LEFT = 6
"""Things of each kind that kills may have left in a store: two a kill, and three kills at most."""
_KEPT = 5
"""Places of bad trials that are kept for you to look at."""


def crashtest(
    command: Sequence[str], *, directory: str | os.PathLike[str] | None = None, tell: Tell | None = None, **options: Any
) -> Report:
    """Kill a job at many points, start it again, and compare what it leaves with undisturbed runs.

    Three lines in a test of your own:

        from waycairn.crashtest import crashtest

        def test_my_job_survives():
            crashtest(["python", "job.py"], points=10).check()

    `options` are the fields of `Settings`. The job runs in copies of `directory` (default: the working directory), never
    in it. Raises ValueError for options that make no sense and FileNotFoundError for a command that is not there;
    everything else is in the report.
    """
    settings = Settings(command=tuple(command), directory=Path(directory or Path.cwd()).resolve(), **options)
    return Campaign(settings, tell or (lambda *_: None)).run()


class Campaign:
    def __init__(self, settings: Settings, tell: Tell) -> None:
        self._settings, self._tell = settings, tell
        self._power = PowerLoss(settings) if settings.backend == "power" else None
        self._striker = None if self._power else BACK_ENDS[settings.backend](settings)
        recorder: Recorder | None = self._power or self._striker
        assert recorder is not None
        self._recorder = recorder
        self._report = Report(settings, self._recorder.covers)
        self._kept = 0

    def run(self) -> Report:
        began = time.monotonic()
        begin_anew()
        below = Path(tempfile.mkdtemp(prefix="waycairn-crashtest-"))
        try:
            self._places = Places(self._settings.directory, below, self._settings.skip)
            points = self._record()
            if points is not None:
                self._do(points, began)
        finally:
            self._report.seconds = time.monotonic() - began
            if not self._kept:
                shutil.rmtree(below, ignore_errors=True)
        return self._report

    # -- undisturbed -------------------------------------------------------------------------------------------------

    def _record(self) -> list[Point] | None:
        """Run the job twice without a fault; where it can be struck, None if no trial makes sense."""
        report, settings = self._report, self._settings
        self._tell("an undisturbed run", 0, 0)
        golden = self._places.make("golden")
        first = Running(settings.command, golden, PYTHONDONTWRITEBYTECODE="").end(settings.timeout)
        if self._is_refused(first, golden):
            return None
        self._comparison = Comparison(settings, golden)
        self._tell("another one, recorded", 0, 0)
        second_place = self._places.make("recorded")
        second, points = self._recorder.record(second_place)
        if self._is_refused(second, second_place):
            return None
        report.golden_seconds = min(first.seconds, second.seconds)
        hits = read_hits(second_place.hits)
        self._work = work_in(hits)
        report.hits, report.names = len(points), len({point.name for point in points})
        report.stores = len(golden.stores())
        report.files = self._comparison.written(settings.directory)
        report.doubt = self._comparison.compare(second_place)
        second_place.remove()
        if report.doubt:
            return None
        report.problem = self._problem(points, is_hit=bool(hits))
        return None if report.problem else points

    def _is_refused(self, ended: Ended, place: Place) -> bool:
        if ended.code == self._settings.exit_code and not ended.is_late:
            return False
        how = f"was not done after {self._settings.timeout:g} s" if ended.is_late else f"ended with {ended.code}"
        self._report.problem = (
            f"the job {how} without any crash. Nothing was tried. It said at the end:\n{place.last_words()}"
        )
        return True

    def _problem(self, points: Sequence[Point], *, is_hit: bool) -> str:
        if is_hit and not self._report.stores:
            return (
                "the job keeps its store outside of its directory, where all trials would share it. Nothing was killed. Let "
                "it use the default store, or a path relative to its working directory."
            )
        if not points:
            return (
                "the job passes no crash point: it does not use waycairn, or all was done before. Nothing was killed. Mark "
                'places with waycairn.crashpoint("name"), or sample it with --backend timer.'
            )
        if not self._report.files and not self._report.stores:
            return (
                "the job leaves nothing in its directory that could be compared. Nothing was killed. Let it write relative "
                "to its working directory, or name a database with --sql."
            )
        return ""

    # -- struck ------------------------------------------------------------------------------------------------------

    def _do(self, points: Sequence[Point], began: float) -> None:
        asked = self._asked(points)
        self._tell("the first trials", 0, len(asked))
        trials = Trials(self._settings, self._striker, self._work, self._judge)
        pool = ThreadPoolExecutor(self._settings.jobs)
        try:
            waiting = [
                pool.submit(self._one, trials, number, point, mode, began) for number, (point, mode) in enumerate(asked)
            ]
            for done, future in enumerate(as_completed(waiting), 1):
                self._note(future.result(), done, len(asked))
        except BaseException:
            end_all()  # their sessions are their own: a Ctrl-C here does not reach them
            raise
        finally:
            pool.shutdown(cancel_futures=True)
        self._report.trials.sort(key=lambda trial: (trial.point.progress, trial.number))

    def _note(self, trial: Trial | None, done: int, of: int) -> None:
        if trial is None:
            self._report.left_out += 1
            return
        self._report.trials.append(trial)
        self._tell(f"{trial.mode} at {trial.point}", done, of)

    def _asked(self, points: Sequence[Point]) -> list[tuple[Point, Mode]]:
        """Points and modes in the order of their worth; each mode gets its share."""
        settings = self._settings
        if settings.at:
            known = {str(point): point for point in points}
            asked = [known.get(text) or named(text) for text in settings.at]
            return [(point, mode) for point in asked for mode in settings.modes]
        by_mode = {mode: self._fitting(points, mode) for mode in settings.modes}
        if settings.every:
            return [(point, mode) for mode, fitting in by_mode.items() for point in fitting]
        share = max(1, settings.points // len(by_mode))
        chosen = {mode: choose(fitting, share, settings.seed) for mode, fitting in by_mode.items()}
        rounds = [
            (point, mode)
            for number in range(share)
            for mode, some in chosen.items()
            for point in some[number : number + 1]
        ]
        return rounds[: max(settings.points, len(by_mode))]

    def _fitting(self, points: Sequence[Point], mode: Mode) -> list[Point]:
        if mode == "worker":
            return [point for point in points if point.in_worker]
        if mode == "takeover":
            # Stopped inside a transaction it holds the database of everybody: no takeover is possible, by design.
            return [point for point in points if point.name != "catalog.commit" and not point.in_worker]
        return list(points)

    def _one(self, trials: Trials, number: int, point: Point, mode: Mode, began: float) -> Trial | None:
        budget = self._settings.time_budget
        if budget is not None and time.monotonic() - began > budget:
            return None
        if self._power is not None:
            return self._one_cut(self._power, trials, number, point)
        place = self._places.make(f"trial-{number}")
        trial = trials.do(number, point, mode, place)
        if not trial.delivered:  # processes that race come there in another order now and then
            place = self._places.make(f"trial-{number}")
            trial = trials.do(number, point, mode, place)
        if trial.passed or self._kept >= _KEPT:
            place.remove()
        else:
            self._kept += 1
            trial.place = place.root
        return trial

    def _one_cut(self, power: PowerLoss, trials: Trials, number: int, point: Point) -> Trial:
        with power.after(point) as place:
            trial = trials.go_on(number, point, place, power.lost(point))
            if not trial.passed and self._kept < _KEPT:
                self._kept += 1
                trial.place = self._places.below / f"trial-{number}"
                shutil.copytree(place.root, trial.place, symlinks=True)
        return trial

    def _judge(self, place: Place) -> list[Difference]:
        return [*self._broken_promises(place), *self._comparison.compare(place)]

    def _broken_promises(self, place: Place) -> list[Difference]:
        """What holds for every store whatever the job does: what was acknowledged is there, and so on."""
        from waycairn.upkeep.invariants import read_history, verify
        from waycairn.wiring import open_core

        found, stores = [], place.stores()
        # With several stores a line of the history does not say to which of them it belongs.
        history = read_history(place.history) if len(stores) == 1 else []
        for path in stores:
            try:
                with closing(open_core(path, create=False)) as core:
                    # Jobs that are no loops tell their progress by hand.
                    violations = verify(core, history, folder=place.work, leftovers=_LEFT, counted=False)
                found += [Difference("store", f"{one.invariant}: {one.what}", "invariant") for one in violations]
            except WaycairnError as error:
                found.append(Difference("store", str(error), "invariant"))
        return found
