"""How well a store is: a status, a score, and what is the matter. Pure: `upkeep.health` finds the facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from waycairn.model.health_acts import HealthAct

Severity = Literal["info", "warning", "critical"]


class Status(StrEnum):
    HEALTHY = "healthy"
    """No warning; what is only good to know may be told."""
    DEGRADED = "degraded"
    """Something needs a look; nothing is lost."""
    UNHEALTHY = "unhealthy"
    """Something is wrong now, or much needs a look: at least one critical issue, or a score below 50."""
    UNKNOWN = "unknown"
    """It could not be looked at."""


@dataclass(frozen=True, slots=True)
class Weight:
    """What an issue takes off a score of 100."""

    warning: int
    critical: int
    what: str


WEIGHTS: Mapping[str, Weight] = {
    "damage": Weight(20, 40, "checkpoints are marked as damaged; critical if an unfinished run has no intact one left"),
    "save failures": Weight(10, 40, "saves of the last day failed; critical if more than a share of them did"),
    "load failures": Weight(5, 5, "loads of the last day failed"),
    "disk": Weight(10, 40, "little room is left on the disk"),
    "growth": Weight(10, 25, "the disk is full soon, if the store goes on growing like that"),
    "save latency": Weight(5, 15, "saves are slow: the 99th percentile of the last day"),
    "load latency": Weight(3, 10, "loads are slow: the 99th percentile of the last day"),
    "late saves": Weight(5, 5, "automatic saves were late or left out"),
    "orphans": Weight(10, 10, "runs are held by the dead and wait to be entered again"),
    "overdue runs": Weight(10, 10, "runs did not commit for long, or run longer than their former runs"),
    "takeovers": Weight(5, 15, "many runs were taken over from dead owners within a day"),
    "streams": Weight(15, 15, "the database of a stream's sink is away: its lines wait"),
    "backups": Weight(10, 40, "a delete was cut off; critical if what was deleted is left in a damaged backup only"),
    "verification": Weight(3, 8, "the store was not verified for long"),
    "sweep": Weight(3, 3, "the store was not swept for long"),
    "fragmentation": Weight(3, 8, "packs hold dead bytes beside living ones"),
    "leftovers": Weight(2, 2, "saves that died left bytes behind"),
    "log": Weight(3, 3, "the log of the catalog is large: somebody keeps reading"),
    "notifications": Weight(10, 10, "notifications could not be delivered"),
    "encryption": Weight(0, 0, "the store is not encrypted: good to know, no point less"),
    "measurements": Weight(0, 0, "nothing is measured: good to know, no point less"),
}
"""The documentation has this table; a test compares them."""
_UNHEALTHY_BELOW = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    check: str
    """One of WEIGHTS."""
    severity: Severity
    what: str
    means: str
    """For the data, or for the job."""
    do: str
    act: HealthAct | None = None
    """What does this, or where it is done, by name; None: it lies outside of the store."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """JSON values."""

    @property
    def points(self) -> int:
        """That it takes off the score."""
        weight = WEIGHTS[self.check]
        return {"info": 0, "warning": weight.warning, "critical": weight.critical}[self.severity]


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Of one act, in seconds."""

    count: int
    failures: int
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """What was measured on one day."""

    begins: float
    """Seconds since 1970."""
    acts: Mapping[str, Latency]
    """By act, as in model.measures.ACTS."""
    written_bytes: float
    """New bytes of saves."""
    raw_bytes: float | None
    """What these saves held, uncompressed and with what was there already; None where an older version did not measure it."""
    freed_bytes: float
    """By sweeps."""
    takeovers: int
    store_bytes: float | None
    """The last size of the store that was looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    at: float
    """Seconds since 1970."""
    status: Status
    score: int | None
    """0 to 100; None if the status is unknown."""
    issues: Sequence[Issue] = ()
    """The gravest first."""
    recommendations: Sequence[str] = ()
    """What to do, in that order, each once."""
    trends: Sequence[Day] = ()
    """By day, the oldest first; today, so far, is the last one."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What it was judged by: JSON values."""

    @property
    def exit_code(self) -> int:
        """Of `waycairn health`: 0 healthy, 3 unhealthy, 5 degraded, 6 unknown."""
        return {Status.HEALTHY: 0, Status.UNHEALTHY: 3, Status.DEGRADED: 5, Status.UNKNOWN: 6}[self.status]


def score_of(issues: Sequence[Issue]) -> int:
    """100, less what each issue takes off."""
    return max(0, 100 - sum(issue.points for issue in issues))


def judged(
    at: float, issues: Sequence[Issue], *, trends: Sequence[Day] = (), facts: Mapping[str, Any] | None = None
) -> Health:
    """Status and score follow from the issues alone."""
    ordered = sorted(issues, key=lambda issue: (_GRAVITY[issue.severity], -issue.points))
    return Health(
        at=at,
        status=_status(ordered),
        score=score_of(ordered),
        issues=ordered,
        recommendations=list(dict.fromkeys(issue.do for issue in ordered if issue.do)),
        trends=trends,
        facts=facts or {},
    )


def unknown(at: float, why: str) -> Health:
    """It could not be looked at."""
    return Health(at=at, status=Status.UNKNOWN, score=None, recommendations=["waycairn doctor"], facts={"error": why})


_GRAVITY: Mapping[Severity, int] = {"critical": 0, "warning": 1, "info": 2}


def _status(issues: Sequence[Issue]) -> Status:
    severities = {issue.severity for issue in issues}
    if "critical" in severities or score_of(issues) < _UNHEALTHY_BELOW:
        return Status.UNHEALTHY
    return Status.DEGRADED if "warning" in severities else Status.HEALTHY
