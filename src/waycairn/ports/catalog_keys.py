"""The wrapped keys of an encrypted store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

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
