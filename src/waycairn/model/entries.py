"""Each time that a run was entered: when, by whom, and how that ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from waycairn.model.records import Owner


class Ending(StrEnum):
    """How an entry ended that never left its run; else it is a RunStatus."""

    ORPHANED = "orphaned"
    """Its process was gone when the next one entered."""
    DISPLACED = "displaced"
    """It was fenced out by a forced takeover, and may have lived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEntry:
    """One row of `entries`."""

    epoch: int
    """Grows with each entry; there are gaps where a run was rewound or taken over by force."""
    begun: float
    owner: Owner
    sequence: int
    """Number of the newest commit when it began."""
    ended: float | None
    """When it left the run. Of one that never left it, the last that was known of it when the next one entered; None as long
    as nobody did."""
    ending: str | None
    """A RunStatus or an Ending; None with `ended`."""
