"""What a run writes down between two cuts: metrics, iterations, rules, patterns. The next cut holds it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from waycairn.model.journal import NOTHING_LOGGED, Iteration, JournalRows, Pattern, Point, RuleOptimization

Entry = Point | Iteration | RuleOptimization | Pattern


class Journal:
    """Thread-safe. Nothing in it is durable before the cut that takes it."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._entered = now()
        self._entries: list[Entry] = []
        self._taken = 0
        """How many entries were taken in all, so that marks stay right while cuts come and go."""
        self._saving = 0.0
        self._newest: int | None = None
        self._floor: int | None = None
        self._lock = threading.Lock()
        self.latest: dict[str, float] = {}
        """What was logged last in this entry, by name."""
        self.step: int | None = None
        """The step that is open now, where a loop counts them: what is logged belongs to it."""
        self.on_commit: Callable[[], None] = lambda: None
        """Called after a commit that holds iterations, rules or patterns."""

    # -- writing -------------------------------------------------------------------------------------------------

    def log(self, step: int, values: Mapping[str, Any]) -> None:
        """Metrics of a step. TypeError names a value that is no number."""
        numbers = {name: value if type(value) is float else as_number(name, value) for name, value in values.items()}
        point = Point(step, self._now(), numbers)
        with self._lock:
            self.latest.update(numbers)
            self._entries.append(point)
            if self._newest is None or step > self._newest:
                self._newest = step

    def log_next(self, values: Mapping[str, Any], newest: Callable[[], int | None]) -> None:
        """Metrics of the step after the newest one; `newest` says which the cuts before this entry hold."""
        if self._newest is None:
            self._newest = newest()
        self.log(0 if self._newest is None else self._newest + 1, values)

    def add(self, *entries: Entry) -> None:
        """Iterations, rules, patterns: they are in one cut together."""
        with self._lock:
            self._entries.extend(entries)

    def withdraw(self, entries: Sequence[Entry]) -> None:
        """Forget those of them that no cut holds."""
        names = {id(entry) for entry in entries}
        with self._lock:
            self._entries = [entry for entry in self._entries if id(entry) not in names]

    def committed(self, rows: JournalRows | None, seconds: float) -> None:
        """A cut that holds these rows is durable. It took so long; the next one that holds anything says it."""
        with self._lock:
            self._saving += seconds
        if rows is not None and (rows.iterations or rows.rules or rows.patterns):
            self.on_commit()

    # -- reading -------------------------------------------------------------------------------------------------

    @property
    def is_empty(self) -> bool:
        return not self._entries

    @property
    def newest_step(self) -> int | None:
        """The highest step that was logged in this entry, if any was."""
        return self._newest

    def waiting(self) -> list[Entry]:
        """What no cut has taken yet, in order."""
        with self._lock:
            return list(self._entries)

    # -- undoing -------------------------------------------------------------------------------------------------

    def mark(self) -> int:
        """Where the journal stands, to `cut_back` to."""
        with self._lock:
            return self._taken + len(self._entries)

    def cut_back(self, mark: int = 0) -> None:
        """An item or step is left undone: what it wrote since the mark never was. Without a mark: all since the last cut."""
        with self._lock:
            del self._entries[max(0, mark - self._taken) :]
            steps = [entry.step for entry in self._entries if isinstance(entry, Point)]
            self._newest = max([*steps, *(() if self._floor is None else (self._floor,))], default=None)

    # -- cuts ----------------------------------------------------------------------------------------------------

    def take(self) -> JournalRows:
        """Everything up to here, for a cut. Costs next to nothing where nothing was written."""
        if not self._entries:
            return NOTHING_LOGGED
        with self._lock:
            entries, self._entries = self._entries, []
            saving, self._saving = self._saving, 0.0
            self._taken += len(entries)
            self._floor = self._newest
        return JournalRows(
            points=[entry for entry in entries if isinstance(entry, Point)],
            iterations=[entry for entry in entries if isinstance(entry, Iteration)],
            rules=[entry for entry in entries if isinstance(entry, RuleOptimization)],
            patterns=[entry for entry in entries if isinstance(entry, Pattern)],
            entered=self._entered,
            saving=saving,
        )

    def give_back(self, rows: JournalRows | None) -> None:
        """The cut failed: in front of what came since."""
        if rows is None or rows.is_empty:
            return
        entries: list[Entry] = [*rows.points, *rows.iterations, *rows.rules, *rows.patterns]
        with self._lock:
            self._entries[:0] = entries
            self._taken -= len(entries)
            self._saving += rows.saving


def as_number(name: str, value: Any) -> float:
    """A number of Python, numpy or torch as a float. TypeError names the metric otherwise."""
    if isinstance(value, bool | int | float):
        return float(value)
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        inside = value.item()
        if isinstance(inside, bool | int | float):
            return float(inside)
    shape = getattr(value, "shape", None)
    what = f"a {type(value).__name__}" + (f" of shape {tuple(shape)}" if shape else "")
    raise TypeError(
        f"metric {name!r} is {what}, not a number. Nothing was logged. Log int, float, bool, a numpy scalar or a tensor "
        "with one value and no dimension (x.mean(), x[0])."
    )
