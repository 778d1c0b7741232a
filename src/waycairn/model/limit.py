"""At most so many starts a second: a bucket of tokens, as arithmetic on times that the caller measured."""

from __future__ import annotations

import re

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_TEXT = re.compile(r"(?P<amount>\d+(\.\d+)?)\s*/\s*(?P<unit>s|m|h)(ec(ond)?|in(ute)?|our)?")
_BURST = 0.02
"""Seconds whose starts may come at once: what a busy owner was late for is made up for, and no more."""


class RateLimit:
    """Starts are spread evenly: 500 a minute are one every 120 ms."""

    def __init__(self, per_second: float, now: float) -> None:
        self.per_second = per_second
        self._most = max(1.0, per_second * _BURST)
        self._tokens = 1.0
        self._at = now

    def available(self, now: float) -> int:
        """How many may start now."""
        self._tokens = min(self._most, self._tokens + max(0.0, now - self._at) * self.per_second)
        self._at = now
        return int(self._tokens + 1e-9)

    def took(self, count: int) -> None:
        """So many started."""
        self._tokens -= count

    def seconds(self) -> float:
        """How long until the next may start."""
        return max(0.0, (1.0 - self._tokens) / self.per_second)


def per_second(rate: float | str) -> float:
    """From what a user writes: "500/m", "2/s", "10000/h", or a number a second."""
    if isinstance(rate, str):
        words = _TEXT.fullmatch(rate.strip().lower())
        found = float(words["amount"]) / _UNITS[words["unit"]] if words else 0.0
    else:
        found = 0.0 if isinstance(rate, bool) else float(rate)
    if not 0 < found < float("inf"):
        raise ValueError(f'rate {rate!r} is not understood; use "500/m", "2/s", "10000/h", or a number a second')
    return found
