"""Iterations of sessions as JSON values with stable keys."""

from __future__ import annotations

from typing import Any

from waycairn.documents.moments import When, iso
from waycairn.model.journal import Iteration


def iteration_facts(one: Iteration, moment: When = iso) -> dict[str, Any]:
    """`moment` writes times."""
    return {
        "number": one.number,
        "created": moment(one.ended),
        "took": one.took,
        "improvement": one.improvement,
        "metrics": dict(one.metrics),
        "description": one.description,
        "error": None if one.error is None else dict(one.error),
    }
