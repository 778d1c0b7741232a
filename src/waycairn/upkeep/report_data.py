"""A report as JSON and as CSV. Keys and columns are stable: later versions may add some, none is renamed or dropped."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from waycairn.model.journal import JournalRows
from waycairn.upkeep.mirror import rows_facts
from waycairn.upkeep.sessions import Curve, Difference, Period, SessionReport
from waycairn.upkeep.sizes import iso

CSV_COLUMNS = ("run", "name", "key", "by", "metric", "place", "time", "value")


def report_facts(report: SessionReport) -> dict[str, Any]:
    """Everything in it. Times are ISO 8601 in UTC, durations seconds."""
    run = report.run
    rows = rows_facts(JournalRows(iterations=report.iterations, rules=report.rules, patterns=report.patterns))
    return {
        "run": {"id": run.id, "name": run.name, "key": run.key, "status": run.status.value, "entered": run.entered},
        "tolerance": report.tolerance,
        "active": report.active,
        "saving": report.saving,
        "overhead": report.overhead,
        "resumes": report.resumes,
        "between_entries": report.standstill,
        "took_median": report.median_took,
        "took_slowest": report.slowest_took,
        "metrics": [_curve_facts(curve, report.tolerance) for curve in report.curves],
        **rows,
        "entries": [_period_facts(period) for period in report.periods],
    }


def comparison_facts(differences: Iterable[Difference]) -> list[dict[str, Any]]:
    return [
        {"what": one.what, "first": one.first, "second": one.second, "change": one.share, "better": one.better or None}
        for one in differences
    ]


def _curve_facts(curve: Curve, tolerance: float) -> dict[str, Any]:
    best = curve.best
    return {
        "name": curve.name,
        "by": curve.source,
        "lower_is_better": curve.lower,
        "count": len(curve.values),
        "first": curve.values[0],
        "last": curve.values[-1],
        "best": None if best is None else {"value": curve.values[best], "place": curve.places[best]},
        "plateau": curve.plateau(tolerance),
        "places": list(curve.places),
        "values": list(curve.values),
    }


def _period_facts(period: Period) -> dict[str, Any]:
    return {
        "epoch": period.epoch,
        "entered": iso(period.entered),
        "last_commit": iso(period.last),
        "commits": period.commits,
        "iterations": period.iterations,
        "points": period.points,
        "saving": period.saving,
        "before": period.before,
    }


def write_csv(file: TextIO, reports: Sequence[SessionReport]) -> None:
    """One row a value: what a spreadsheet or a data frame wants. Floats as Python writes them, exactly."""
    out = csv.writer(file, lineterminator="\n")
    out.writerow(CSV_COLUMNS)
    for report in reports:
        who = (report.run.id, report.run.name, "" if report.run.key is None else report.run.key)
        for curve in report.curves:
            rows = zip(curve.places, curve.at, curve.values, strict=True)
            out.writerows((*who, curve.source, curve.name, place, iso(at), repr(value)) for place, at, value in rows)
