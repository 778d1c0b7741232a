"""Which checkpoints of one kind stay by count, by metric and by day, week and month. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from waycairn.model.retention import Candidate, Keep, best_of

_CALENDAR = re.compile(r"(?P<count>\d+|all)\s+(?P<unit>daily|weekly|monthly)", re.IGNORECASE)
_ALL = 1 << 62


def _week(day: datetime) -> tuple[int, ...]:
    return tuple(day.isocalendar()[:2])


_PERIODS: dict[str, Callable[[datetime], tuple[int, ...]]] = {
    "daily": lambda day: (day.year, day.month, day.day),
    "weekly": _week,
    "monthly": lambda day: (day.year, day.month),
}


@dataclass(frozen=True, slots=True)
class Stay:
    """What stays: whatever any of its parts names. `calendar` has how many days, weeks and months keep their newest."""

    keep: Keep
    calendar: tuple[tuple[str, int], ...] = ()
    text: str = ""

    @classmethod
    def of(cls, value: int | str | None) -> Stay:
        """From what a user writes: None or "all", 20, "last 10, best 3 by loss, 7 daily, 4 weekly, 12 monthly".
        ValueError says what is understood."""
        if value is None or value == "all":
            return cls(Keep(last=None), text="all")
        if not isinstance(value, str):
            return cls(Keep.of(value), text=f"last {value}")
        calendar: dict[str, int] = {}
        rest: list[str] = []
        for part in value.split(","):
            words = _CALENDAR.fullmatch(part.strip())
            if words and words["unit"].lower() not in calendar:
                count = words["count"].lower()
                calendar[words["unit"].lower()] = _ALL if count == "all" else int(count)
            else:
                rest.append(part)
        try:
            keep = Keep.of(",".join(rest)) if rest else Keep(last=1)
        except ValueError:
            raise ValueError(
                f"{value!r} is not understood; parts that are, in any number: last 10, best 3 by loss, best 1 by accuracy "
                "max, 7 daily, 4 weekly, 12 monthly, all daily"
            ) from None
        return cls(keep, tuple(calendar.items()), value.strip())

    @property
    def is_all(self) -> bool:
        return self.keep.last is None

    @property
    def needs_metrics(self) -> bool:
        return bool(self.keep.best)

    def chosen(self, rows: Sequence[Candidate], created: Sequence[float], zone: tzinfo) -> tuple[set[int], int]:
        """Of the checkpoints of one kind, newest first: the sequences that stay, and the oldest of the last so many. One
        that is not verified counts for nothing; it may go where it is older than that."""
        verified = [one for one in rows if one.verified]
        last = verified[: max(1, self.keep.last or 0)]
        stay = {one.sequence for one in last}
        stay.update(one.sequence for one in best_of(self.keep, verified))
        for unit, count in self.calendar:
            stay |= _newest_of_each(_PERIODS[unit], count, rows, created, zone)
        return stay, last[-1].sequence if last else -1


def _newest_of_each(
    period: Callable[[datetime], tuple[int, ...]],
    count: int,
    rows: Sequence[Candidate],
    created: Sequence[float],
    zone: tzinfo,
) -> set[int]:
    """Of each of the last `count` days (weeks, months) that have one."""
    found: dict[tuple[int, ...], int] = {}
    for row, at in zip(rows, created, strict=True):
        if row.verified:
            found.setdefault(period(datetime.fromtimestamp(at, zone)), row.sequence)
    return {found[when] for when in sorted(found, reverse=True)[:count]}
