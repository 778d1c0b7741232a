"""Sealing: encryption that also proves what the bytes are and where they belong."""

from __future__ import annotations

from typing import Protocol

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
