"""Sealing: encryption that also proves what the bytes are and where they belong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from waycairn.model.keys import DataKeys, WrappedKey
from waycairn.ports.world import Buffer


class Vault(Protocol):
    """The keys of one encrypted store at work. Thread-safe. A plain store has none."""

    @property
    def generation(self) -> int:
        """Of the data key that is used for what is sealed now."""
        ...

    def seal(self, plain: Buffer, context: bytes) -> bytes:
        """Encrypt under a fresh nonce. `context` says what this is and where it belongs (table, column, row; store and
        version are added); it is needed again to open it and is not in the result, which names its own version and the
        generation of its key."""
        ...

    def unseal(self, sealed: Buffer, context: bytes) -> bytes:
        """Raises Damaged for what was not sealed with a key of this store for this context: plain bytes, bytes of another
        row, truncated or changed bytes."""
        ...

    def digest(self, purpose: str, data: Buffer) -> bytes:
        """32 bytes: a keyed hash, to look something up by what may not be read. Not changed by rotation."""
        ...


class Locksmith(Protocol):
    """Makes the keys of a new store and opens those of an old one. What opens them is its own business."""

    def create(self, store: str, now: float) -> Sequence[WrappedKey]:
        """For a new store of this id; none if it is to be a plain one. Raises KeyMissing if it is not to be, and there is
        nothing to make keys with."""
        ...

    def open(self, store: str, rows: Sequence[WrappedKey]) -> DataKeys | None:
        """None for a plain store: one without rows. Raises KeyMissing, KeyWrong; NotEncrypted if it should not be plain;
        Damaged."""
        ...
