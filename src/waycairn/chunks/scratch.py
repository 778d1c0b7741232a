"""Memory that is read into and decrypted from, used again: first touch of fresh memory costs more than decrypting it; and
blocks that were opened, for those who want another part of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from waycairn.chunks.memory import allocate
from waycairn.model.records import NewBlock

_KEEP = 4


class Scratch:
    """Lends memory of at least so many bytes, aligned to a page. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free: list[memoryview] = []

    @contextmanager
    def lend(self, size: int) -> Iterator[memoryview]:
        with self._lock:
            memory = self._free.pop() if self._free else None
        if memory is None or len(memory) < size:
            memory = allocate(size)
        yield memory[:size]
        # Not given back after an error: whoever raised may still hold a view of it.
        with self._lock:
            if len(self._free) < _KEEP:
                self._free.append(memory)


class OpenBlocks:
    """Blocks that were opened, as long as somebody needs another part of them, and up to so many bytes. Thread-safe."""

    def __init__(self, most: int, needed: Mapping[int, int]) -> None:
        """`needed`: how many chunks will be taken from a block, by its number."""
        self._most = most
        self._needed = dict(needed)
        self._lock = threading.Lock()
        self._blocks: dict[int, tuple[NewBlock, bytes]] = {}
        self._size = 0

    def find(self, block: NewBlock) -> bytes | None:
        """For one chunk: what is in its block, if it was kept and lies where it did."""
        with self._lock:
            found = self._blocks.get(block.number)
            if found is None or found[0] != block:
                return None
            self._take(block.number, 1)
            return found[1]

    def keep(self, block: NewBlock, raw: memoryview, taken: int) -> None:
        """So many chunks of it are taken now."""
        with self._lock:
            if not self._take(block.number, taken) or self._size + len(raw) > self._most:
                return
            self._drop(block.number)
            self._blocks[block.number] = block, bytes(raw)
            self._size += len(raw)

    def _take(self, number: int, count: int) -> int:
        """How many are still to come."""
        left = self._needed[number] = self._needed.get(number, 0) - count
        if left <= 0:
            self._drop(number)
        return max(left, 0)

    def _drop(self, number: int) -> None:
        if (found := self._blocks.pop(number, None)) is not None:
            self._size -= len(found[1])
