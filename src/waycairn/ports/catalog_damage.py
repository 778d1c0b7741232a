"""Rows about damage: the chunk index as a whole, what of it is marked, and its repair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from waycairn.model.damage import IndexPage, Mending, PackRow
from waycairn.model.ids import PackId


class DamageRows(Protocol):
    """Marked chunks are kept and read as before; but no save finds them again, so that the same content is written anew."""

    def index_after(self, after: int, limit: int) -> IndexPage | None:
        """Chunks with numbers above `after`, in order, at most so many; None at the end."""
        ...

    def pack_rows(self) -> Sequence[PackRow]:
        """All packs, condemned ones too."""
        ...

    def note_verified(self, packs: Sequence[PackId], at: float) -> None:
        """All of these packs was read back and found intact."""
        ...

    def mark_chunks(self, damage: Mapping[int, str], at: float) -> int:
        """Mark these chunks damaged; how many were not marked before. If any, the sweep epoch moves with it, so that no save
        under way commits what leans on them."""
        ...

    def release_chunks(self, numbers: Sequence[int]) -> None:
        """They are not damaged any more."""
        ...

    def marked_chunks(self) -> Mapping[int, str]:
        """Number to damage, of those that are still in the index or missing from it, until they are released."""
        ...

    def mend(self, mending: Mending, epoch: int) -> None:
        """Apply it. Raises SweptMeanwhile, and nothing was changed, if the sweep epoch is not `epoch` any more: what was
        looked at may be gone."""
        ...

    def copy_aside(self, label: str) -> str:
        """Keep a copy of the catalog as it is now, durably; says where it lies. A server keeps none, and that is what it
        says."""
        ...
