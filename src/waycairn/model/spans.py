"""A set of numbers as ranges: what a store refers to is mostly runs of consecutive chunks."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator


class Spans:
    """Numbers that never change once gathered. A state of 1 GiB that is saved again and again takes a few ranges."""

    __slots__ = ("_ends", "_firsts")

    def __init__(self, runs: Iterable[tuple[int, int]] = ()) -> None:
        """From (first number, how many) in any order, also overlapping."""
        self._firsts: list[int] = []
        self._ends: list[int] = []
        for first, count in sorted(runs):
            if self._ends and first <= self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], first + count)
            elif count > 0:
                self._firsts.append(first)
                self._ends.append(first + count)

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._firsts, number) - 1
        return at >= 0 and number < self._ends[at]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """(first number, how many), in order, with gaps between them."""
        return ((first, end - first) for first, end in zip(self._firsts, self._ends, strict=True))

    def numbers(self) -> list[int]:
        """All of them, in order."""
        return [number for first, count in self for number in range(first, first + count)]

    def __len__(self) -> int:
        """How many numbers."""
        return sum(self._ends) - sum(self._firsts)

    def __or__(self, other: Spans) -> Spans:
        return Spans([*self, *other])
