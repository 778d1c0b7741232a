"""Which checkpoints of a run stay: the newest, the best, the pinned. Pure: who asks removes them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

Mode = Literal["min", "max"]
_UNDERSTOOD = (
    'keep {!r} is not understood; use None (all), a number of newest ones, "last 3", "last 2, best 3 by loss", '
    '"best 1 by accuracy max", or Keep(...)'
)
_PART = re.compile(
    r"last\s+(?P<last>\d+|all)"
    r"|best\s+(?P<best>\d+)\s+by\s+(?P<by>\S+?)(\s+(?P<mode>min|max))?",
    re.IGNORECASE,
)


class Candidate(NamedTuple):
    """What retention knows of a checkpoint."""

    sequence: int
    metrics: Mapping[str, Any] | None
    pinned: bool
    verified: bool
    """It can be restored from: not marked as damaged, not set aside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """Keep the newest `last` checkpoints of a run (None: all) and the `best` ones by the metric `by`, whose smallest
    values (`mode="min"`) or largest ones are best. The newest one that can be restored from, and pinned ones, always
    stay."""

    last: int | None = 2
    best: int = 0
    by: str | None = None
    mode: Mode = "min"

    def __post_init__(self) -> None:
        if self.last is not None and (isinstance(self.last, bool) or self.last < 0):
            raise ValueError(f"last is how many of the newest checkpoints stay, or None for all, not {self.last!r}")
        if isinstance(self.best, bool) or self.best < 0:
            raise ValueError(f"best is how many of the best checkpoints stay, not {self.best!r}")
        if self.best and not self.by:
            raise ValueError(f'best={self.best} of what? Name the metric: by="loss"')
        if self.mode not in {"min", "max"}:
            raise ValueError(f'mode is "min" (a small {self.by or "value"} is good) or "max", not {self.mode!r}')

    @classmethod
    def of(cls, value: Keep | int | str | None) -> Keep:
        """From what a user writes: None (all), 3 (the newest three), "last 2, best 3 by loss"."""
        match value:
            case None:
                return cls(last=None)
            case Keep():
                return value
            case bool():
                pass
            case int() if value >= 1:
                return cls(last=value)
            case str():
                return cls._from_text(value)
        raise ValueError(_UNDERSTOOD.format(value))

    @classmethod
    def _from_text(cls, text: str) -> Keep:
        given: dict[str, Any] = {}
        for part in text.strip().split(","):
            words = _PART.fullmatch(part.strip())
            found = {name: word for name, word in words.groupdict().items() if word} if words else {}
            if not found or found.keys() & given.keys():
                raise ValueError(_UNDERSTOOD.format(text))
            given |= found
        # "best 3 by loss" alone says nothing of the newest: the one to go on from stays all the same.
        last = given.get("last", "1").lower()
        mode = given.get("mode", "min").lower()
        best = int(given.get("best", 0))
        return cls(last=None if last == "all" else int(last), best=best, by=given.get("by"), mode=mode)

    def __str__(self) -> str:
        parts = [f"last {'all' if self.last is None else self.last}"]
        if self.best:
            parts.append(f"best {self.best} by {self.by} {self.mode}")
        return ", ".join(parts)


def surplus(keep: Keep, candidates: Sequence[Candidate]) -> list[int]:
    """The sequences that go, of the checkpoints of one run, newest first.

    The newest verified one never goes, nor a pinned one; those that are not verified count for neither list and go once
    `last` newer verified ones are there. A metric that is missing, no number or not finite is never best; of equal
    ones the newer is better.
    """
    if keep.last is None:
        return []
    verified = [one for one in candidates if one.verified]
    stay = {one.sequence for one in verified[: max(1, keep.last)]}
    stay |= {one.sequence for one in best_of(keep, verified)}
    stay |= {one.sequence for one in candidates if one.pinned}
    if not verified:
        return []
    oldest_of_last = verified[: max(1, keep.last)][-1].sequence
    return [
        one.sequence
        for one in candidates
        if one.sequence not in stay and (one.verified or one.sequence < oldest_of_last)
    ]


def best_of(keep: Keep, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those with the best values of the metric, as many as stay for that."""
    ranked = [(value, one) for one in candidates if (value := _value(keep.by, one)) is not None]
    sign = 1 if keep.mode == "min" else -1
    ranked.sort(key=lambda pair: (sign * pair[0], -pair[1].sequence))
    return [one for _, one in ranked[: keep.best]]


def _value(by: str | None, candidate: Candidate) -> float | None:
    value = (candidate.metrics or {}).get(by) if by is not None else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # An integer too large for a float is finite all the same.
    return value if isinstance(value, int) or math.isfinite(value) else None
