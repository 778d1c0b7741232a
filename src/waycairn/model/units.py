"""What users write for lengths of time, sizes and hours of the day."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_TEXT = re.compile(r"(?P<amount>\d+(\.\d+)?)\s*(?P<unit>ms|s|m|h|d|w)")
_SIZE = re.compile(r"(?P<amount>\d+(\.\d+)?)\s*(?P<unit>[kmgt]?)(?P<binary>i?)b", re.IGNORECASE)
_HOURS = re.compile(r"(\d\d?):(\d\d)\s*-\s*(\d\d?):(\d\d)")
_DAY = 24 * 60


def seconds(what: str, value: float | str) -> float:
    """From "200ms", "30s", "5m", "2h", "7d", "1w", or a number of seconds. ValueError names `what`."""
    if isinstance(value, str):
        words = _TEXT.fullmatch(value.strip().lower())
        found = float(words["amount"]) * _SECONDS[words["unit"]] if words else -1.0
    else:
        found = -1.0 if isinstance(value, bool) else float(value)
    if not 0 <= found < float("inf"):
        raise ValueError(
            f'{what} is a length of time such as "200ms", "30s", "7d" or a number of seconds, not {value!r}'
        )
    return found


def size(what: str, value: int | str) -> int:
    """From "500MB", "20 GB" (powers of 1000), "16GiB" (powers of 1024), or a number of bytes. ValueError names `what`."""
    if isinstance(value, str):
        words = _SIZE.fullmatch(value.strip())
        if words:
            power = " kmgt".index(words["unit"].lower() or " ")
            return int(float(words["amount"]) * (1024 if words["binary"] else 1000) ** power)
    elif not isinstance(value, bool) and value >= 0:
        return int(value)
    raise ValueError(f'{what} is a size such as "500MB", "20GB", "16GiB" or a number of bytes, not {value!r}')


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
