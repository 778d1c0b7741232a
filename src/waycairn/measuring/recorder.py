"""A meter that keeps histograms in memory and writes them down once a minute, never on the thread that is measured.

What is told goes into a deque, which takes no lock, so that a signal handler may measure, too; it is counted when there is
time for it. Writing happens in a short thread that is started when something is told and a minute is over, so a process
that does nothing has no thread and wakes up for nothing.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from time import perf_counter
from typing import Any, TypeVar

from waycairn.errors import OwnershipLost, WaycairnError
from waycairn.measuring import spans
from waycairn.model.histogram import Histogram
from waycairn.model.measures import HOUR, Measured, failures_of
from waycairn.ports import Clock, MeasureRows
from waycairn.world.randomness import new_nonce

log = logging.getLogger("waycairn.measuring")
T = TypeVar("T")
PAUSE = 60.0
"""Seconds between two writings."""
_MOST = 16_384
"""Measurements that may wait until they are counted; then whoever comes next counts them, in about 15 ms. A minute has more of
them only where one takes less than 4 ms."""


class Recorder:
    """Implements `ports.Meter` over a catalog. Does nothing in a forked child."""

    def __init__(self, catalog: MeasureRows, clock: Clock, pause: float = PAUSE) -> None:
        self._catalog = catalog
        self._clock = clock
        self._monotonic = clock.monotonic
        self._pause = pause
        self._writer = new_nonce()
        self._told: deque[tuple[str, float, float]] = deque()
        self._counting = threading.Lock()
        self._writing = threading.RLock()  # a signal handler may close the store that its thread is writing to
        self._hour = 0
        self._kept: dict[str, Histogram] = {}
        """Of this hour, by name."""
        self._unwritten: dict[tuple[int, str], Histogram] = {}
        self._due = 0.0
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()
        self._is_closed = False
        self._at_exit = _closing(self)

    # -- what is measured -----------------------------------------------------------------------------------------

    def timed(self, act: str, call: Callable[..., T], *given: Any, **facts: Any) -> T:
        began = perf_counter()
        try:
            result = spans.traced(act, call, given, facts) if spans.is_on() else call(*given)
        except (WaycairnError, OSError):
            self.count(failures_of(act))
            raise
        except OwnershipLost:
            self.count("ownership.lost")  # a refusal that was right, no failure
            raise
        self.record(act, perf_counter() - began)
        return result

    def record(self, name: str, value: float) -> None:
        now = self._monotonic()
        self._told.append((name, value, now))
        if name.endswith(".bytes") and spans.is_on():
            spans.note("bytes", value)
        if now >= self._due or len(self._told) > _MOST:
            self._begin_to_write()

    def count(self, name: str) -> None:
        self.record(name, 0.0)

    # -- writing it down --------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Raises nothing: what could not be written is written with the next."""
        if self._is_closed or os.getpid() != self._pid:
            return
        with self._writing:
            self._count_told()
            unwritten, self._unwritten = self._unwritten, {}
            try:
                if rows := [self._row(hour, name, one) for (hour, name), one in list(unwritten.items())]:
                    self._catalog.put_measured(rows)
            except (WaycairnError, OSError) as error:
                log.debug("measurements are not written yet: %s", error)
                for which, histogram in unwritten.items():
                    self._unwritten.setdefault(which, histogram)

    def _row(self, hour: int, name: str, counted: Histogram) -> Measured:
        """A copy: another thread may go on counting."""
        return Measured(hour, name, self._writer, Histogram(counted.buckets, counted.total))

    def close(self) -> None:
        """What is left is written; if that cannot be done at once it is lost."""
        thread, self._thread = self._thread, None
        if thread is not None and os.getpid() == self._pid:
            thread.join()
        self.flush()
        self._is_closed = True
        atexit.unregister(self._at_exit)

    def _begin_to_write(self) -> None:
        is_first, is_due = not self._due, self._monotonic() >= self._due
        if is_due:
            self._due = self._monotonic() + self._pause
        if is_first:
            atexit.register(self._at_exit)
        elif is_due:
            self._start()
        else:
            self._count_told()

    def _start(self) -> None:
        """At the end of an interpreter no thread begins: then `close`, or the end itself, writes."""
        with suppress(RuntimeError):
            thread = threading.Thread(target=self.flush, name="waycairn-measuring", daemon=True)
            thread.start()
            self._thread = thread

    def _count_told(self) -> None:
        """Never waits: whoever counts already counts this, too."""
        if not self._counting.acquire(blocking=False):
            return
        try:
            since = self._clock.now() - self._monotonic()
            while self._told:
                name, value, at = self._told.popleft()
                self._turn_to(int((since + at) // HOUR))
                histogram = self._kept.get(name)
                if histogram is None:
                    histogram = self._kept[name] = Histogram()
                histogram.add(value)
                self._unwritten[self._hour, name] = histogram
        finally:
            self._counting.release()

    def _turn_to(self, hour: int) -> None:
        """Never back, also if the clock is set back: a row that is written replaces the one that its hour has."""
        if hour > self._hour:
            self._hour, self._kept = hour, {}


def _closing(recorder: Recorder) -> Callable[[], None]:
    """For the end of a program, which need not close the store that it uses, and must not keep it alive."""
    weak = weakref.ref(recorder)

    def close() -> None:
        alive = weak()
        if alive is not None:
            alive.close()

    return close
