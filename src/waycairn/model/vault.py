"""What an encrypted store can do with its keys. Said here, below everything, because `StoreInfo` carries one: what can
read the store's bytes at all goes where its secret goes."""

from __future__ import annotations

from typing import Protocol

from waycairn.model.keys import DataKeys

Bytes = bytes | bytearray | memoryview
TAG_SIZE = 16
"""Bytes that what is sealed into place is longer than it was."""


class PackKey(Protocol):
    """The key of one pack. Thread-safe; both methods let others run Python code meanwhile."""

    @property
    def generation(self) -> int:
        """Of the data key that it follows from."""
        ...

    def seal_into(self, plain: Bytes, place: int, context: bytes, target: memoryview) -> None:
        """Encrypt to `target`, which has TAG_SIZE bytes more. `place` tells it from everything else in the pack: a
        place is used once, ever."""
        ...

    def unseal_into(self, sealed: Bytes, place: int, context: bytes, target: memoryview) -> None:
        """Decrypt to `target`, which has TAG_SIZE bytes less. Raises Damaged for what was not sealed with this key, for
        this place and this context; what `target` then holds means nothing."""
        ...


class Vault(Protocol):
    """The keys of one encrypted store at work. Thread-safe. A plain store has none."""

    @property
    def generation(self) -> int:
        """Of the data key that is used for what is sealed now."""
        ...

    def seal(self, plain: Bytes, context: bytes) -> bytes:
        """Encrypt under a fresh nonce. `context` says what this is and where it belongs (table, column, row; store and
        version are added); it is needed again to open it and is not in the result, which names its own version and the
        generation of its key."""
        ...

    def unseal(self, sealed: Bytes, context: bytes) -> bytes:
        """Raises Damaged for what was not sealed with a key of this store for this context: plain bytes, bytes of another
        row, truncated or changed bytes."""
        ...

    def match(self, plain: Bytes, context: bytes) -> bytes:
        """Encrypt so that the same gives the same (for the same context), to be looked up by what may not be read.
        Not changed by rotation."""
        ...

    def unmatch(self, matched: Bytes, context: bytes) -> bytes:
        """Raises Damaged as `unseal` does."""
        ...

    def digest(self, purpose: str, data: Bytes) -> bytes:
        """32 bytes: a keyed hash, to look something up by what may not be read. Not changed by rotation."""
        ...

    def pack_key(self, pack: str, generation: int | None = None) -> PackKey:
        """The key of a pack of that id: of a new one (the present generation), or of one that was written with this
        generation. Raises Damaged if the store has none of that generation."""
        ...

    def renew(self, keys: DataKeys) -> None:
        """The keys as they are now: a rotation by another process adds one, and drops one when nothing needs it any more.
        What is sealed from here on is sealed with the newest."""
        ...
