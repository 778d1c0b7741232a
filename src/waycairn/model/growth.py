"""How fast a store grows, from sizes that were looked at now and then; and from what was written where there are none."""

from __future__ import annotations

from collections.abc import Sequence

DAY = 86400.0
_LEAST = 3600.0
"""Seconds between the first and the last look, or the slope says nothing."""


def slope(sizes: Sequence[tuple[float, float]]) -> float | None:
    """Bytes a day through (seconds, bytes), by least squares; None if they lie within an hour."""
    if len(sizes) < 2 or sizes[-1][0] - sizes[0][0] < _LEAST:
        return None
    middle = sum(at for at, _ in sizes) / len(sizes)
    mean = sum(size for _, size in sizes) / len(sizes)
    spread = sum((at - middle) ** 2 for at, _ in sizes)
    return sum((at - middle) * (size - mean) for at, size in sizes) / spread * DAY


def days_left(free: float, a_day: float | None) -> float | None:
    """Until so many bytes are used up; None if that is not in sight."""
    return None if a_day is None or a_day <= 0 else free / a_day
