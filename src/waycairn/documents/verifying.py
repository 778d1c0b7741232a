"""What a verification found, as JSON values with stable keys. Sizes are bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from waycairn.upkeep.verified import Verified
from waycairn.upkeep.violation import Violation


def verified_facts(verified: Verified, violations: Sequence[Violation]) -> dict[str, Any]:
    return {
        "level": verified.level,
        "part": verified.part,
        "checkpoints": verified.checkpoints,
        "steps": verified.steps,
        "results": verified.results,
        "chunks": verified.chunks,
        "packs": verified.packs,
        "raw_bytes": verified.raw_bytes,
        "stored_bytes": verified.stored_bytes,
        "seconds": verified.seconds,
        "damaged": [
            {"name": broken.name, "damage": broken.damage, "known_before": broken.known} for broken in verified.broken
        ],
        "damaged_chunks": len(verified.damaged_chunks),
        "damaged_packs": [{"pack": pack, "damage": damage} for pack, damage in verified.damaged_packs.items()],
        "away_packs": verified.away_packs,
        "restores": [{"run": one.run, "name": one.name, "checkpoint": one.checkpoint} for one in verified.restores],
        "violations": [{"invariant": one.invariant, "what": one.what, "facts": dict(one.facts)} for one in violations],
    }
