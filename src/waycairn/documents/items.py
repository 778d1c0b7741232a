"""Items as JSON values with stable keys."""

from __future__ import annotations

from typing import Any

from waycairn.documents.moments import When, iso
from waycairn.model.records import FailedItem
from waycairn.upkeep.batch import key_of


def failed_facts(failed: FailedItem, moment: When = iso) -> dict[str, Any]:
    """`moment` writes times."""
    return {
        "loop": failed.loop,
        "key": key_of(failed),
        "status": "failed",
        "error": dict(failed.error),
        "attempts": failed.attempts,
        "first": moment(failed.first),
        "last": moment(failed.last),
        "poison": failed.poison,
    }
