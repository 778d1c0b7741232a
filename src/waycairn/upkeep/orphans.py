"""Runs whose owner died: where they would go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from waycairn.model.records import CheckpointRecord, RunRecord
from waycairn.store import StoreCore
from waycairn.upkeep.standing import ORPHANED, Wanted, is_backup, list_standing


@dataclass(frozen=True, slots=True)
class Orphan:
    run: RunRecord
    checkpoint: CheckpointRecord | None
    """What its state would be restored from; None if it keeps no state, or committed none yet."""


def find_orphans(core: StoreCore) -> Sequence[Orphan]:
    """Newest first. What is left of a backup whose process died is none: nobody goes on with it."""
    found = [one.run for one in list_standing(core, Wanted(words=[ORPHANED])) if not is_backup(core, one.run)]
    return [Orphan(run, core.catalog.latest_checkpoint(run.id, role="state")) for run in found]
