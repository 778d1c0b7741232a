"""Flushes that fail and lose their data: nothing may be built upon those, by us or by SQLite.

Linux marks pages that could not be written as clean and forgets them. They are still to be read until the cache needs
the room, a second flush says that all is well, and then the old bytes are back ("fsyncgate"). So who asks again and
believes the answer has committed what is not there.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from programme.errors import Way, missing, sweep
from programme.faulty_job import JOBS
from programme.refusing import Fault
from programme.tally import Budget, Tally

__all__ = ["missing", "run"]

FLUSHED = tuple(name for name, job in JOBS.items() if job.is_flushed)


def run(
    budget: Budget, folder: Path, *, bug: str = "", workloads: Sequence[str] = FLUSHED, only: str | None = None
) -> Tally:
    """As `errors.run`."""
    return sweep(Tally("flushes"), "lost flushes", lost, budget, folder, workloads, bug=bug, only=only)


def lost(calls: Mapping[str, int]) -> Iterator[Way]:
    """Every flush: of packs, outputs, the catalog and its log."""
    for loses in ("late", "at once"):
        yield Way(partial(Fault, "flush", error=errno.EIO, loses=loses), calls["flush"])
