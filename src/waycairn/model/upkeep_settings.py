"""The section `upkeep`: when a store cares for itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from waycairn.model.policies import read_zone
from waycairn.model.units import Duration, hours, is_within, seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class UpkeepSettings:
    """When a store cares for itself. What a person asks for by a command is done at once, whatever is set here."""

    enabled: bool = True
    """Whether anything is done in the background at all, by jobs or by `store.start_upkeep()`."""
    pause: Duration = 10.0
    """The least time between two sweeps beside jobs that replace their checkpoints, of all processes at one store."""
    interval: Duration = 900.0
    """The time between two sweeps of `store.start_upkeep()`."""
    share: float = 0.02
    """Of its time that a process spends on upkeep, at most: after work that took 1 s comes a pause of 50 s."""
    quiet_hours: str | None = None
    """A part of the day, as "08:00-20:00", in which nothing is done in the background but the look at health."""
    timezone: str = "UTC"
    """By which the hours of the day are told."""
    grace: Duration = 3600.0
    """How old a pack must be that no commit names, before it is taken for left behind."""
    temporary_age: Duration = 86400.0
    """How old a temporary file of ours must be, before it is taken for left behind."""
    migration_copies: float | str = "never"
    """How long the copies of the catalog stay that are made before it is migrated."""

    def __post_init__(self) -> None:
        for name in ("pause", "interval", "grace", "temporary_age"):
            object.__setattr__(self, name, seconds(f"upkeep.{name}", getattr(self, name)))
        if self.migration_copies != "never":
            seconds("upkeep.migration_copies", self.migration_copies)
        if isinstance(self.share, bool) or not 0 < self.share <= 1:
            raise ValueError(f"upkeep.share is a part of the time above 0 and up to 1, not {self.share!r}")
        if self.quiet_hours is not None:
            hours("upkeep.quiet_hours", self.quiet_hours)
        read_zone("upkeep.timezone", self.timezone)

    def is_quiet(self, now: float) -> bool:
        """Whether nothing is to be done in the background at this time (seconds since 1970)."""
        return self.quiet_until(now) is not None

    def quiet_until(self, now: float) -> float | None:
        """When the quiet hours end that it is in; None if it is in none."""
        if self.quiet_hours is None:
            return None
        part = hours("upkeep.quiet_hours", self.quiet_hours)
        local = datetime.fromtimestamp(now, read_zone("upkeep.timezone", self.timezone))
        if not is_within(local.hour * 60 + local.minute, part):
            return None
        end = local.replace(hour=part[1] % 1440 // 60, minute=part[1] % 60, second=0, microsecond=0)
        return (end if end > local else end + timedelta(days=1)).timestamp()
