"""Where pack files lie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from waycairn.model.ids import PackId
from waycairn.ports.world import Buffer


@dataclass(frozen=True, slots=True)
class BlobCapabilities:
    alignment: int
    """Offsets and lengths of appended extents should be multiples of this (4096 for O_DIRECT; 1 if it is no matter)."""
    local_path: bool
    """Packs are files of this host and may be memory-mapped."""


@dataclass(frozen=True, slots=True)
class BlobInfo:
    name: PackId
    size: int
    modified: float


class Filling(Protocol):
    """Bytes that are made where they are written, so that making them (encryption) is the copy. At most 1 MiB."""

    def __len__(self) -> int: ...

    def fill(self, target: memoryview) -> None:
        """Write all of them to `target`, which has their length. Called by any thread, and once."""
        ...


Part = Buffer | Filling
"""What is written one behind the other."""


class BlobWriter(Protocol):
    """One pack being written. Nothing is visible under its name before `finish` returned.

    Not thread-safe towards the caller; it may use threads of its own.
    """

    def append(self, parts: Sequence[Part]) -> int:
        """Add the parts one behind the other, padded to the alignment; returns the offset of the first byte.

        The writer keeps no reference to the buffers after `finish` or `abort`; until then the caller must not
        change them.
        """
        ...

    def finish(self) -> int:
        """Make the pack durable under its name and return its size: the end of the last part, without padding.
        Raises StoreFull, StoreReadOnly, WriteFailed; after an error the pack does not exist (once `abort` was called)
        and the caller still has the data."""
        ...

    def abort(self) -> None:
        """Remove what was written. Safe to call at any time, twice, and after finish (then it does nothing)."""
        ...


class Blobs(Protocol):
    """Where pack files lie. A pack is written once, whole, under a random name, and never changed.

    Thread-safe. Every method raises StoreUnreachable when the place does not answer.
    """

    @property
    def capabilities(self) -> BlobCapabilities: ...

    def create(self, name: PackId, size_hint: int) -> BlobWriter:
        """Begin a pack of about `size_hint` bytes (preallocated where possible)."""
        ...

    def read_into(self, name: PackId, offset: int, target: memoryview) -> None:
        """Fill `target` from the pack. Raises Damaged if the pack is missing or too short."""
        ...

    def head(self, name: PackId) -> BlobInfo | None: ...

    def list(self) -> Iterator[BlobInfo]:
        """All packs, any order. May be incomplete on a remote place: never derive a deletion from it alone."""
        ...

    def delete(self, name: PackId) -> None:
        """Idempotent: a missing pack is not an error."""
        ...

    def now(self) -> float:
        """By the clock that `modified` goes by, in seconds since 1970: that of the place, not of this process."""
        ...

    def delete_unfinished(self, before: float, *, dry_run: bool = False) -> int:
        """Remove what writers that died left behind, if it was not touched since `before` (seconds since 1970);
        how many. With `dry_run` only count them. What `list` shows is never touched, nor, where that can be told, what a living writer is at."""
        ...
