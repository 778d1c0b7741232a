"""How fast does it go, and how long will it take? Pure arithmetic on progress that the caller saw."""

from __future__ import annotations

from collections import deque
from itertools import pairwise

_POINTS = 100
"""Points kept in a window at most, however often `add` is called."""


class Rate:
    """Items a second over the last `window` seconds, from how many were done at which times.

    Progress comes in jumps where it is seen from outside, one for each commit. So the rate is taken between jumps, at
    least over the last two, and it falls only when the next jump is later than those before it were. Not thread-safe.
    """

    def __init__(self, window: float = 30.0) -> None:
        self._window = window
        self._now = 0.0
        self._points: deque[tuple[float, int]] = deque()
        """When `done` changed, and to what."""

    def add(self, now: float, done: int) -> None:
        """At `now` (seconds, any clock that goes on evenly) so many were done. Fewer than before: it begins anew."""
        points, self._now = self._points, now
        if points and done < points[-1][1]:
            points.clear()
        if not points or done > points[-1][1]:
            if len(points) > 1 and now - points[-2][0] < self._window / _POINTS:
                points.pop()
            points.append((now, done))
            while len(points) > 2 and points[0][0] < now - self._window:
                points.popleft()

    @property
    def per_second(self) -> float | None:
        """None until progress was seen."""
        if len(self._points) < 2:
            return None
        (begun, before), (ended, done) = self._points[0], self._points[-1]
        usual = max(later - earlier for (earlier, _), (later, _) in pairwise(self._points))
        seconds = max(ended - begun, self._now - usual - begun)
        return (done - before) / seconds if seconds > 0 else None

    def eta(self, left: int) -> float | None:
        """Seconds until `left` more are done, at this rate; None while there is no rate."""
        if left <= 0:
            return 0.0
        rate = self.per_second
        return left / rate if rate else None
