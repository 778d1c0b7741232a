"""Metrics of a run as curves of a bounded number of points, in one pass over what was logged and in bounded memory.

Of each stretch of points the lowest and the highest stay, and the first that is no number: a spike of one step among a
million is seen. Stretches grow as points come, so that nobody has to know beforehand how many there are.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from waycairn.model.ids import RunId
from waycairn.model.records import RunRecord
from waycairn.store import StoreCore

Source = Literal["step", "iteration"]
MOST_CURVES = 100
"""A job may log a metric an item."""
_PAGE = 500
_BEFORE_ALL = -(2**62)
_Point = tuple[int, int, float]
"""Its order among those of its metric, step or iteration, value. Plain: there are as many as values were logged."""


class Shown(NamedTuple):
    """One point of a curve."""

    place: int
    value: float


class Stretch:
    """What stays of some points that follow each other."""

    __slots__ = ("gap", "high", "low")

    def __init__(self) -> None:
        self.low: _Point | None = None
        self.high: _Point | None = None
        self.gap: _Point | None = None
        """The first that is no number, or infinite."""

    def add(self, one: _Point) -> None:
        value = one[2]
        if not math.isfinite(value):
            self.gap = self.gap or one
            return
        if self.low is None or value < self.low[2]:
            self.low = one
        if self.high is None or value > self.high[2]:
            self.high = one

    def points(self) -> set[_Point]:
        return {one for one in (self.low, self.high, self.gap) if one is not None}


def _joined(left: Stretch, right: Stretch | None) -> Stretch:
    """Both as one."""
    both = Stretch()
    for one in sorted(left.points() | (right.points() if right else set())):
        both.add(one)
    return both


def _halved(stretches: list[Stretch]) -> list[Stretch]:
    """Pairs become one."""
    ends = [*stretches[1::2], None]
    return [_joined(left, right) for left, right in zip(stretches[::2], ends, strict=False)]


class Thinned:
    """One curve of at most `points` points. On the way each of as many stretches keeps three."""

    def __init__(self, points: int) -> None:
        self._most = points - 2  # the first and the last are always there
        self._stretches: list[Stretch] = []
        self._length = 1
        """Points of a stretch."""
        self._room = 0
        """How many more belong to the newest one."""
        self._ends: tuple[_Point, _Point] | None = None
        self.count = 0

    def add(self, place: int, value: float) -> None:
        one = (self.count, place, value)
        self.count += 1
        self._ends = (one if self._ends is None else self._ends[0], one)
        if self._room == 0:
            self._begin()
        self._room -= 1
        self._stretches[-1].add(one)

    def points(self) -> list[Shown]:
        """In the order in which they were logged."""
        stretches = self._stretches
        while sum(len(stretch.points()) for stretch in stretches) > self._most:
            stretches = _halved(stretches)
        found = set(self._ends or ()).union(*(stretch.points() for stretch in stretches))
        return [Shown(place, value) for _, place, value in sorted(found)]

    def _begin(self) -> None:
        """The next stretch; before there are too many, pairs of them become one."""
        self._room = self._length
        if len(self._stretches) >= self._most:
            is_odd = len(self._stretches) % 2
            self._stretches = _halved(self._stretches)
            self._length *= 2
            if is_odd:
                return  # the last one is full by half
            self._room = self._length
        self._stretches.append(Stretch())


@dataclass(frozen=True, slots=True)
class Curve:
    name: str
    source: Source
    points: list[Shown]
    count: int
    """How many values there are."""


@dataclass(frozen=True, slots=True)
class LoggedEntry:
    """Where an entry into the run begins among what was logged."""

    epoch: int
    at: float
    """When it began."""
    step: int | None = None
    """The first that it logged; None if it logged none."""
    iteration: int | None = None
    """Its first."""


@dataclass(slots=True)
class Curves:
    curves: list[Curve] = field(default_factory=list)
    entries: list[LoggedEntry] = field(default_factory=list)
    left_out: int = 0
    """Metrics beyond MOST_CURVES."""


class Drawing:
    """The curves of one run, drawn on as it goes on. `names`: only these metrics."""

    def __init__(self, core: StoreCore, run: RunId, points: int, names: frozenset[str] | None = None) -> None:
        if points < 10:
            raise ValueError(f"a curve has 10 points or more, not {points}")
        self._core, self._run, self._points, self._names = core, run, points, names
        self._entries: dict[int, LoggedEntry] = {}
        self._by_name: dict[tuple[Source, str], Thinned] = {}
        self._left_out: set[tuple[Source, str]] = set()
        self._read = -1
        """The newest cut that is in it."""
        self._number = _BEFORE_ALL
        """The highest iteration that is in it."""

    def goes_on(self) -> bool:
        """Whether what is in it is still there: a run that was cut back begins anew."""
        if self._read < 0:
            return True
        newest = next(iter(self._core.catalog.metrics(self._run, self._read - 1)), None)
        return newest is not None and newest.sequence == self._read

    def draw(self) -> Curves:
        """What was logged by steps, then what iterations said, as far as it is committed."""
        for source, place, values in self._logged():
            for name, value in values.items():
                thinned = self._by_name.get((source, name)) or self._begun(source, name)
                if thinned is not None:
                    thinned.add(place, value)
        curves = [Curve(name, source, one.points(), one.count) for (source, name), one in self._by_name.items()]
        curves.sort(key=lambda curve: curve.source == "iteration")
        return Curves(curves, [self._entries[epoch] for epoch in sorted(self._entries)], len(self._left_out))

    def _begun(self, source: Source, name: str) -> Thinned | None:
        if self._names is not None and name not in self._names:
            return None
        if len(self._by_name) >= MOST_CURVES:
            self._left_out.add((source, name))
            return None
        thinned = self._by_name[source, name] = Thinned(self._points)
        return thinned

    def _logged(self) -> Iterator[tuple[Source, int, Mapping[str, float]]]:
        for cut in self._core.catalog.metrics(self._run, self._read):
            self._note(cut.epoch, cut.entered, step=cut.points[0].step if cut.points else None)
            for point in cut.points:
                yield "step", point.step, point.values
            self._read = cut.sequence
        while page := self._core.catalog.next_iterations(self._run, self._number, _PAGE):
            for iteration in page:
                self._note(iteration.epoch, iteration.ended, iteration=iteration.number)
                yield "iteration", iteration.number, iteration.metrics
            self._number = page[-1].number

    def _note(self, epoch: int, at: float, *, step: int | None = None, iteration: int | None = None) -> None:
        """Where an entry begins."""
        one = self._entries.setdefault(epoch, LoggedEntry(epoch, at))
        if one.step is None and step is not None:
            self._entries[epoch] = one = replace(one, step=step)
        if one.iteration is None and iteration is not None:
            self._entries[epoch] = replace(one, iteration=iteration)


def curves_of(core: StoreCore, run: RunId, points: int, names: frozenset[str] | None = None) -> Curves:
    """In one pass over all of it."""
    return Drawing(core, run, points, names).draw()


class Drawings:
    """Those that were asked for last: who looks at a run that goes on reads what is new. Thread-safe."""

    def __init__(self, core: StoreCore, kept: int = 8) -> None:
        self._core, self._kept = core, kept
        self._lock = threading.Lock()
        self._drawings: OrderedDict[tuple[object, ...], tuple[threading.Lock, Drawing]] = OrderedDict()

    def curves_of(self, run: RunRecord, points: int, names: frozenset[str] | None = None) -> Curves:
        key = (run.id, run.epoch, points, names)
        with self._lock:
            lock, drawing = self._drawings.setdefault(key, (threading.Lock(), self._new(run, points, names)))
            self._drawings.move_to_end(key)
            while len(self._drawings) > self._kept:
                self._drawings.popitem(last=False)
        with lock:
            if drawing.goes_on():
                return drawing.draw()
            drawing = self._new(run, points, names)
            found = drawing.draw()
        with self._lock:
            self._drawings[key] = (threading.Lock(), drawing)
        return found

    def _new(self, run: RunRecord, points: int, names: frozenset[str] | None) -> Drawing:
        return Drawing(self._core, run.id, points, names)
