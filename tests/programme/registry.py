"""The harnesses by name: imported when they are run, left out with a reason where their means are missing."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

from programme.tally import Harness

__all__ = ["HARNESSES", "Entry", "find"]


@dataclass(frozen=True, slots=True)
class Entry:
    name: str
    """Of its module in this folder, with `run(budget, folder)` and, where it needs means, `missing()`."""
    weight: int
    """Its share of the time."""
    what: str

    def load(self) -> ModuleType:
        return importlib.import_module(f"programme.{self.name}")

    @property
    def harness(self) -> Harness:
        found: Harness = self.load().run
        return found

    def missing(self) -> str | None:
        """Why it cannot run here; None if it can. A module of ours that is missing is no such reason."""
        try:
            ask: Callable[[], str | None] = getattr(self.load(), "missing", lambda: None)
        except ImportError as error:
            if (error.name or "").startswith("programme"):
                raise
            return f"it cannot be imported: {error}"
        return ask()


HARNESSES = (
    Entry("kills", 17, "processes killed, told to stop or refused by the device at named points, again in recovery"),
    Entry("power", 28, "every state that a power cut could leave, in two models of a file system"),
    Entry("block", 2, "power cuts on a real ext4, by a block device that records"),
    Entry(
        "errors",
        19,
        "EIO, ENOSPC and EMFILE at any system call, once and for ever; flushes that fail and lose their data",
    ),
    Entry("flushes", 2, "flushes that fail and lose their data, as Linux loses it"),
    Entry("full", 2, "a disk that fills up, and gets room again"),
    Entry("rot", 3, "flipped bits, truncations and zeroed tails in every structure"),
    Entry("deceit", 1, "values and packs of an encrypted store, exchanged, replaced and changed by who has no key"),
    Entry("model", 3, "random acts against a model of what must be there"),
    Entry("decoders", 1, "random bytes for everything that reads bytes"),
    Entry("network", 4, "replies of a database that are lost, connections that break or fall silent"),
    Entry("server_kills", 3, "processes killed at named points while their store is on PostgreSQL"),
    Entry("owners", 4, "stopped owners that wake up, process ids used again, clocks that jump, forks"),
    Entry("many", 2, "64 processes on one store"),
    Entry("telling", 1, "what was measured and told, beside what happened"),
    Entry("mutants", 6, "known mistakes, planted into a job: the harness named for each must find it"),
)


def find(name: str) -> Entry:
    """Raises ValueError naming those that there are."""
    for entry in HARNESSES:
        if entry.name == name:
            return entry
    raise ValueError(f"there is no harness {name!r}; there are {', '.join(entry.name for entry in HARNESSES)}")
