"""A report as lines of text, with sparklines: for a terminal, a log, or a mail."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from waycairn.upkeep.sessions import Curve, Difference, SessionReport
from waycairn.upkeep.sizes import duration_text, moment_text

BARS = "▁▂▃▄▅▆▇█"
PLAIN_BARS = "_.-=+*#@"
"""Where only ASCII can be shown."""
_WIDTH = 40
"""Marks of a sparkline."""
_MOST = 8
"""Rows of a list that grows with the session."""


def lines_of(report: SessionReport, *, is_unicode: bool = True) -> list[str]:
    """Headings, tables and sparklines. ASCII only if asked."""
    run = report.run
    keyed = "" if run.key is None else f" key {run.key}"
    lines = [f"session {run.name}{keyed} ({run.id}), {run.status.value}", ""]
    lines += _aligned(overview(report))
    if report.curves:
        lines += ["", "metrics"]
        rows = [_curve_row(curve, report, is_unicode=is_unicode) for curve in report.curves]
        lines += _aligned([CURVE_COLUMNS, *rows])
    lines += _section("rules", RULE_COLUMNS, rule_rows(report))
    lines += _section("patterns", PATTERN_COLUMNS, pattern_rows(report))
    lines += _section("entries", PERIOD_COLUMNS, period_rows(report) if report.resumes else [])
    lines += _section("errors", ERROR_COLUMNS, error_rows(report))
    return lines if is_unicode else [line.encode("ascii", "backslashreplace").decode() for line in lines]


def compared_lines(first: SessionReport, second: SessionReport, differences: Sequence[Difference]) -> list[str]:
    """Two sessions side by side."""
    names = [f"{report.run.name} ({report.run.id})" for report in (first, second)]
    rows = [
        [one.what, figure(one.first), figure(one.second), share_text(one.share), _better(one.better, names)]
        for one in differences
    ]
    return ["compared", *_aligned([["", *names, "change", "better"], *rows])]


# -- parts ---------------------------------------------------------------------------------------------------------


def overview(report: SessionReport) -> list[list[str]]:
    """Name and value of each figure of the whole session."""
    overhead = report.overhead
    rows = [
        ["iterations", f"{len(report.iterations):,}"],
        ["points logged", f"{sum(period.points for period in report.periods):,}"],
        ["at work", seconds_text(report.active)],
        ["an iteration", _took(report)],
        ["saving", "not known" if overhead is None else f"{overhead:.2%} of it ({seconds_text(report.saving)})"],
        ["resumes", _resumes(report)],
        ["rules", f"{len(report.rules):,} tried, {len(report.promoted):,} promoted"],
        ["patterns", f"{len(report.patterns):,}"],
    ]
    if report.failed:
        rows.append(["errors", f"in {counted(len(report.failed), 'iteration')}"])
    return rows


def _took(report: SessionReport) -> str:
    if report.median_took is None or report.slowest_took is None:
        return "none yet"
    return f"{seconds_text(report.median_took)} (median), {seconds_text(report.slowest_took)} (slowest)"


def _resumes(report: SessionReport) -> str:
    if not report.resumes:
        return "none"
    return f"{report.resumes:,}; {seconds_text(report.standstill)} between the last commits and the next entries"


CURVE_COLUMNS = ["metric", "by", "first", "last", "best", "at", "plateau", "progress"]


def _curve_row(curve: Curve, report: SessionReport, *, is_unicode: bool) -> list[str]:
    best = curve.best
    return [
        curve.name,
        curve.source,
        figure(curve.values[0]),
        figure(curve.values[-1]),
        "" if best is None else figure(curve.values[best]),
        "" if best is None else str(curve.places[best]),
        f"{curve.plateau(report.tolerance):,}",
        sparkline(curve.values, BARS if is_unicode else PLAIN_BARS),
    ]


RULE_COLUMNS = ["rule", "tried", "best score", "baseline", "improvement", "promoted"]


def rule_rows(report: SessionReport) -> list[list[str]]:
    """One row a rule: its best trial, and how often it was promoted."""
    names = dict.fromkeys(rule.rule for rule in report.rules)
    rows = []
    for name in names:
        trials = [rule for rule in report.rules if rule.rule == name]
        best = max(trials, key=lambda rule: rule.score)
        promoted = sum(rule.is_promoted for rule in trials)
        facts = [figure(best.score), figure(best.baseline), share_text(best.improvement), "yes" if promoted else "no"]
        rows.append([name, str(len(trials)), *facts])
    return rows


PATTERN_COLUMNS = ["pattern", "found", "effectiveness", "description"]


def pattern_rows(report: SessionReport) -> list[list[str]]:
    """One row a pattern, as it was found last."""
    newest = {pattern.pattern: pattern for pattern in report.patterns}
    times = [pattern.pattern for pattern in report.patterns]
    return [
        [name, str(times.count(name)), figure(pattern.effectiveness), pattern.description or ""]
        for name, pattern in newest.items()
    ]


PERIOD_COLUMNS = ["entry", "from", "at work", "iterations", "points", "saving", "before it"]


def period_rows(report: SessionReport) -> list[list[str]]:
    return [
        [
            str(period.epoch),
            moment_text(period.entered),
            seconds_text(period.last - period.entered),
            f"{period.iterations:,}",
            f"{period.points:,}",
            seconds_text(period.saving),
            "" if period.before is None else seconds_text(period.before),
        ]
        for period in report.periods
    ]


ERROR_COLUMNS = ["iteration", "error"]


def error_rows(report: SessionReport) -> list[list[str]]:
    return [[str(one.number), f"{(one.error or {})['type']}: {(one.error or {})['message']}"] for one in report.failed]


# -- words ---------------------------------------------------------------------------------------------------------


def sparkline(values: Sequence[float], bars: str = BARS, width: int = _WIDTH) -> str:
    """The values in so many marks, from the lowest to the highest; a blank where there is no number."""
    marks = [_mean(part) for part in _parts(values, width)]
    finite = [value for value in marks if math.isfinite(value)]
    if not finite:
        return " " * len(marks)
    low, high = min(finite), max(finite)
    return "".join(_mark(value, low, high, bars) for value in marks)


def _mark(value: float, low: float, high: float, bars: str) -> str:
    if math.isnan(value):
        return " "
    if math.isinf(value):
        return bars[-1] if value > 0 else bars[0]
    span = high - low
    if not math.isfinite(span) or span <= 0:
        return bars[len(bars) // 2 - 1]
    return bars[min(len(bars) - 1, int((value - low) / span * len(bars)))]


def _parts(values: Sequence[float], width: int) -> list[Sequence[float]]:
    if len(values) <= width:
        return [[value] for value in values]
    edges = [round(place * len(values) / width) for place in range(width + 1)]
    return [values[begin:end] for begin, end in pairwise(edges)]


def _mean(values: Sequence[float]) -> float:
    numbers = [value for value in values if not math.isnan(value)]
    return sum(numbers) / len(numbers) if numbers else math.nan


def figure(value: float | None) -> str:
    """At most six digits."""
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else f"{value:.6g}"


def counted(number: int, word: str) -> str:
    """`1 iteration`, `2,000 iterations`."""
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def seconds_text(seconds: float) -> str:
    """Short times more exactly than `duration_text`: `3.2 ms`, `4.71 s`, `12 min`."""
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 100 else duration_text(seconds)


def share_text(share: float | None) -> str:
    if share is None:
        return ""
    return f"{share:+.1%}" if math.isfinite(share) else ("+inf" if share > 0 else "-inf" if share < 0 else "nan")


def _better(better: str, names: Sequence[str]) -> str:
    return {"first": names[0], "second": names[1], "equal": "equal"}.get(better, "")


def _section(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    if not rows:
        return []
    shown = [list(columns), *map(list, rows[:_MOST])]
    more = [] if len(rows) <= _MOST else [f"(and {len(rows) - _MOST:,} more)"]
    return ["", title, *_aligned(shown), *more]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns as wide as their longest cell."""
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def printable(text: str) -> str:
    """Without control characters: a name cannot move the cursor."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
