"""What a repair found and did, as plain frozen records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from waycairn.model.ids import CheckpointId, PackId


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairReport:
    """With `dry_run` what it would have done."""

    dry_run: bool = False
    chunks: int = 0
    """Rows of chunks that were missing or wrong and are right again, from what packs say."""
    blocks: int = 0
    packs: int = 0
    """The same of blocks and packs."""
    replaced: int = 0
    """Damaged chunks that take the place of an intact one of the same content, saved elsewhere in the store."""
    released: int = 0
    """Chunks that were marked damaged and can be read again."""
    healed: Sequence[CheckpointId] = ()
    """Checkpoints that were marked damaged and can be read again."""
    unlisted: Sequence[tuple[PackId, str]] = ()
    """Packs whose own list is damaged, and how. What proves itself of it is used; nothing of them is removed."""
    lost: int = 0
    """Chunks that something needs and that no pack has."""
    copy: str | None = None
    """Where the catalog as it was before lies; None if nothing had to be changed."""
    seconds: float = 0.0

    @property
    def is_empty(self) -> bool:
        """There was nothing to mend."""
        return not (self.chunks or self.blocks or self.packs or self.replaced or self.released or self.healed)
