"""What a verification found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from waycairn.model.ids import CheckpointId, PackId, RunId
from waycairn.model.verify_part import Level


@dataclass(frozen=True, slots=True)
class Broken:
    """A state that cannot be read."""

    name: str
    """A checkpoint id, `step NAME of run ID`, `results of 50 items of loop NAME of run ID`."""
    damage: str
    known: bool
    """It was found before and is marked."""
    run: RunId | None = None


@dataclass(frozen=True, slots=True)
class Restores:
    """What is left of a run that has damage."""

    run: RunId
    name: str
    checkpoint: CheckpointId | None
    """Its newest intact one: what a resume goes on from; None if there is none."""


@dataclass(slots=True)
class Verified:
    level: Level = "data"
    part: str = "all"
    """Which share of the data was read, as it was asked for."""
    checkpoints: int = 0
    steps: int = 0
    results: int = 0
    """Cuts with results of items, and results and queues that wait."""
    raw_bytes: int = 0
    """Of what was read, before compression; each chunk once, however many states need it."""
    stored_bytes: int = 0
    """The same as it lies in the store."""
    chunks: int = 0
    """That were read."""
    packs: int = 0
    """Of which everything was read and is intact."""
    broken: list[Broken] = field(default_factory=list)
    damaged_chunks: dict[int, str] = field(default_factory=dict)
    """Number to damage: those found now, and those that were marked before and not read now."""
    damaged_packs: dict[PackId, str] = field(default_factory=dict)
    """Packs whose header, footer or trailer is damaged, or that are missing or too short. Blocks of them may be intact."""
    restores: list[Restores] = field(default_factory=list)
    seconds: float = 0.0

    def facts(self) -> Mapping[str, Any]:
        """For the row that says what was verified last."""
        return {
            "level": self.level,
            "part": self.part,
            "raw_bytes": self.raw_bytes,
            "damaged": len(self.broken),
            "damaged_packs": len(self.damaged_packs),
            "seconds": self.seconds,
        }
