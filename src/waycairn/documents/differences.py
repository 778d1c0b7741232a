"""What differs between two states, as JSON values with stable keys."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from waycairn.upkeep.differences import Difference


def difference_facts(one: Difference) -> dict[str, Any]:
    """`by` and `share` are there for two numbers, `array` for two arrays of one kind and shape."""
    facts: dict[str, Any] = {"path": one.path, "act": one.act, "old": one.old_text(), "new": one.new_text()}
    if one.by is not None:
        facts["by"], facts["share"] = one.by
    if one.array is not None:
        facts["array"] = asdict(one.array)
    return facts
