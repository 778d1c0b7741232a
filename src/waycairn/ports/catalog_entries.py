"""Entries: who entered a run, and how that ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from waycairn.model.entries import RunEntry
from waycairn.model.ids import RunId


class EntryRows(Protocol):
    """Read; they are written by `add_run`, `replace_run` and `take_over`, and by the commit that leaves a run, each in the
    transaction of that. Runs that nobody holds (phases, plain values, batches done in parts) have none, and neither have
    entries from before format 5. They go with their run, and stay where it is rewound."""

    def entries(self, run: RunId) -> Sequence[RunEntry]:
        """Oldest first."""
        ...
