"""What users write for lengths of time."""

from __future__ import annotations

import re

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
