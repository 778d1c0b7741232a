"""Settings: how batches are worked through."""

from __future__ import annotations

import typing
from dataclasses import dataclass
from typing import Literal

from waycairn.model.retry import Retry
from waycairn.model.units import Duration, seconds

Mode = Literal["auto", "bar", "log", "off"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSettings:
    """How items are worked through where the code does not say."""

    workers: int | None = None
    """How many items of `run.map` are computed at once, where the code does not say `workers=`; by default processors + 4
    threads (at most 32), as many processes as processors, or 100 coroutines."""
    attempts: int = 1
    """How often an item of `run.map` is tried before it counts as failed, where the code does not say `retry=`."""
    wait: Duration = 1.0
    """The time before the second of these attempts; doubled each time."""
    max_wait: Duration = 60.0
    """The longest time between two of them."""
    retry_failed: bool | None = None
    """`false`: `run.items` and `run.map` leave alone what failed before, where the code does not say `retry_failed=`;
    `true`: they also try again what killed its process; by default they try again what failed."""
    progress: Mode = "auto"
    """How running jobs tell how far they are, where the code does not say `progress=`: `bar`, `log` (a line every half
    minute, through the logger `waycairn.progress` where logging is set up for it, else on stderr), `off`, or `auto`: a bar
    where stderr is a terminal, lines otherwise."""

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"workers is a number from 1 up, not {self.workers!r}")
        if self.attempts < 1:
            raise ValueError(f"attempts is a number from 1 up, not {self.attempts!r}")
        object.__setattr__(self, "wait", seconds("wait", self.wait))
        object.__setattr__(self, "max_wait", seconds("max_wait", self.max_wait))
        if self.progress not in typing.get_args(Mode):
            raise ValueError(f"progress is one of {', '.join(typing.get_args(Mode))}, not {self.progress!r}")

    @property
    def retry(self) -> Retry:
        """What `run.map` does where its code does not say."""
        return Retry(attempts=self.attempts, wait=self.wait, max_wait=self.max_wait)
