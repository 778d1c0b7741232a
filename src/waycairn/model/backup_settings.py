"""The section `backups`: what is kept of what was deleted, and for how long."""

from __future__ import annotations

from dataclasses import dataclass

from waycairn.model.units import Duration, seconds

FOREVER = "forever"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupSettings:
    """Backups that are made before something is deleted."""

    keep: float | str = "7d"
    """How long a backup is kept, unless its call says otherwise; or "forever"."""
    trust_verified: Duration = 86400.0
    """How long ago a backup may have been read back for the next one to take over what did not change since, unread."""
    leftover_age: Duration = 86400.0
    """How long what is left of a backup stays whose process died while it was made."""
    interval: Duration = 3600.0
    """The time between two looks of `store.start_upkeep()` at what expired; 0: never."""

    def __post_init__(self) -> None:
        if self.keep != FOREVER:
            seconds("backups.keep", self.keep)
        for name in ("trust_verified", "leftover_age", "interval"):
            object.__setattr__(self, name, seconds(f"backups.{name}", getattr(self, name)))

    def expires(self, now: float, keep: float | str | None = None) -> float | None:
        """When a backup expires that is to be kept so long from now on; None: never. ValueError for what is no length of time."""
        wanted = self.keep if keep is None else keep
        return None if wanted == FOREVER else now + seconds("keep", wanted)
