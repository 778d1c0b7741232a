"""Bytes, seconds and times as people and programs read them."""

from __future__ import annotations

from datetime import UTC, datetime

_LARGER = ("KB", "MB", "GB", "TB", "PB")


def size_text(count: float) -> str:
    """`512 B`, `3.4 MB`; by thousands."""
    if count < 1000:
        return f"{count:.0f} B"
    for unit in _LARGER:
        count /= 1000
        if count < 999.5 or unit == _LARGER[-1]:
            break
    return f"{count:.1f} {unit}" if count < 99.95 else f"{count:.0f} {unit}"


def duration_text(seconds: float) -> str:
    """`4 s`, `12 min`, `3 h`, `5 d`."""
    seconds = max(0.0, seconds)
    for unit, length, limit in (("s", 1, 120), ("min", 60, 120), ("h", 3600, 48)):
        if seconds < limit * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds / 86400:.0f} d"


def rate_text(per_second: float) -> str:
    """`1,234/s`, `5.7/s`, `12.0/min`, `0.3/h`: in the first unit in which it is 1 or more."""
    rate, unit = per_second, "s"
    for longer in ("min", "h"):
        if rate < 1:
            rate, unit = rate * 60, longer
    return f"{rate:,.1f}/{unit}" if rate < 99.95 else f"{rate:,.0f}/{unit}"


def moment_text(seconds: float) -> str:
    """`2026-11-21 09:55:18 UTC`: for sentences."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def iso(seconds: float | None) -> str | None:
    """`2026-11-21T09:55:18.123Z`; None stays None."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
