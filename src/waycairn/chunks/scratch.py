"""Memory that is read into and decrypted from, used again: first touch of fresh memory costs more than decrypting it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from waycairn.chunks.memory import allocate

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
