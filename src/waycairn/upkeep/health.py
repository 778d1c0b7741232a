"""How well a store is: everything that can be found out without reading states, judged by `model.health_rules`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from waycairn.errors import WaycairnError
from waycairn.model.growth import DAY, days_left, slope
from waycairn.model.health import Day, Health, judged, unknown
from waycairn.model.health_rules import Facts, issues_of
from waycairn.model.histogram import Histogram
from waycairn.model.measures import HOUR, Measured
from waycairn.store import StoreCore
from waycairn.upkeep import health_backups, health_room, health_runs
from waycairn.upkeep.measured import count_of, days, hour_of, latencies, of_last_day, sizes_of

_HOURS = 24


def health_of(core: StoreCore) -> Health:
    """As of now. Where the store cannot be looked at the status is unknown, with the reason; nothing is raised for it.
    What this process has measured and not written yet is written first."""
    try:
        return _look(core)
    except (WaycairnError, OSError) as error:
        return unknown(core.clock.now(), str(error))


def _look(core: StoreCore) -> Health:
    settings, now = core.settings.health, core.clock.now()
    room = health_room.room_of(core)
    if room.store_bytes is not None:
        core.meter.record("store.bytes", float(room.store_bytes))
    core.meter.flush()
    span = max(settings.trend_days, math.ceil(settings.sweep_warning / DAY) + 1)
    rows = core.catalog.measured(hour_of(now) - span * _HOURS)
    trends = days(rows, now, settings.trend_days)
    facts = health_runs.runs_of(core, now, _measured(room, of_last_day(rows, now)))
    facts = health_backups.backups_of(core, now, facts)
    swept_age = _swept_age(facts.swept_age, rows, now)
    rows = [row for row in rows if row.hour >= hour_of(now) - settings.trend_days * _HOURS]
    a_day = growth(rows, trends)
    facts = replace(
        facts,
        swept_age=swept_age,
        growth_a_day=a_day,
        days_left=None if facts.disk_free is None else days_left(facts.disk_free, a_day),
        is_measured=settings.performance,
    )
    return judged(now, issues_of(facts, settings), trends=trends, facts=facts_of(facts))


def _swept_age(noted: float | None, rows: Sequence[Measured], now: float) -> float | None:
    """Of sweeps in the background it is noted when they began; those that a person asked for are measured, by the hour."""
    ages = [now - row.hour * HOUR for row in rows if row.name == "sweep" and row.hour]
    return min([*ages, *([] if noted is None else [noted])], default=None)


def _measured(facts: Facts, lately: Mapping[str, Histogram]) -> Facts:
    return replace(
        facts,
        acts=latencies(lately),
        takeovers=count_of(lately, "takeovers"),
        forced_takeovers=count_of(lately, "takeovers.forced"),
        late_saves=count_of(lately, "save.late"),
        skipped_saves=count_of(lately, "save.skipped"),
        lost_ownerships=count_of(lately, "ownership.lost"),
        outages=count_of(lately, "stream.outages"),
    )


def growth(rows: Sequence[Measured], trends: Sequence[Day]) -> float | None:
    """Bytes a day: by the sizes that were looked at; where these are too few, by what was written less what was freed, of
    the days that are over."""
    by_size = slope(sizes_of(rows))
    if by_size is not None:
        return by_size
    over = trends[:-1]
    return sum(day.written_bytes - day.freed_bytes for day in over) / len(over) if over else None


def facts_of(facts: Facts) -> dict[str, Any]:
    """As JSON values."""
    return {**asdict(facts), "fragmentation": round(facts.fragmentation, 4)}
