"""A circuit breaker around a sink: while its database is away it is asked again after 0.1 s, then after twice as long
each time, up to 30 s; only one try is under way at a time, and everybody can see since when and why.

Own lines, where the design named pybreaker. That one refuses calls while the circuit is open, where a stream has to
wait: its input lies in files and loses nothing. It waits equally long each time, reads the wall clock (a clock that
jumps back keeps it open for as long), holds its lock while the call runs, and knows coroutines through tornado only.
"""

from __future__ import annotations

import threading
from typing import Literal

import msgspec

from waycairn.ports import Clock
from waycairn.streams.failures import kind_of
from waycairn.world.clock import SystemClock
from waycairn.world.randomness import chance

_FIRST, _LONGEST = 0.1, 30.0


def is_away(error: BaseException) -> bool:
    """Whether it passes by itself: the database cannot be reached, or somebody else holds it. A full disk, missing
    rights and damage do not: they are for a person, and are never waited for."""
    return kind_of(error) in {"away", "busy"}


class Outage(msgspec.Struct, frozen=True, kw_only=True):
    """What is known while a database is away."""

    since: float
    """Seconds since 1970."""
    tries: int
    """That failed."""
    error: str
    """Of the last one."""
    next_try: float
    """Seconds since 1970."""


class Breaker:
    """Thread-safe: one thread tries, others may look."""

    def __init__(self, clock: Clock | None = None, *, first: float = _FIRST, longest: float = _LONGEST) -> None:
        self._clock: Clock = clock or SystemClock()
        self._first = first
        self._longest = longest
        self._lock = threading.Lock()
        self._outage: Outage | None = None
        self._due = 0.0
        self._is_trying = False

    @property
    def state(self) -> Literal["closed", "open", "half-open"]:
        """closed: all is well. open: away, and nothing is tried. half-open: one try is under way."""
        with self._lock:
            if self._outage is None:
                return "closed"
            return "half-open" if self._is_trying else "open"

    @property
    def outage(self) -> Outage | None:
        """None while all is well."""
        return self._outage

    def wait(self) -> float:
        """Seconds until a try makes sense; 0: now, and it is this caller's: `with breaker:`."""
        with self._lock:
            if self._outage is None:
                return 0.0
            left = self._due - self._clock.monotonic()
            if self._is_trying:
                return max(left, self._first)
            self._is_trying = left <= 0
            return max(left, 0.0)

    def succeeded(self) -> None:
        """The database answered."""
        with self._lock:
            self._outage, self._is_trying = None, False

    def failed(self, error: BaseException) -> None:
        """It is away: `is_away` of the error."""
        with self._lock:
            now = self._clock.now()
            since, tries = (self._outage.since, self._outage.tries) if self._outage else (now, 0)
            longest = min(self._first * 2**tries, self._longest)
            wait = longest * (0.75 + chance() / 4)  # many streams of one server must not come back all at once
            self._due = self._clock.monotonic() + wait
            self._is_trying = False
            text = (str(error).strip().splitlines() or [type(error).__name__])[0]
            self._outage = Outage(since=since, tries=tries + 1, error=text, next_try=now + wait)

    def __enter__(self) -> None:
        """Around a try that `wait` has given: an outage is remembered and goes no further; everything else is an
        answer."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> bool:
        if error is None or (isinstance(error, Exception) and not is_away(error)):
            self.succeeded()
            return False
        if isinstance(error, Exception):
            self.failed(error)
            return True
        with self._lock:
            self._is_trying = False  # left in the middle: nothing was learned
        return False
