"""A service said when to come back: what was handed out and has not begun waits too."""

from __future__ import annotations

from time import perf_counter


class Hold:
    """Until when nothing is to begin. Written by whoever was told to wait, looked at before each task."""

    def __init__(self) -> None:
        self._until = 0.0

    def extend(self, seconds: float) -> None:
        """Nothing begins for so long."""
        self._until = max(self._until, perf_counter() + seconds)

    @property
    def seconds(self) -> float:
        """How long that still is; not above 0 if it is over."""
        return self._until - perf_counter() if self._until else 0.0
