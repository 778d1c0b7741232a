"""Which automatic checkpoints of a run stay. The others go in the very commit of a newer one, never before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from waycairn.model.records import CheckpointFilter, CheckpointRecord
from waycairn.model.retention import Candidate, Keep, surplus
from waycairn.model.states import CheckpointStatus
from waycairn.ports import Catalog

METRICS = "metrics"
"""In the metadata of a checkpoint: what was logged last, by name."""
_LOOKED_AT = 1000


class Keeping:
    """Knows the automatic checkpoints of one run, newest first. What the job asked for, by a kind, a tag or `force`, is
    none of them."""

    def __init__(self, keep: int | str) -> None:
        self.policy = Keep.of(keep)
        self._known: list[Candidate] = []

    def replaced_by(self, sequence: int, metrics: Mapping[str, Any] | None) -> Sequence[int]:
        """What the commit of that number, a checkpoint with these metrics, is to remove."""
        return surplus(self.policy, [_candidate(sequence, metrics), *self._known])

    def committed(self, sequence: int, metrics: Mapping[str, Any] | None, dropped: Sequence[int]) -> None:
        """It was."""
        gone = set(dropped)
        self._known = [_candidate(sequence, metrics), *(one for one in self._known if one.sequence not in gone)]

    def learn(self, catalog: Catalog, newest: CheckpointRecord, *, all_reasons: bool) -> None:
        """Those of earlier entries, where a run goes on. With `all_reasons` also those that were taken when it ended."""
        which = CheckpointFilter(run=newest.run, role="state", status=CheckpointStatus.VALID, limit=_LOOKED_AT)
        self._known = [
            Candidate(row.sequence, row.checkpoint.metadata.get(METRICS), row.pinned, verified=True)
            for row in catalog.list_checkpoints(which)
            if is_automatic(row.checkpoint.reason, all_reasons=all_reasons)
        ]


def is_automatic(reason: str | None, *, all_reasons: bool) -> bool:
    """Whether later checkpoints may replace one that was taken for this reason. States of a few kilobytes stay where a
    run ended or was stopped; those of models do not, which take gigabytes."""
    return reason is not None if all_reasons else reason == "pace"


def _candidate(sequence: int, metrics: Mapping[str, Any] | None) -> Candidate:
    return Candidate(sequence, metrics, pinned=False, verified=True)
