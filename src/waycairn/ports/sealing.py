"""Sealing: encryption that also proves what the bytes are and where they belong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from waycairn.model.keys import DataKeys, WrappedKey
from waycairn.model.vault import PackKey, Vault

__all__ = ["Keyholder", "PackKey", "Vault"]


class Keyholder(Protocol):
    """Asked for the keys of a store while it is opened."""

    def open(self, store: str, rows: Sequence[WrappedKey], address: str) -> DataKeys:
        """Of the encrypted store with this id, whose catalog holds these rows. Raises KeyMissing, KeyWrong, Damaged."""
        ...

    def create(self, store: str) -> tuple[DataKeys, Sequence[WrappedKey]] | None:
        """For a store that is made now, and the rows that its catalog shall hold; None: it is to be a plain one."""
        ...

    def meets_plain(self, address: str) -> None:
        """The store is a plain one. Raises NotEncrypted if that may not be."""
        ...
