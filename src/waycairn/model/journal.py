"""What a session writes down beside items and state: logged metrics, iterations, what was tried, what was found.

Plain frozen records, like `records`. Times are seconds since 1970 (UTC, float). `sequence` is the commit that holds a
record: 0 until there is one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from waycairn.model.ids import RunId

Json = Mapping[str, Any]


class Point(msgspec.Struct, frozen=True, gc=False):
    """What was logged at one step. Two points of one step are two calls."""

    step: int
    at: float
    values: dict[str, float]


class LoggedCut(msgspec.Struct, frozen=True, kw_only=True):
    """The points that one cut holds, and what is known about that cut."""

    sequence: int
    epoch: int
    """Grows with each entry into the run: where it changes, the run was resumed."""
    entered: float
    """When the entry began that took this cut."""
    created: float
    """When it was committed."""
    saving: float
    """Seconds that the cuts of this entry took since the one before this."""
    points: Sequence[Point] = ()


class Iteration(msgspec.Struct, frozen=True, kw_only=True):
    """One numbered round of a session. The checkpoint with its sequence holds its state."""

    number: int
    metrics: Mapping[str, float] = msgspec.field(default_factory=dict)
    improvement: float | None = None
    """As the job scores it."""
    ended: float
    took: float
    """Seconds since the iteration before it ended, or since the run was entered."""
    epoch: int = 0
    description: str | None = None
    error: Json | None = None
    """type, message, where, traceback of what went wrong in it."""
    sequence: int = 0


class RuleOptimization(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that was tried with some parameters, and how it did against its baseline."""

    rule: str
    score: float
    baseline: float
    improvement: float
    """``(score - baseline) / |baseline|``: 0.1 is 10 %."""
    parameters: Json = msgspec.field(default_factory=dict)
    description: str | None = None
    iteration: int | None = None
    created: float
    is_candidate: bool = False
    """Whether it improved by enough to be promoted, if nothing better stands there."""
    is_promoted: bool = False
    """Whether it was, when it was committed."""
    sequence: int = 0


class PromotedRule(msgspec.Struct, frozen=True, kw_only=True):
    """The best that is known of a rule in this store, and who found it. It outlives the run that did."""

    rule: str
    score: float
    baseline: float
    improvement: float
    parameters: Json
    description: str | None
    iteration: int | None
    run: RunId
    name: str
    """Of that run."""
    sequence: int
    updated: float


class Pattern(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a run discovered, and how well it works."""

    pattern: str
    effectiveness: float
    data: Any = None
    """JSON."""
    description: str | None = None
    iteration: int | None = None
    created: float
    run: RunId | None = None
    """That found it; None until it is committed."""
    sequence: int = 0


class JournalRows(msgspec.Struct, frozen=True, kw_only=True):
    """What one cut takes of a journal."""

    points: Sequence[Point] = ()
    iterations: Sequence[Iteration] = ()
    rules: Sequence[RuleOptimization] = ()
    patterns: Sequence[Pattern] = ()
    entered: float = 0.0
    saving: float = 0.0

    @property
    def is_empty(self) -> bool:
        return not (self.points or self.iterations or self.rules or self.patterns)


NOTHING_LOGGED = JournalRows()
