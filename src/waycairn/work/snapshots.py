"""Where a state is copied to while the job goes on: memory that was touched before it is needed.

First touch of fresh memory costs 40 times a copy into warm memory (1 GiB: 4.4 s in small pages, 0.44 s in huge ones,
0.09 s warm), which is why a first save that allocates what it copies into stalls for seconds.
"""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from waycairn.model.encoded import Encoded

MIB = 1 << 20
_ALIGNMENT = 64
_PIECE = 32 * MIB
"""What one thread copies at a time."""
_SMALL = 64 * 1024
"""A call of a native function costs more than copying so much."""
_DONTFORK = getattr(mmap, "MADV_DONTFORK", None)
_HUGE = getattr(mmap, "MADV_HUGEPAGE", None)


class Memory:
    """A piece of anonymous memory, touched by a thread of its own as soon as it is made."""

    def __init__(self, size: int) -> None:
        self._map = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.size = size
        self.view = memoryview(self._map)
        self.address = _address(self._map)
        # Not in forked children (workers that load data): the first write after a fork would copy every page again.
        for advice in (_HUGE, _DONTFORK):
            with suppress(OSError):  # a kernel without huge pages
                if advice is not None:
                    self._map.madvise(advice)
        self._ready = threading.Thread(target=self._touch, name="waycairn-touch", daemon=True)
        self._ready.start()

    def _touch(self) -> None:
        import ctypes

        # memset, and not madvise: that one would hold the interpreter.
        for start in range(0, self.size, _PIECE):
            ctypes.memset(self.address + start, 0, min(_PIECE, self.size - start))

    def wait(self) -> None:
        """Until all of it is there."""
        self._ready.join()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A copy. `release` gives its memory back: not before what reads it has ended."""

    encoded: Encoded
    release: Callable[[], None]
    ready: Callable[[], None] = lambda: None
    """To be called, on any thread, before it is read: devices may still be copying. Raises what went wrong with that."""


class SnapshotPool:
    """Lends memory to copy states into. Thread-safe. Keeps what it has until `trim`; empty again in a forked child."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free: list[Memory] = []
        self._pid = os.getpid()

    def reserve(self, size: int) -> None:
        """Have memory for a state of so many bytes ready, or soon. Returns at once."""
        with self._lock:
            self._forget_parents()
            if size and not any(memory.size >= size for memory in self._free):
                self._free = [Memory(_rounded(size))]

    def copy(self, encoded: Encoded, is_ours: Callable[[memoryview], bool] = lambda _: False) -> Snapshot:
        """The state in memory of ours; the caller may change it as soon as this returns. Only the first copy of a state
        that grew waits for fresh memory. `is_ours` tells which buffers are left as they are."""
        buffers = [view for view in encoded.buffers if not is_ours(view)]
        places, size = _places(buffers)
        if not size:
            return Snapshot(encoded, lambda: None)
        memory = self._take(size)
        memory.wait()
        _copy_all(buffers, places, memory)
        copies = iter([memory.view[start : start + view.nbytes] for start, view in zip(places, buffers, strict=True)])
        views = [view if is_ours(view) else next(copies) for view in encoded.buffers]
        return Snapshot(replace(encoded, buffers=views), lambda: self._give_back(memory))

    def trim(self) -> None:
        """Nobody will copy soon: let the memory go."""
        with self._lock:
            self._free = []

    def _take(self, size: int) -> Memory:
        with self._lock:
            self._forget_parents()
            fitting = [memory for memory in self._free if memory.size >= size]
            if fitting:
                best = min(fitting, key=lambda memory: memory.size)
                self._free.remove(best)
                return best
            self._free = []  # too small: a state that grew does not shrink again
        return Memory(_rounded(size))

    def _give_back(self, memory: Memory) -> None:
        with self._lock:
            if self._pid == os.getpid():
                self._free.append(memory)

    def _forget_parents(self) -> None:
        if self._pid != os.getpid():
            self._free, self._pid = [], os.getpid()


def _rounded(size: int) -> int:
    """In huge pages; a little more than asked for, so that counters that grow by a digit need no new memory."""
    return -(-(size + size // 64) // (2 * MIB)) * 2 * MIB


def _places(buffers: Sequence[memoryview]) -> tuple[list[int], int]:
    """Where each buffer begins, and what all of them take."""
    places = []
    end = 0
    for view in buffers:
        places.append(end)
        end += -(-view.nbytes // _ALIGNMENT) * _ALIGNMENT
    return places, end


def _copy_all(buffers: Sequence[memoryview], places: Sequence[int], memory: Memory) -> None:
    """Large ones by two threads, which is half as fast again as one; copying releases the interpreter."""
    pieces: list[tuple[int, int, int]] = []
    for view, place in zip(buffers, places, strict=True):
        if view.nbytes < _SMALL or view.readonly:
            memory.view[place : place + view.nbytes] = view.cast("B") if view.nbytes else b""
            continue
        source = _address(view)
        pieces += [
            (place + start, source + start, min(_PIECE, view.nbytes - start)) for start in range(0, view.nbytes, _PIECE)
        ]
    if sum(length for _, __, length in pieces) < _PIECE:
        _copy(pieces, memory)
        return
    helper = threading.Thread(target=_copy, args=(pieces[1::2], memory), name="waycairn-copy")
    helper.start()
    _copy(pieces[::2], memory)
    helper.join()


def _address(memory: mmap.mmap | memoryview) -> int:
    import ctypes  # 3 ms, for those who save behind their job only

    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


def _copy(pieces: Sequence[tuple[int, int, int]], memory: Memory) -> None:
    import ctypes

    for place, source, length in pieces:
        ctypes.memmove(memory.address + place, source, length)
