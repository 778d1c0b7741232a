"""Settings: how training loops save."""

from __future__ import annotations

import typing
from dataclasses import dataclass
from typing import Literal

from waycairn.model.policy import Pace
from waycairn.model.retention import Keep

WhenBusy = Literal["wait", "skip"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSettings:
    """How training loops (`run.steps`) save where the code does not say."""

    save_every: int | float | str | None = None
    """How often a loop saves, where the code does not say `save_every=`: so many steps, `5m`, `auto`; by default at the
    pace of the run."""
    keep: int | str = 2
    """Which of these saves stay, where the code does not say `keep=`: the newest so many, `last all`,
    `last 2, best 3 by loss`."""
    when_busy: WhenBusy = "wait"
    """Where the save before is still being written: `wait` for it, or `skip` this one."""

    def __post_init__(self) -> None:
        if self.save_every is not None:
            steps_or_pace(self.save_every)
        Keep.of(self.keep)
        if self.when_busy not in typing.get_args(WhenBusy):
            raise ValueError(f'when_busy is "wait" or "skip", not {self.when_busy!r}')


def steps_or_pace(save_every: float | str | Pace) -> Pace:
    """What a user writes as `save_every`: so many steps, "auto", "5m", a Pace."""
    if isinstance(save_every, int) and not isinstance(save_every, bool):
        if save_every < 1:
            raise ValueError(f"save_every is a number of steps from 1 up, not {save_every}")
        return Pace(items=save_every)
    return Pace.of(save_every)
