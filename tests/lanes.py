"""Devices that are threads: a lane is a thread with a queue, its copies are late for certain.

Tensors of the CPU stand for those of a device, and the thread of the test for the stream of the job there: it does what
it is asked for at once, and `hold_job` holds it.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

LIMIT = 30.0
"""Seconds after which a test that waits fails."""


class ThreadEvent:
    def __init__(self) -> None:
        self.is_set = threading.Event()
        self.error: Exception | None = None

    def synchronize(self) -> None:
        assert self.is_set.wait(LIMIT), "the lane does nothing"
        if self.error is not None:
            raise self.error


class ThreadLane:
    """Copies nothing while `gate` is closed, and each time `delay` seconds later than it could."""

    def __init__(self, delay: float = 0.0) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.delay = delay
        self.copies: list[int] = []
        """How many tensors each copy was of."""
        self.held = 0
        """How often the job was held."""
        self.failures: dict[int, Exception] = {}
        """What events say went wrong, by their number."""
        self.marks = 0
        self._queue: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while True:
            self._queue.get()()

    def begin(self) -> None:
        """The thread of the test has done all that it was asked for."""

    def copy(self, sources: Sequence[Any], target: Any) -> None:
        sources = list(sources)

        def act() -> None:
            assert self.gate.wait(LIMIT)
            time.sleep(self.delay)
            self.copies.append(len(sources))
            target.copy_(torch.cat(sources))

        self._queue.put(act)

    def mark(self) -> ThreadEvent:
        event = ThreadEvent()
        event.error = self.failures.get(self.marks)
        self.marks += 1
        self._queue.put(event.is_set.set)
        return event

    def hold_job(self, event: Any) -> None:
        self.held += 1
        event.synchronize()


class HostMemory:
    def __init__(self, size: int) -> None:
        content = bytearray(size)
        self.size = size
        self.view = memoryview(content)
        self.tensor: Any = torch.frombuffer(content, dtype=torch.uint8)


class ThreadDevices:
    """One device, on which all tensors lie."""

    def __init__(self, lane: ThreadLane | None = None) -> None:
        self.the_lane = lane or ThreadLane()
        self.made: list[int] = []
        """The sizes of what was allocated."""

    def has(self, tensor: Any) -> bool:
        return True

    def lane(self, device: Any) -> ThreadLane:
        return self.the_lane

    def memory(self, size: int) -> HostMemory:
        self.made.append(size)
        return HostMemory(size)
