"""What is measured: the names, their units, and one row of the table that keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from waycairn.model.histogram import Histogram

Unit = Literal["seconds", "bytes", "count"]
HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Measure:
    name: str
    unit: Unit
    what: str


ACTS = ("save", "commit", "load", "verify", "sweep", "notify")
"""What is timed; each of them also counts its failures, as `save.failures`."""
MEASURES = (
    Measure(
        "save", "seconds", "from an encoded state to its durable checkpoint: `wc.save`, and cuts with a checkpoint"
    ),
    Measure("commit", "seconds", "the same of cuts without a checkpoint: items, steps, a status"),
    Measure("load", "seconds", "reading, verifying and decoding one state"),
    Measure("verify", "seconds", "reading one state back and comparing it with its hashes"),
    Measure("sweep", "seconds", "one sweep"),
    Measure("notify", "seconds", "delivering one notification, tries that failed included"),
    Measure("save.failures", "count", "saves that could not be done"),
    Measure("commit.failures", "count", "cuts without a checkpoint that could not be done"),
    Measure("load.failures", "count", "loads that could not be done, damage among them"),
    Measure("verify.failures", "count", "states that could not be read back"),
    Measure("sweep.failures", "count", "sweeps that were given up"),
    Measure("notify.failures", "count", "notifications that were given up after their last try"),
    Measure("notify.suppressed", "count", "notifications held back because the same was told lately"),
    Measure("save.bytes", "bytes", "new bytes that one save brought, compressed; 0 where all of it was there"),
    Measure(
        "save.raw", "bytes", "size of what one save held, as it is in memory: beside `save.bytes`, what was spared"
    ),
    Measure("load.bytes", "bytes", "size of one loaded state, as it is in memory"),
    Measure("sweep.bytes", "bytes", "bytes that one sweep gave back, files and rows"),
    Measure("save.late", "seconds", "how long after it was due an automatic save began, where that was over 1 s"),
    Measure("save.skipped", "count", "automatic saves left out because the one before was still being written"),
    Measure("takeovers", "count", "runs entered whose owner had died"),
    Measure("takeovers.forced", "count", "runs taken from an owner by force"),
    Measure("ownership.lost", "count", "commits refused because somebody else owned the run by then"),
    Measure("stream.outages", "count", "times that the database of a followed stream's sink went away"),
    Measure("store.bytes", "bytes", "size of packs and catalog, looked at whenever health is"),
)
NAMES = frozenset(measure.name for measure in MEASURES)


def failures_of(act: str) -> str:
    return f"{act}.failures"


@dataclass(frozen=True, slots=True)
class Measured:
    """What one process measured of one thing in one hour."""

    hour: int
    """Hours since 1970; 0 for everything that is too old to be told apart."""
    name: str
    writer: str
    """One opened store of one process; "" once its hour was put together."""
    histogram: Histogram
