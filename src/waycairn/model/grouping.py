"""Items put together up to a size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar


class _Sized(Protocol):
    @property
    def size(self) -> int: ...


T = TypeVar("T", bound=_Sized)


def groups_of(items: Iterable[T], most: int) -> Iterator[list[T]]:
    """Groups of at most `most` in all, or of one item that is larger, in order; at least one group, be it empty."""
    group: list[T] = []
    size = 0
    for item in items:
        if group and size + item.size > most:
            yield group
            group, size = [], 0
        group.append(item)
        size += item.size
    yield group
