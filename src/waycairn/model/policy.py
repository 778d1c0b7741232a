"""What the user may choose: how durable, how often."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Durability = Literal["power", "process"]
"""`power`: acknowledged saves survive a power cut. `process`: they survive kill -9, the newest may fall to a power cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often a cut is taken where the job did not ask for one.

    With nothing given, cuts are paced so that saving takes at most `share` of the run time, or
    `per_item` seconds an item where items are shorter than that allows. `seconds`, `items` and `percent`
    ask for a cut at least after that much work (whichever comes first) and replace the automatic pace.
    `forced_only` takes cuts only where the job forces one, and at the end of a loop.
    """

    share: float = 0.01
    per_item: float = 2e-6
    seconds: float | None = None
    items: int | None = None
    percent: float | None = None
    forced_only: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError(f"share is a part of the run time between 0 and 1, not {self.share!r}")
        for name in ("seconds", "items", "percent"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name} must be positive, not {value!r}; pace=0 means only forced cuts")

    @property
    def is_automatic(self) -> bool:
        return not self.forced_only and self.seconds is None and self.items is None and self.percent is None

    @property
    def asks_for_a_share_only(self) -> bool:
        """Of the work; neither an interval nor a number of items."""
        return self.percent is not None and self.seconds is None and self.items is None

    @classmethod
    def of(cls, value: Pace | float | str | None) -> Pace:
        """From what a user writes: None (automatic), 0 (only forced), 30 (seconds), "5%", "100 items", "every item",
        "5%, 300s" (whichever comes first)."""
        match value:
            case None:
                return cls()
            case Pace():
                return value
            case bool():
                pass
            case 0:
                return cls(forced_only=True)
            case int() | float():
                return cls(seconds=float(value))
            case str():
                return cls._from_text(value)
        raise ValueError(_PACE_HELP.format(value))

    @classmethod
    def _from_text(cls, text: str) -> Pace:
        parts = [cls._from_words(part, text) for part in text.split(",")]
        given = [(name, value) for part in parts for name in _ASKED if (value := getattr(part, name)) is not None]
        if len(parts) > 1 and (len(given) != len(parts) or len(dict(given)) != len(given)):
            raise ValueError(_PACE_HELP.format(text))
        return cls(**dict(given))

    @classmethod
    def _from_words(cls, text: str, whole: str) -> Pace:
        words = _PACE_TEXT.fullmatch(text.strip().lower())
        if words is None:
            raise ValueError(_PACE_HELP.format(whole))
        if words["auto"]:
            return cls()
        amount = float(words["amount"] or 1)
        match words["unit"]:
            case "%":
                return cls(percent=amount)
            case "item" | "items" | "step" | "steps":
                return cls(items=int(amount))
            case unit:
                return cls(seconds=amount * _SECONDS[unit])


_PACE_TEXT = re.compile(
    r"(?P<auto>auto)|(every\s+)?(?P<amount>\d+(\.\d+)?)?\s*(?P<unit>%|items?|steps?|ms|s|seconds?|m|min|minutes?|h|hours?)",
)
_ASKED = ("seconds", "items", "percent")
_SECONDS = {"ms": 0.001} | dict.fromkeys(("s", "second", "seconds"), 1.0)
_SECONDS |= dict.fromkeys(("m", "min", "minute", "minutes"), 60.0) | dict.fromkeys(("h", "hour", "hours"), 3600.0)
_PACE_HELP = (
    "pace {!r} is not understood; use None (automatic), 0 (only forced), seconds as a number, "
    '"30s", "5m", "5%", "100 items", "100 steps", "every item", "5%, 300s" (whichever comes first), or waycairn.Pace(...)'
)
