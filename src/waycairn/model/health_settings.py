"""Section `health`: what is measured, when health is looked at, and from where on something is an issue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from waycairn.model.units import Duration, Share, Size


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthSettings:
    """When health is looked at, and from where on something is an issue. Pairs of thresholds are named _warning and
    _critical."""

    performance: bool = True
    """Measure saves, loads and the like, see `waycairn stats`; off: nothing is recorded or written."""
    monitoring: bool = True
    """Look at health in the background of a process that keeps its store (`store.start_upkeep()`)."""
    interval: Duration = 300.0
    """The time between two looks in the background."""
    trend_days: int = 7
    """How many days trends go back."""
    keep_days: int = 35
    """Days of which measurements are kept hour by hour; older ones become one sum."""
    save_p99_warning: Duration = 5.0
    """99 of 100 saves of the last day took at most so long, or it is an issue."""
    save_p99_critical: Duration = 60.0
    """The same, from where on it is critical."""
    load_p99_warning: Duration = 10.0
    """The same of loads."""
    load_p99_critical: Duration = 120.0
    """The same, from where on it is critical."""
    failures_critical: Share = 0.05
    """The share of saves of the last day that failed; any failure is a warning."""
    takeovers_warning: int = 3
    """Runs taken over from dead owners within a day."""
    takeovers_critical: int = 20
    """The same, from where on it is critical."""
    late_warning: int = 10
    """Automatic saves of the last day that were late or left out."""
    disk_warning: Size = 5_000_000_000
    """The free room on the disk."""
    disk_critical: Size = 500_000_000
    """The same, from where on it is critical."""
    days_left_warning: float = 14.0
    """Days until the disk is full, at the growth of the last days."""
    days_left_critical: float = 2.0
    """The same, from where on it is critical."""
    overdue_factor: float = 10.0
    """A run is overdue if it did not commit for so many times its usual interval, or runs for so many times as long as
    its former runs took."""
    overdue_least: Duration = 600.0
    """No run is overdue before this time."""
    verify_warning: Duration = 30 * 86400.0
    """How long ago anything was verified last, in a store that is older than that."""
    verify_critical: Duration = 180 * 86400.0
    """The same, from where on it is critical."""
    sweep_warning: Duration = 7 * 86400.0
    """How long ago the last sweep was, where there is something to sweep."""
    fragmentation_warning: Share = 0.05
    """The share of the bytes of packs that is dead."""
    fragmentation_critical: Share = 0.5
    """The same, from where on it is critical."""
    leftovers_warning: Size = 100_000_000
    """What saves left that died before their commit."""
    wal_warning: Size = 256_000_000
    """The size of the log of an SQLite catalog; more means that somebody keeps a reader open."""

    def __post_init__(self) -> None:
        for name, kind in ((one.name, one.type) for one in fields(self)):
            value = getattr(self, name)
            if kind != "bool" and (isinstance(value, bool) or not isinstance(value, int | float) or not value > 0):
                raise ValueError(f"{name} is a number above 0, not {value!r}")
        for name in _PAIRS:
            self._check_pair(name, f"{name}_warning", f"{name}_critical")

    def _check_pair(self, name: str, warning: str, critical: str) -> None:
        mild, grave = getattr(self, warning), getattr(self, critical)
        if (mild < grave) is not _PAIRS[name]:
            order = "below" if _PAIRS[name] else "above"
            raise ValueError(f"{warning} is {order} {critical}, not {mild!r} beside {grave!r}")


_PAIRS: Mapping[str, bool] = {
    "save_p99": True,
    "load_p99": True,
    "takeovers": True,
    "disk": False,
    "days_left": False,
    "verify": True,
    "fragmentation": True,
}
"""Whether more is worse."""
