"""Moments at which a job can be killed, and which of them are worth trying."""

from __future__ import annotations

import itertools
import random
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

WORK = ("item.begin", "map.call", "step.call")
"""Points at which work begins: what is passed there once more than in an undisturbed run was done again."""
_COMMITS = ("catalog.commit", "catalog.committed")
"""Before and after what makes a cut durable."""
_GOLDEN_RATIO = 0.6180339887498949


@dataclass(frozen=True, slots=True)
class Point:
    name: str
    """A crash point, a system call, or empty for a moment of the clock."""
    hit: int
    """The k-th time that a process comes there."""
    progress: float
    """Share of the undisturbed run's time."""
    in_worker: bool = False
    """Passed by a process that the job started, not by itself."""

    def __str__(self) -> str:
        return f"{self.name}@{self.hit}" if self.name else f"{self.progress:.1%}"


@dataclass(frozen=True, slots=True)
class Hit:
    process: int
    name: str
    number: int
    at: float
    """Seconds since 1970."""


def read_hits(path: Path) -> list[Hit]:
    """What a job recorded, in order. A line that was cut off by the kill is left out."""
    if not path.exists():
        return []
    found = []
    for line in path.read_text("utf-8").splitlines():
        parts = line.split()
        if len(parts) == 4:
            found.append(Hit(int(parts[0]), parts[1], int(parts[2]), float(parts[3])))
    return found


def work_in(hits: Sequence[Hit]) -> int:
    """How often work was begun."""
    return sum(hit.name in WORK for hit in hits)


def points_of(hits: Sequence[Hit], leader: int, began: float, seconds: float) -> list[Point]:
    """Each (name, k) once, in the order in which they were passed first."""
    first: dict[tuple[str, int], Point] = {}
    for hit in hits:
        share = min(1.0, max(0.0, (hit.at - began) / seconds)) if seconds else 0.0
        key = (hit.name, hit.number)
        if key not in first:
            first[key] = Point(hit.name, hit.number, share, hit.process != leader)
    return list(first.values())


def choose(points: Sequence[Point], most: int, seed: int) -> list[Point]:
    """The most telling first: the first and the last one, both sides of a commit, each name, then evenly spread over the
    run (low-discrepancy: multiples of the golden ratio), whatever prefix of the list there is time for."""
    most = min(most, len(points))
    chosen: dict[tuple[str, int], Point] = {}
    names = Counter(point.name for point in points)
    for_names = most if len(names) < most else min(most, max(4, most * 3 // 4))
    for point in _telling(points, random.Random(seed)):
        if len(chosen) >= for_names:
            break
        chosen.setdefault((point.name, point.hit), point)
    for point in _spread(points, random.Random(f"{seed} spread").random()):
        if len(chosen) >= most:
            break
        chosen.setdefault((point.name, point.hit), point)
    return list(chosen.values())


def _telling(points: Sequence[Point], chance: random.Random) -> Iterator[Point]:
    if not points:
        return
    yield points[0]
    yield points[-1]
    by_name: dict[str, list[Point]] = defaultdict(list)
    for point in points:
        by_name[point.name].append(point)
    before, after = (by_name.get(name, []) for name in _COMMITS)
    if before and after:
        place = chance.randrange(min(len(before), len(after)))
        yield before[place]
        yield after[place]
    for name in sorted(by_name, key=lambda one: len(by_name[one])):
        yield chance.choice(by_name[name])


def _spread(points: Sequence[Point], start: float) -> Iterator[Point]:
    """Points near evenly spread shares of the run; each time the nearest that was not given yet."""
    left = sorted(points, key=lambda point: point.progress)
    shares = [point.progress for point in left]
    for number in itertools.count():
        if not left:
            return
        place = min(bisect_left(shares, (start + number * _GOLDEN_RATIO) % 1.0), len(left) - 1)
        yield left.pop(place)
        shares.pop(place)


def moments(count: int, seed: int) -> list[Point]:
    """Shares of the run, evenly spread, for jobs without crash points."""
    start = random.Random(seed).random()
    return [Point("", number + 1, (start + number * _GOLDEN_RATIO) % 1.0) for number in range(count)]


def named(text: str) -> Point:
    """A point as a report names it: `cut.committed@3`, `31.4%`. ValueError."""
    try:
        if text.endswith("%"):
            share = float(text[:-1]) / 100
            if 0 <= share <= 1:
                return Point("", 1, share)
        name, _, hit = text.rpartition("@")
        if name and int(hit) > 0:
            return Point(name, int(hit), 0.0)
    except ValueError:
        pass
    raise ValueError(
        f"{text!r} is no point: write NAME@K, such as cut.committed@3, or a share of the run, such as 31.4%"
    )
