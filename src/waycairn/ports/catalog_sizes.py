"""Where the bytes of a store are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from waycairn.model.ids import RunId


@dataclass(frozen=True, slots=True)
class SavedBytes:
    """What the checkpoints of one run name and kind are, all together."""

    name: str
    kind: str
    checkpoints: int
    raw_bytes: int
    """Of the states, one by one."""
    new_bytes: int
    """That they added to the store when they were saved: compressed, and what was there not again."""


class SizeRows(Protocol):
    """Sums over whole tables."""

    def saved_bytes(self) -> Sequence[SavedBytes]:
        """By the name of the run and the kind of the checkpoint, the largest first."""
        ...

    def inline_bytes(self) -> tuple[int, int]:
        """How many blocks lie in the catalog, and their bytes."""
        ...

    def count_older(self, created: float) -> tuple[int, int]:
        """Checkpoints of finished runs that are older than that moment, and the bytes that they added."""
        ...

    def count_of_run(self, run: RunId) -> tuple[int, int]:
        """How many checkpoints and how many steps one run has, without its phases."""
        ...
