"""The wrapped keys of an encrypted store."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Protocol

from waycairn.model.ids import PackId
from waycairn.model.keys import WrappedKey


class KeyRows(Protocol):
    """None in a plain store. What is in them is no secret without what opens them."""

    def wrapped_keys(self) -> Sequence[WrappedKey]:
        """All of them, ways in first, each kind by age."""
        ...

    def replace_keys(self, before: Sequence[WrappedKey], after: Sequence[WrappedKey]) -> bool:
        """In one transaction, durably: these in place of those. False, and nothing changed, if there are others than
        `before`: another process changed them."""
        ...

    def drop_generation(
        self, before: Sequence[WrappedKey], after: Sequence[WrappedKey], renewed: Collection[PackId]
    ) -> bool:
        """As `replace_keys`, where `after` lacks an old data key; and false also if a pack that is in use is not among
        `renewed`: those that do not need that key. A save that is under way is refused and made again."""
        ...

    def reseal(self, table: str, behind: Sequence[Any] | None, most: int) -> Sequence[Any] | None:
        """Seal the next rows of a table again, with the key in use, in one transaction; the key of the last one, None if
        that was the end of it. Others may write to the table meanwhile."""
        ...

    def sealed_tables(self) -> Sequence[str]:
        """Those that hold sealed values."""
        ...
