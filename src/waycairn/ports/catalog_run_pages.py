"""Many runs, read again and again by those who look at them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Protocol

from waycairn.model.records import RunRecord
from waycairn.model.run_pages import PlacedRun, RunMark, RunPage
from waycairn.model.states import RunStatus


class RunPages(Protocol):
    """Runs (not phases) by the page, and what changed of them."""

    def page_of_runs(self, which: RunPage) -> Sequence[PlacedRun]:
        """At most `limit` of them, in order. A run that is there all the time and keeps its place is on one page exactly,
        whatever comes and goes meanwhile."""
        ...

    def count_roots(self) -> Mapping[RunStatus, int]:
        """By their status as stored. Those that hold backups are not counted."""
        ...

    def run_marks(self, known: Sequence[int]) -> Sequence[RunMark]:
        """Of all that are running, phases too, and of those with these numbers that are there."""
        ...

    def runs_by_number(self, numbers: Sequence[int]) -> Mapping[int, RunRecord]:
        """Those that are there."""
        ...

    def rested_since(self, since: float, limit: int) -> Sequence[RunRecord]:
        """Roots that are not running and were changed after this moment, the newest change first."""
        ...

    def change_mark(self) -> Hashable | None:
        """The same as before: surely nothing was written meanwhile. None: that cannot be known here."""
        ...
