"""Work that rides in the next transaction of a thread: what it adds is there with that transaction, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from waycairn.catalog.database import Session

T = TypeVar("T")
Work = Callable[[Session], T]


class Rider:
    """Taken along once."""

    def __init__(self, join: Callable[[Session, Any], bool]) -> None:
        self._join = join
        self.is_there = False

    def carried(self, write: Callable[[Work[T]], T], work: Work[T]) -> T:
        has_joined = False

        def both(session: Session) -> T:
            nonlocal has_joined
            result = work(session)
            has_joined = self._join(session, result)
            return result

        result = write(both)
        self.is_there = has_joined
        return result


_rider: ContextVar[Rider | None] = ContextVar("waycairn_rider", default=None)


def write_with_rider(write: Callable[[Work[T]], T], work: Work[T]) -> T:
    """Write, and take along who waits on this thread."""
    rider = _rider.get()
    if rider is None or rider.is_there:
        return write(work)
    return rider.carried(write, work)


@contextmanager
def riding(join: Callable[[Session, Any], bool]) -> Iterator[Rider]:
    """`join` is called in the transactions of this thread, with what their own work gave, until it says that it did
    something."""
    rider = Rider(join)
    token = _rider.set(rider)
    try:
        yield rider
    finally:
        _rider.reset(token)
