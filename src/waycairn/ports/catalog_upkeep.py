"""Rows about the care of a store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol


class UpkeepNote(NamedTuple):
    """What some work of upkeep did last."""

    at: float
    facts: Mapping[str, Any]


class UpkeepRows(Protocol):
    """What upkeep did last, by the name of the work."""

    def upkeep_note(self, name: str) -> UpkeepNote | None: ...

    def claim_upkeep(self, name: str, now: float, pause: float) -> bool:
        """Note that it begins now, and leave the facts as they are; false, and nothing changed, if a time less than `pause`
        seconds before was noted. Of several processes that ask at once one is told true."""
        ...

    def note_upkeep(self, name: str, at: float, facts: Mapping[str, Any]) -> None:
        """In place of what was noted under this name before; the last one wins. `facts` are JSON values."""
        ...
