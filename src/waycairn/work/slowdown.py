"""What saves cost a loop: the time that it stands still, and how much slower its steps are while one is written."""

from __future__ import annotations

_LEARN = 0.1


class Slowdown:
    """Told when steps begin and end. Times are seconds on a monotonic clock."""

    def __init__(self) -> None:
        self.stall = 0.0
        """Of the newest save: how long the loop stood still."""
        self.flight = 0.0
        """Of the newest save that ended: how long it was written."""
        self._quiet = 0.0
        self._began = 0.0
        self._took_off = 0.0
        self._steps_beside = 0
        self._seconds_beside = 0.0

    def begin(self, now: float) -> None:
        self._began = now

    def end(self, now: float, *, is_saving: bool) -> None:
        took = now - self._began
        if is_saving:
            self._steps_beside += 1
            self._seconds_beside += took
        else:
            self._quiet += (took - self._quiet) * (_LEARN if self._quiet else 1.0)

    def stalled(self, began: float, ended: float) -> None:
        """A save was copied between these times, and is written from now on."""
        self.stall = ended - began
        self._took_off = ended
        self._steps_beside, self._seconds_beside = 0, 0.0

    def landed(self, now: float) -> float:
        """It is durable (to the accuracy of a step). What it cost the loop, in seconds."""
        self.flight = now - self._took_off
        return self.stall + max(0.0, self._seconds_beside - self._steps_beside * self._quiet)
