"""How a session went, computed from what it wrote down: progress, best, plateau, time, overhead, resumes."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from waycairn.errors import RunNotFound
from waycairn.model.ids import RunId
from waycairn.model.journal import Iteration, LoggedCut, Pattern, RuleOptimization
from waycairn.model.records import RunRecord
from waycairn.store import StoreCore

TOLERANCE = 0.001
"""A best value counts as better if it improved by more than this share: less is noise to a plateau."""
_LOWER = ("loss", "error", "err", "perplexity", "ppl", "mse", "mae", "rmse", "nll", "time", "latency", "cost")
"""Words in the name of a metric of which less is better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One metric over time. `places` are iterations or steps, `at` seconds since 1970."""

    name: str
    source: str
    """"iteration" or "step"."""
    lower: bool
    """Whether less is better."""
    places: Sequence[int]
    at: Sequence[float]
    values: Sequence[float]

    @property
    def best(self) -> int | None:
        """The position of the first best value; None if there is no number."""
        numbers = [place for place, value in enumerate(self.values) if not math.isnan(value)]
        sign = -1 if self.lower else 1
        return max(numbers, key=lambda place: (sign * self.values[place], -place), default=None)

    def plateau(self, tolerance: float = TOLERANCE) -> int:
        """How many values came since the best one improved by more than the tolerance."""
        sign = -1 if self.lower else 1
        reference, since = -math.inf, 0
        for value in self.values:
            signed = sign * value
            # After an infinitely bad value, or none, any number is better by enough.
            enough = reference + tolerance * abs(reference) if math.isfinite(reference) else reference
            if signed > enough:
                reference, since = signed, 0
            else:
                since += 1
        return since


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """One entry into the run, as far as it committed anything of the session."""

    epoch: int
    entered: float
    last: float
    """Its newest commit that holds anything."""
    commits: int
    iterations: int
    points: int
    saving: float
    """Seconds that its cuts took."""
    before: float | None
    """Seconds from the newest commit of the entry before to this entry: what was lost, and what stood still."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionReport:
    """A session as a whole. Times are seconds, or seconds since 1970."""

    run: RunRecord
    curves: Sequence[Curve]
    iterations: Sequence[Iteration]
    rules: Sequence[RuleOptimization]
    patterns: Sequence[Pattern]
    periods: Sequence[Period]
    tolerance: float = TOLERANCE
    took: Sequence[float] = field(default_factory=list)
    """Of each iteration."""

    @property
    def active(self) -> float:
        """Seconds that the run worked, from each entry to its newest commit."""
        return sum(period.last - period.entered for period in self.periods)

    @property
    def saving(self) -> float:
        """Seconds that cuts took, as far as a later commit told."""
        return sum(period.saving for period in self.periods)

    @property
    def overhead(self) -> float | None:
        """Of the time the run worked, the share that cuts took."""
        return self.saving / self.active if self.active > 0 else None

    @property
    def resumes(self) -> int:
        return self.run.entered - 1

    @property
    def standstill(self) -> float:
        """Seconds between the newest commit of an entry and the next entry, in all."""
        return sum(period.before or 0.0 for period in self.periods)

    @property
    def median_took(self) -> float | None:
        return statistics.median(self.took) if self.took else None

    @property
    def slowest_took(self) -> float | None:
        return max(self.took, default=None)

    @property
    def failed(self) -> Sequence[Iteration]:
        """Iterations with an error."""
        return [one for one in self.iterations if one.error is not None]

    @property
    def promoted(self) -> Sequence[RuleOptimization]:
        return [rule for rule in self.rules if rule.is_promoted]

    def curve(self, name: str) -> Curve | None:
        """Of iterations, if they have it, else of steps."""
        having = [curve for curve in self.curves if curve.name == name]
        return having[0] if having else None

    def __str__(self) -> str:
        from waycairn.upkeep.report_text import lines_of

        return "\n".join(lines_of(self))


def report_of(
    core: StoreCore, run: RunId, *, lower: Sequence[str] | None = None, tolerance: float = TOLERANCE
) -> SessionReport:
    """Read what is committed of a run. `lower` names metrics of which less is better; by default that is told from
    their names. Raises RunNotFound."""
    record = core.catalog.get_run(run)
    if record is None:
        raise RunNotFound(f"there is no run {run} in the store at {core.url}. See `waycairn runs`.", run=run)
    cuts = list(core.catalog.metrics(run))
    iterations = list(core.catalog.iterations(run))
    return SessionReport(
        run=record,
        curves=[*_curves_of_iterations(iterations, lower), *_curves_of_steps(cuts, lower)],
        iterations=iterations,
        rules=core.catalog.rules(run),
        patterns=core.catalog.patterns(run),
        periods=periods_of(cuts, iterations),
        tolerance=tolerance,
        took=[one.took for one in iterations],
    )


def is_lower_better(name: str, lower: Sequence[str] | None = None) -> bool:
    """By what was said, else by a word in its name."""
    if lower is not None and name in lower:
        return True
    words = "".join(char if char.isalnum() else " " for char in name.lower()).split()
    return any(word in _LOWER for word in words)


def _curves_of_iterations(iterations: Sequence[Iteration], lower: Sequence[str] | None) -> list[Curve]:
    rows = [(one.number, one.ended, one.metrics) for one in iterations]
    return _curves("iteration", rows, lower)


def _curves_of_steps(cuts: Sequence[LoggedCut], lower: Sequence[str] | None) -> list[Curve]:
    rows = [(point.step, point.at, point.values) for cut in cuts for point in cut.points]
    return _curves("step", rows, lower)


def _curves(
    source: str, rows: Iterable[tuple[int, float, Mapping[str, float]]], lower: Sequence[str] | None
) -> list[Curve]:
    columns: dict[str, tuple[list[int], list[float], list[float]]] = {}
    for place, at, values in rows:
        for name, value in values.items():
            places, times, numbers = columns.setdefault(name, ([], [], []))
            places.append(place)
            times.append(at)
            numbers.append(value)
    return [
        Curve(
            name=name,
            source=source,
            lower=is_lower_better(name, lower),
            places=places,
            at=times,
            values=numbers,
        )
        for name, (places, times, numbers) in columns.items()
    ]


def periods_of(cuts: Sequence[LoggedCut], iterations: Sequence[Iteration]) -> list[Period]:
    """Entries, in order."""
    by_epoch: dict[int, list[LoggedCut]] = {}
    for cut in cuts:
        by_epoch.setdefault(cut.epoch, []).append(cut)
    numbers = [one.epoch for one in iterations]
    periods: list[Period] = []
    for epoch, own in sorted(by_epoch.items()):
        entered = min(cut.entered for cut in own)
        periods.append(
            Period(
                epoch=epoch,
                entered=entered,
                last=max(cut.created for cut in own),
                commits=len(own),
                iterations=numbers.count(epoch),
                points=sum(len(cut.points) for cut in own),
                saving=sum(cut.saving for cut in own),
                before=max(0.0, entered - periods[-1].last) if periods else None,
            )
        )
    return periods


# -- two sessions ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One figure of two sessions. `share` is (second - first) / |first|; None where that means nothing."""

    what: str
    first: float | None
    second: float | None
    better: str
    """"first", "second", "equal", or "" where neither is better."""

    @property
    def share(self) -> float | None:
        if self.first is None or self.second is None or not self.first or not math.isfinite(self.first):
            return None
        return (self.second - self.first) / abs(self.first)


def compare(first: SessionReport, second: SessionReport) -> list[Difference]:
    """Side by side: what both have, or one of them."""
    names = list(dict.fromkeys(curve.name for report in (first, second) for curve in report.curves))
    found = [_of_metric(name, first.curve(name), second.curve(name)) for name in names]
    figures = (
        ("iterations", len(first.iterations), len(second.iterations), None),
        ("seconds an iteration (median)", first.median_took, second.median_took, True),
        ("seconds at work", first.active, second.active, None),
        ("checkpoint overhead (share)", first.overhead, second.overhead, True),
        ("resumes", first.resumes, second.resumes, None),
        ("seconds between entries", first.standstill, second.standstill, None),
        ("rules promoted", len(first.promoted), len(second.promoted), None),
        ("patterns", len(first.patterns), len(second.patterns), None),
    )
    return [*found, *(_difference(what, one, other, lower) for what, one, other, lower in figures)]


def _of_metric(name: str, one: Curve | None, other: Curve | None) -> Difference:
    lower = next(curve.lower for curve in (one, other) if curve is not None)
    return _difference(f"best {name}", _best_value(one), _best_value(other), lower)


def _best_value(curve: Curve | None) -> float | None:
    place = None if curve is None else curve.best
    return None if curve is None or place is None else curve.values[place]


def _difference(what: str, first: float | None, second: float | None, lower: bool | None) -> Difference:
    better = ""
    if lower is not None and first is not None and second is not None:
        better = "equal" if first == second else "first" if (first < second) == lower else "second"
    return Difference(what=what, first=first, second=second, better=better)
