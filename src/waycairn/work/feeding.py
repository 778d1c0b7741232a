"""The input of a map: what of it is to be computed, without waiting longer than it must."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, Callable, Iterator
from itertools import islice
from typing import Any

from waycairn.codec.keys import Key
from waycairn.work.queueing import Queue

Fed = tuple[Key, Any, bool]
"""Key, value, and whether it failed in an earlier entry."""
_WAITING = 256
"""Items of an asynchronous input that are read ahead."""


class Feed:
    """A plain input, read by the owner's thread. An error of the input ends it: what was handed out before is
    finished, then `error` is to be raised."""

    is_waiting = False
    """It has nothing now, and says so when it has."""

    def __init__(self, items: Iterator[Fed], now: Callable[[], float]) -> None:
        self.is_exhausted = False
        self.is_slow = False
        """The last reading took long; there may be something better to do than to go on."""
        self.error: Exception | None = None
        self._items = items
        self._now = now

    def take(self, most: int, slow: float) -> Iterator[Fed]:
        """The next ones; fewer if that takes longer than `slow` seconds."""
        started = self._now()
        self.is_slow = False
        for _ in range(most):
            try:
                fed = next(self._items)
            except StopIteration:
                self.is_exhausted = True
                return
            except Exception as error:  # noqa: BLE001 - raised when what was handed out is finished
                self.error, self.is_exhausted = error, True
                return
            yield fed
            if self._now() - started > slow:
                self.is_slow = True
                return

    def close(self) -> None:
        """Nothing to end."""


class QueueFeed:
    """A queue: exhausted while it is empty, until what is on its way adds to it."""

    is_slow = False
    is_waiting = False

    def __init__(self, queue: Queue[Any], admitted: Callable[[], Iterator[Fed]]) -> None:
        """`admitted` reads the queue from where it is."""
        self.error: Exception | None = None
        self._queue = queue
        self._admitted = admitted
        self._items = admitted()

    @property
    def is_exhausted(self) -> bool:
        return self.error is not None or self._queue.is_empty

    def take(self, most: int, slow: float) -> Iterator[Fed]:  # noqa: ARG002 - what it holds is there
        """What is there."""
        try:
            for fed in islice(self._items, most):
                yield fed
                most -= 1
        except Exception as error:  # noqa: BLE001 - raised when what was handed out is finished
            self.error = error
        if most:
            self._items = self._admitted()

    def close(self) -> None:
        """Nothing to end."""


class AsyncFeed:
    """An asynchronous input, read by a task of the event loop while items run."""

    is_slow = False

    def __init__(self, items: AsyncIterable[Any], admit: Callable[[Any], Fed | None], ring: Callable[[], None]) -> None:
        self.error: Exception | None = None
        self._items = items
        self._admit = admit
        self._ring = ring
        self._waiting: deque[Fed] = deque()
        self._has_room = asyncio.Event()
        self._is_read = False
        self._task = asyncio.ensure_future(self._pump())

    @property
    def is_exhausted(self) -> bool:
        return self._is_read and not self._waiting

    @property
    def is_waiting(self) -> bool:
        return not self._is_read and not self._waiting

    async def _pump(self) -> None:
        try:
            async for value in self._items:
                fed = self._admit(value)
                if fed is None:
                    continue
                self._waiting.append(fed)
                self._ring()
                while len(self._waiting) >= _WAITING:
                    self._has_room.clear()
                    await self._has_room.wait()
        except Exception as error:  # noqa: BLE001 - raised when what was handed out is finished
            self.error = error
        self._is_read = True
        self._ring()

    def take(self, most: int, slow: float) -> Iterator[Fed]:  # noqa: ARG002 - it never waits
        """What is there."""
        while most and self._waiting:
            yield self._waiting.popleft()
            most -= 1
        self._has_room.set()

    def close(self) -> None:
        self._task.cancel()
