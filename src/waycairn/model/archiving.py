"""What is moved to an archive, and what came of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from waycairn.model.ids import RunId


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What was named: whole runs, and single checkpoints."""

    runs: Collection[RunId] = ()
    of_runs: int = 0
    """How many checkpoints these have."""
    checkpoints: Collection[tuple[RunId, int]] = ()
    """Run and sequence."""

    @property
    def is_empty(self) -> bool:
        return not (self.runs or self.checkpoints)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveReport:
    """What one call moved."""

    place: str | None
    """The archive; None: back beside the catalog."""
    checkpoints: int
    packs: int
    """New ones."""
    blocks: int
    moved_bytes: int
    """Of these blocks as they lie now."""
    freed_bytes: int
    """Less bytes beside the catalog than before."""
    unreadable: Sequence[str] = ()
    """Blocks that are damaged and stay where they are."""
    seconds: float = 0.0
