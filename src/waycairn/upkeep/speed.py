"""How fast a run goes, seen from outside, look by look."""

from __future__ import annotations

from typing import NamedTuple

from waycairn.model.rate import Rate
from waycairn.model.records import RunRecord


class Pace(NamedTuple):
    rate: float | None = None
    """Items a second, done or failed, of the last half minute; None until progress was seen."""
    eta: float | None = None
    """Seconds; None where nobody knows how much there is to do, or how fast it goes."""


NO_PACE = Pace()
"""Of a run that nobody works on, or that nobody has looked at for long enough."""


class Speed:
    """Measures one run. Not thread-safe."""

    def __init__(self) -> None:
        self._rate = Rate()
        self._epoch = 0
        self._committed = self._seen = 0.0
        """When the newest commit was made, by the clock of the job, and when we saw that, by ours."""

    def see(self, run: RunRecord, now: float) -> Pace:
        """At `now`, by a clock of ours that goes on evenly. Commits tell exactly when they were made; that they were seen a
        second later would blur the rate."""
        if run.epoch != self._epoch:
            # What lies between two entries is no time of work.
            self._rate, self._epoch = Rate(), run.epoch
        if run.updated != self._committed:
            self._committed, self._seen = run.updated, now
        progress = run.progress
        self._rate.add(self._committed + now - self._seen, progress.done + progress.failed)
        left = None if progress.total is None else progress.total - progress.done - progress.failed
        return Pace(self._rate.per_second, None if left is None else self._rate.eta(left))
