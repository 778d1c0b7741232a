"""How a store went, day by day: for charts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from waycairn.model.health import Day
from waycairn.store import StoreCore
from waycairn.upkeep.health import growth
from waycairn.upkeep.measured import days, hour_of


@dataclass(frozen=True, slots=True)
class Trends:
    days: Sequence[Day]
    """The oldest first; today, so far, is the last one. Days without measurements are left out."""
    bytes_a_day: float | None
    """By which the store grows; None: too little was measured."""


def trends_of(core: StoreCore, count: int | None = None) -> Trends:
    """Of the last `count` days, by default those of the setting `health.trend_days`. What this process has measured and not
    written yet is written first."""
    core.meter.flush()
    now, span = core.clock.now(), count or core.settings.health.trend_days
    rows = core.catalog.measured(hour_of(now) - span * 24)
    found = days(rows, now, span)
    return Trends(found, growth(rows, found))
