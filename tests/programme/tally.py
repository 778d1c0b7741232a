"""What a harness was given and what it did: faults delivered, and outcomes that were bad.

A harness is a function `run(budget, folder) -> Tally`. It works until its budget is spent, in its own empty folder,
with one seed: the same seed tries the same faults in the same order.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

__all__ = ["Budget", "Harness", "Tally"]

Thing = TypeVar("Thing")


@dataclass(frozen=True, slots=True)
class Budget:
    """How much a harness may try: whichever is spent first."""

    seconds: float
    seed: int = 0
    most: int | None = None
    """Faults; None: as many as there is time for."""
    began: float = field(default_factory=time.monotonic)

    @property
    def is_spent(self) -> bool:
        return time.monotonic() - self.began >= self.seconds

    def renewed(self) -> Budget:
        """The same from this moment on, where preparing took time that grows with nothing."""
        return replace(self, began=time.monotonic())

    def chance(self, what: str = "") -> random.Random:
        """Random numbers that depend on the seed and on what they are for, and on nothing else."""
        return random.Random(f"{self.seed} {what}")

    def spread(self, things: Iterable[Thing]) -> Iterator[Thing]:
        """The things in a random order, while there is time, at most `most` of them."""
        shuffled = list(things)
        self.chance("order").shuffle(shuffled)
        for number, thing in enumerate(shuffled):
            if self.is_spent or number == self.most:
                return
            yield thing


@dataclass
class Tally:
    harness: str
    delivered: Counter[str] = field(default_factory=Counter)
    """Faults that really happened, by kind: "kills", "power-loss states", "I/O errors", "bit flips"..."""
    bad: list[str] = field(default_factory=list)
    """Each names the fault, so that it can be had again, and what was wrong then."""
    touched: set[str] = field(default_factory=set)
    """What met a fault, where a harness tells: jobs, kinds of calls."""
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Nothing was bad, and something was tried."""
        return not self.bad and sum(self.delivered.values()) > 0

    def __str__(self) -> str:
        counts = ", ".join(f"{count:,} {kind}" for kind, count in sorted(self.delivered.items())) or "nothing delivered"
        return f"{self.harness}: {counts}, {len(self.bad)} bad, {self.seconds:.1f} s"


Harness = Callable[[Budget, Path], Tally]
