"""What users write for lengths of time."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_TEXT = re.compile(r"(?P<amount>\d+(\.\d+)?)\s*(?P<unit>ms|s|m|h|d|w)")


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
