"""Pinned memory, made before it is needed and used again: one generation takes one snapshot."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from waycairn.codec.lanes import Memory

ALIGNMENT = 64
_MORE = 64 << 20
"""What a state that outgrew what was reserved gets at least, so that not every tensor gets a piece of its own."""


class Piece:
    """A part of a slab."""

    __slots__ = ("_slab", "_start", "size")

    def __init__(self, slab: Memory, start: int, size: int) -> None:
        self._slab = slab
        self._start = start
        self.size = size

    def view(self, start: int, stop: int) -> memoryview:
        return self._slab.view[self._start + start : self._start + stop]

    def tensor(self, stop: int) -> Any:
        return self._slab.tensor[self._start : self._start + stop]


class Generation:
    """The slabs of one snapshot: as a rule one, and more while a state grows. One thread at a time."""

    def __init__(self, make: Callable[[int], Memory]) -> None:
        self._make = make
        self._slabs: list[Memory] = []
        self._used: list[int] = []
        self._making: threading.Thread | None = None
        self._error: BaseException | None = None

    def reserve(self, size: int) -> None:
        """One slab of that size, made by a thread of its own. Returns at once. Nothing of it may be lent."""
        self._making = threading.Thread(
            target=self._reserve, args=(size, self._making), name="waycairn-pin", daemon=True
        )
        self._making.start()

    def _reserve(self, size: int, before: threading.Thread | None) -> None:
        if before is not None:
            before.join()
        try:
            if len(self._slabs) != 1 or self._slabs[0].size < size:
                self.drop()  # first: there may be no room for both
                self._add(size)
            self._error = None
        except BaseException as error:  # noqa: BLE001 - raised by `wait`
            self._error = error

    def wait(self) -> None:
        """Until what was reserved is there. Raises why it is not."""
        if self._making is not None:
            self._making.join()
            self._making = None
        error, self._error = self._error, None
        if error is not None:
            raise error

    def take(self, size: int) -> Piece:
        """So many bytes, aligned; new memory only where no slab has room."""
        for number, slab in enumerate(self._slabs):
            start = self._used[number]
            if start + size <= slab.size:
                self._used[number] = start + _aligned(size)
                return Piece(slab, start, size)
        slab = self._add(max(size, _MORE))
        self._used[-1] = _aligned(size)
        return Piece(slab, 0, size)

    def _add(self, size: int) -> Memory:
        slab = self._make(size)
        self._slabs.append(slab)
        self._used.append(0)
        return slab

    def empty(self) -> None:
        """What was taken is no longer used."""
        self._used = [0] * len(self._slabs)

    def drop(self) -> None:
        self._slabs, self._used = [], []


class Generations:
    """So many of them, never one more: who finds all of them lent waits. Thread-safe."""

    def __init__(self, make: Callable[[int], Memory], count: int) -> None:
        self._free = [Generation(make) for _ in range(count)]
        self._changed = threading.Condition()

    def reserve(self, size: int) -> None:
        """Have as much ready, or soon, in those that are free. Returns at once."""
        with self._changed:
            for generation in self._free:
                generation.reserve(size)

    def borrow(self) -> Generation:
        with self._changed:
            self._changed.wait_for(lambda: bool(self._free))
            generation = self._free.pop(0)
        try:
            generation.wait()
        except BaseException:
            self.give_back(generation)
            raise
        return generation

    def give_back(self, generation: Generation) -> None:
        """First, so that the warmest is lent next."""
        generation.empty()
        with self._changed:
            self._free.insert(0, generation)
            self._changed.notify()

    def trim(self) -> None:
        """Let go of the memory of those that are free."""
        with self._changed:
            for generation in self._free:
                with suppress(Exception):  # what could not be reserved is not there
                    generation.wait()
                generation.drop()


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
