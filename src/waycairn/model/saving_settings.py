"""Settings: how often a run saves, what of it stays, and how it ends."""

from __future__ import annotations

from dataclasses import dataclass, replace

from waycairn.model.policy import Pace
from waycairn.model.retention import Keep
from waycairn.model.units import Duration, Share, seconds, share


@dataclass(frozen=True, slots=True, kw_only=True)
class SavingSettings:
    """How often a run takes a cut where its code does not say, and what of it stays."""

    pace: float | str = "auto"
    """How often a cut is taken, where the code does not say `pace=`: `auto`, `0` (only forced ones), seconds, `5m`, `5%`,
    `100 items`, `every item`, or several of these of which the first to come counts: `5%, 300s`."""
    overhead: Share = 0.01
    """With `auto`: the share of the run time that saving may take."""
    keep: int | str = 2
    """Which automatic checkpoints of a state stay, of each run and each phase: the newest so many (at least the one before the
    newest is worth keeping, to fall back on if that is damaged), `last all`, or `last 2, best 3 by loss`."""
    grace: Duration = 25.0
    """How long a training loop (`run.steps`) has from SIGTERM on to end its save in flight and to write one more; SIGKILL
    comes after 30 s as a rule."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "grace", seconds("grace", self.grace))
        object.__setattr__(self, "overhead", share("overhead", self.overhead))
        if not 0 < self.overhead <= 1:
            raise ValueError(f"overhead is a part of the run time above 0 and up to 1, not {self.overhead!r}")
        Pace.of(self.pace)
        Keep.of(self.keep)

    def pace_of(self, said: Pace | float | str | None) -> Pace:
        """What the code said, else what is set. ValueError for what is not understood."""
        return said if isinstance(said, Pace) else self.paced(Pace.of(self.pace if said is None else said))

    def paced(self, pace: Pace) -> Pace:
        """With the share that is set, where it is automatic."""
        return replace(pace, share=self.overhead) if pace == Pace() else pace
