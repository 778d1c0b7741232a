"""What happens, told to all who watch: one look at the catalog and one text for everybody, as server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

__all__ = ["Hub"]

_WAITING = 64
"""Events that one who reads slowly may be behind; then it begins anew with `hello`."""


MayHear = Callable[[str], bool]
"""Whether one who listens is told of what belongs to that account."""


class Hub:
    """`publish` may be called by any thread."""

    def __init__(self) -> None:
        self._queues: dict[asyncio.Queue[bytes | None], MayHear] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def begin(self) -> None:
        """In the event loop that serves."""
        self._loop = asyncio.get_running_loop()

    def end(self) -> None:
        """Everybody who listens is let go."""
        for queue in self._queues:
            _put(queue, None)

    @property
    def has_listeners(self) -> bool:
        return bool(self._queues)

    def publish(self, event: str, data: Mapping[str, Any], owner: str | None = None) -> None:
        """With an `owner` only to those who may hear of what is that account's."""
        if self._loop is None or self._loop.is_closed() or not self._queues:
            return
        text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
        self._loop.call_soon_threadsafe(self._tell, f"event: {event}\ndata: {text}\n\n".encode(), owner)

    def _tell(self, message: bytes, owner: str | None) -> None:
        for queue, may_hear in self._queues.items():
            if owner is None or may_hear(owner):
                _put(queue, message)

    async def listen(self, pause: float = 15.0, may_hear: MayHear = lambda _: False) -> AsyncIterator[bytes]:
        """The events from now on; a comment each `pause` seconds, so that a dead connection is noticed."""
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(_WAITING)
        self._queues[queue] = may_hear
        try:
            yield b"event: hello\ndata: {}\n\n"
            while True:
                try:
                    message = await asyncio.wait_for(queue.get(), pause)
                except TimeoutError:
                    message = b": still here\n\n"
                if message is None:
                    return
                yield message
        finally:
            self._queues.pop(queue, None)


def _put(queue: asyncio.Queue[bytes | None], message: bytes | None) -> None:
    """One who is too far behind is let go: it connects again, and reads what there is."""
    if queue.full():
        while not queue.empty():
            queue.get_nowait()
        message = None
    queue.put_nowait(message)
