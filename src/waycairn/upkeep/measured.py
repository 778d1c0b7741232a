"""What was measured, put together: the last day, day by day, and all of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from waycairn.model.health import Day, Latency
from waycairn.model.histogram import Histogram
from waycairn.model.measures import ACTS, HOUR, Measured, failures_of
from waycairn.store import StoreCore

_HOURS = 24
_NOTHING = Histogram()
_LATE_WRITERS = 3
"""Hours after which nobody writes to an hour any more: a process writes at most a minute behind it, unless it was stopped."""


def by_name(rows: Iterable[Measured]) -> dict[str, Histogram]:
    """One histogram a name."""
    found: dict[str, Histogram] = {}
    for row in rows:
        found.setdefault(row.name, Histogram()).merge(row.histogram)
    return found


def hour_of(at: float) -> int:
    return int(at // HOUR)


def of_last_day(rows: Iterable[Measured], now: float) -> dict[str, Histogram]:
    """The 24 full hours before this one, and what there is of this one."""
    first = hour_of(now) - _HOURS
    return by_name(row for row in rows if row.hour >= first)


def latencies(measured: Mapping[str, Histogram]) -> dict[str, Latency]:
    """Of each act that was tried."""
    found = {act: _latency(measured, act) for act in ACTS}
    return {act: one for act, one in found.items() if one.count or one.failures}


def _latency(measured: Mapping[str, Histogram], act: str) -> Latency:
    took = measured.get(act, _NOTHING)
    return Latency(
        count=took.count,
        failures=count_of(measured, failures_of(act)),
        p50=took.percentile(0.5),
        p95=took.percentile(0.95),
        p99=took.percentile(0.99),
    )


def count_of(measured: Mapping[str, Histogram], name: str) -> int:
    return measured.get(name, _NOTHING).count


def total_of(measured: Mapping[str, Histogram], name: str) -> float:
    return measured.get(name, _NOTHING).total


def days(rows: Sequence[Measured], now: float, count: int) -> list[Day]:
    """The last `count` days in UTC, the oldest first; the last one is today. Days without measurements are left out."""
    today = hour_of(now) // _HOURS
    by_day: dict[int, list[Measured]] = {}
    for row in rows:
        if today - count < (day := row.hour // _HOURS) <= today and row.hour:
            by_day.setdefault(day, []).append(row)
    return [_day(day, by_day[day]) for day in sorted(by_day)]


def _day(day: int, rows: Sequence[Measured]) -> Day:
    measured = by_name(rows)
    sizes = sizes_of(rows)
    return Day(
        begins=day * _HOURS * HOUR,
        acts=latencies(measured),
        written_bytes=total_of(measured, "save.bytes"),
        raw_bytes=_raw_bytes(measured),
        freed_bytes=total_of(measured, "sweep.bytes"),
        takeovers=count_of(measured, "takeovers"),
        store_bytes=sizes[-1][1] if sizes else None,
    )


def _raw_bytes(measured: Mapping[str, Histogram]) -> float | None:
    """Of a day on which each save said it."""
    said, saves = count_of(measured, "save.raw"), count_of(measured, "save.bytes")
    return total_of(measured, "save.raw") if said >= saves else None


def sizes_of(rows: Iterable[Measured]) -> list[tuple[float, float]]:
    """(seconds since 1970, bytes) of the store, one an hour in which it was looked at."""
    hours: dict[int, Histogram] = {}
    for row in rows:
        if row.name == "store.bytes" and row.hour:
            hours.setdefault(row.hour, Histogram()).merge(row.histogram)
    return [((hour + 0.5) * HOUR, one.mean or 0.0) for hour, one in sorted(hours.items())]


def condense(core: StoreCore) -> int:
    """Few rows instead of many, see `ports.MeasureRows.condense_measured`."""
    now = hour_of(core.clock.now())
    return core.catalog.condense_measured(now - _LATE_WRITERS, now - core.settings.health.keep_days * _HOURS)
