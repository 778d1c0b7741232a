"""Runs whose owner died: where they would go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from waycairn.model.records import CheckpointRecord, RunRecord
from waycairn.store import StoreCore
from waycairn.upkeep.standing import ORPHANED, Wanted, list_standing


@dataclass(frozen=True, slots=True)
class Orphan:
    run: RunRecord
    checkpoint: CheckpointRecord | None
    """What its state would be restored from; None if it keeps no state, or committed none yet."""


def find_orphans(core: StoreCore) -> Sequence[Orphan]:
    """Newest first."""
    found = list_standing(core, Wanted(words=[ORPHANED]))
    return [Orphan(one.run, core.catalog.latest_checkpoint(one.run.id, role="state")) for one in found]
