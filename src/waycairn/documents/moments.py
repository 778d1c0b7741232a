"""How a document says when: as ISO 8601 text in UTC for people and scripts, or as the number that it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from waycairn.upkeep.sizes import iso

__all__ = ["When", "iso", "seconds"]

When = Callable[[float | None], Any]
"""Makes of seconds since 1970 what stands in the document; of None None."""


def seconds(at: float | None) -> float | None:
    """Since 1970, UTC."""
    return at
