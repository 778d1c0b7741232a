"""What users write for lengths of time, sizes, shares and hours of the day, and how it is written back.

The fields of settings that hold such a value are annotated with Duration, Size or Share: a plain number in code, and in
files and the environment also the text with its unit.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_TEXT = re.compile(r"(?P<amount>\d+(\.\d+)?)\s*(?P<unit>ms|s|m|h|d|w)")
_BYTES = {"b": 1} | {
    f"{letter}{'i' * (base == 1024)}b": base**power
    for power, letter in enumerate("kmgt", start=1)
    for base in (1000, 1024)
}
_SIZE = re.compile(r"(?P<amount>\d+(\.\d+)?)\s*(?P<unit>[kmgt]i?b|b)", re.IGNORECASE)
_HOURS = re.compile(r"(\d\d?):(\d\d)\s*-\s*(\d\d?):(\d\d)")
_DAY = 24 * 60
_SHARE = re.compile(r"(?P<amount>\d+(\.\d+)?)\s*%")


def seconds(what: str, value: float | str) -> float:
    """From "200ms", "30s", "5m", "2h", "7d", "1w", or a number of seconds. ValueError names `what`."""
    found = _amount(value, _TEXT, _SECONDS)
    if not 0 <= found < float("inf"):
        raise ValueError(
            f'{what} is a length of time such as "200ms", "30s", "7d" or a number of seconds, not {value!r}'
        )
    return found


def size(what: str, value: float | str) -> int:
    """Bytes, from "500 MB", "10GB" (powers of 1000), "64MiB" (powers of 1024), or their number. ValueError names `what`."""
    found = _amount(value, _SIZE, _BYTES)
    if not 0 <= found < float("inf") or (not isinstance(value, str) and found != int(found)):
        raise ValueError(f'{what} is a size such as "500MB", "20GB", "16GiB" or a number of bytes, not {value!r}')
    return round(found)


def share(what: str, value: float | str) -> float:
    """From "1%" or a number such as 0.01. ValueError names `what`."""
    found = _amount(value, _SHARE, None)
    if not 0 <= found < float("inf"):
        raise ValueError(f'{what} is a share such as 0.01 or "1%", not {value!r}')
    return found


def hours(what: str, value: str) -> tuple[int, int]:
    """From "22:00-06:00": the minutes of the day at which it begins and ends. ValueError names `what`."""
    words = _HOURS.fullmatch(str(value).strip())
    if words:
        first, first_minute, last, last_minute = map(int, words.groups())
        begin, end = first * 60 + first_minute, last * 60 + last_minute
        if max(first_minute, last_minute) < 60 and begin < _DAY and end <= _DAY and begin != end:
            return begin, end
    raise ValueError(f'{what} is a part of the day such as "22:00-06:00", not {value!r}')


def is_within(minute: int, part: tuple[int, int]) -> bool:
    """Whether a minute of the day lies in a part of it, which may go past midnight."""
    begin, end = part
    return begin <= minute < end if begin < end else minute >= begin or minute < end


def moment(what: str, text: str, now: float) -> float:
    """Seconds since 1970, from "7d" (so long before now), "2026-11-30", "2026-11-30 14:05" or any time as ISO 8601 writes it;
    in UTC where it names no zone. ValueError names `what`."""
    if _TEXT.fullmatch(text.strip().lower()):
        return now - seconds(what, text)
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(
            f'{what} is a moment such as "2026-11-30", "2026-11-30 14:05", or "7d" for seven days ago, not {text!r}'
        ) from None
    return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()


def _amount(value: Any, text: re.Pattern[str], units: dict[str, float] | dict[str, int] | None) -> float:
    """Below 0 for what is no amount."""
    if isinstance(value, str):
        words = text.fullmatch(value.strip())
        if words is None:
            words = text.fullmatch(value.strip().lower())
        if words is None:
            return -1.0
        amount = float(words["amount"])
        return amount / 100 if units is None else amount * units[words["unit"].lower()]
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else -1.0


def seconds_text(value: float) -> str:
    """As a user writes it: the largest unit that it is a whole number of."""
    for unit in ("w", "d", "h", "m", "s", "ms"):
        count = value / _SECONDS[unit]
        if count >= 1 and abs(count - round(count)) < 1e-9:
            return f"{round(count)}{unit}"
    return f"{value:g}s"


def size_text(value: float) -> str:
    """As a user writes it; exact."""
    for unit in ("tib", "tb", "gib", "gb", "mib", "mb", "kib", "kb"):
        if value and value % _BYTES[unit] == 0:
            return f"{value // _BYTES[unit]:.0f}{unit.upper().replace('I', 'i').replace('K', 'k' if unit == 'kb' else 'K')}"
    return f"{value:.0f}B"


def share_text(value: float) -> str:
    """As a user writes it."""
    return f"{value * 100:.10g}%"


@dataclass(frozen=True, slots=True)
class Unit:
    """Says of an annotated number how it is written."""

    allowed: str
    """What is said of it where something else was given."""
    parse: Callable[[str, Any], Any]
    text: Callable[[float], str]

    def __get_pydantic_core_schema__(self, _source: Any, _handler: Any) -> Any:
        from pydantic_core import core_schema  # asked for by pydantic alone, so it is there

        return core_schema.no_info_plain_validator_function(lambda value: self.parse("it", value))


Duration = Annotated[
    float, Unit('a length of time such as "200ms", "30s", "7d" or a number of seconds', seconds, seconds_text)
]
"""Seconds."""
Size = Annotated[int, Unit('a size such as "500MB", "20GB", "16GiB" or a number of bytes', size, size_text)]
"""Bytes."""
Share = Annotated[float, Unit('a share such as 0.01 or "1%"', share, share_text)]
"""A part of 1."""
