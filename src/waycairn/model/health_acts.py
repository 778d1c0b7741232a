"""What can be done about an issue, by name: for programs and pages, which cannot act on a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class HealthAct(StrEnum):
    """The first four are works of the store, which can be tried out with a dry run (`verify` changes only marks). The others
    say where a person looks and decides."""

    SWEEP = "sweep"
    OPTIMIZE = "optimize"
    VERIFY = "verify"
    REPAIR = "repair"
    RUNS = "runs"
    BACKUPS = "backups"
    STREAMS = "streams"


WHY: Mapping[HealthAct, str] = {
    HealthAct.SWEEP: "gives back the bytes of what is deleted, replaced or was never committed",
    HealthAct.OPTIMIZE: "writes packs anew that hold much of what is gone",
    HealthAct.VERIFY: "reads everything back, and marks what is damaged so that it is never restored",
    HealthAct.REPAIR: "verifies, and mends what can be mended from intact copies of the same content",
    HealthAct.RUNS: "resume or discard the runs that nobody goes on with; look at those that may hang",
    HealthAct.BACKUPS: "finish the delete or bring all of it back; keep for longer what would go too early",
    HealthAct.STREAMS: "says which database is away, since when and why",
}
"""What each does about the issue that names it."""
