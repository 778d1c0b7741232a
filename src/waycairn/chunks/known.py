"""Numbers: of chunks that the store has, and fresh ones for chunks that it has not."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from waycairn.model.ids import ChunkId
from waycairn.ports import ChunkRows


class KnownChunks:
    """Numbers of chunks used lately, so that what did not change since the last save needs no look-up.

    They hold under one sweep epoch only. Two generations: when the young one is full the old one is dropped and
    the young one takes its place, so what is used stays. Thread-safe.
    """

    def __init__(self, index: ChunkRows, size: int) -> None:
        self._index = index
        self._size = size
        self._lock = threading.Lock()
        self._epoch = -1
        self._young: dict[ChunkId, int] = {}
        self._old: dict[ChunkId, int] = {}

    def enter(self, *, ask: bool = True) -> int:
        """The sweep epoch: as of now if `ask`, else the last one seen. What was remembered under another is dropped."""
        if not ask and (epoch := self._epoch) >= 0:
            return epoch
        epoch = self._index.sweep_epoch()
        with self._lock:
            if epoch != self._epoch:
                self._clear(epoch)
        return epoch

    def find(self, ids: Sequence[ChunkId], epoch: int) -> dict[ChunkId, int]:
        """Numbers of those chunks that the store has, to be used only in a commit that names this epoch."""
        with self._lock:
            found = {chunk: self._young[chunk] for chunk in ids if chunk in self._young}
            again = {chunk: self._old[chunk] for chunk in ids if chunk in self._old and chunk not in found}
        unknown = [chunk for chunk in ids if chunk not in found and chunk not in again]
        if unknown:
            again.update(self._index.find_chunks(unknown))
        self.remember(again, epoch)
        return {**found, **again}

    def remember(self, numbers: Mapping[ChunkId, int], epoch: int) -> None:
        """Chunks that existed while the sweep epoch was this one."""
        with self._lock:
            if epoch != self._epoch:
                return
            self._young.update(numbers)
            if len(self._young) > self._size:
                self._old, self._young = self._young, {}

    def forget(self) -> None:
        with self._lock:
            self._clear(-1)

    def _clear(self, epoch: int) -> None:
        self._young, self._old, self._epoch = {}, {}, epoch


class FreshNumbers:
    """Hands out reserved numbers, consecutive as long as a range lasts. Thread-safe."""

    def __init__(self, index: ChunkRows, reserve: int) -> None:
        self._index = index
        self._reserve = reserve
        self._lock = threading.Lock()
        self._next = self._end = 0

    def take(self, count: int) -> list[int]:
        with self._lock:
            numbers = list(range(self._next, min(self._end, self._next + count)))
            self._next += len(numbers)
            missing = count - len(numbers)
            if missing:
                reserve = max(self._reserve, missing)
                first = self._index.reserve_numbers(reserve)
                numbers += range(first, first + missing)
                self._next, self._end = first + missing, first + reserve
            return numbers
