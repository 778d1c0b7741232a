"""Where outcomes arrive, from any thread, and the owner waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from time import sleep

from waycairn.model.tasks import Outcome

Post = tuple[Sequence[Outcome], float]


class Inbox:
    """Filled by any thread, emptied by the owner's, or by the event loop it was made for."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._posts: SimpleQueue[Post | None] = SimpleQueue()
        self._first: Post | None = None
        self.loop = loop
        self._event = asyncio.Event()

    def post(self, outcomes: Sequence[Outcome], seconds: float) -> None:
        """What became of tasks, and how long that took."""
        self._posts.put((outcomes, seconds))
        if self.loop is not None:
            self._wake(self.loop)

    def ring(self) -> None:
        """Wake the owner for another reason."""
        self._posts.put(None)
        if self.loop is not None:
            self._wake(self.loop)

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            is_here = asyncio.get_running_loop() is loop
        except RuntimeError:
            is_here = False
        if is_here:
            self._event.set()
        elif not loop.is_closed():
            loop.call_soon_threadsafe(self._event.set)

    def all(self) -> list[Post]:
        """Whatever is there; never waits."""
        posts = [] if self._first is None else [self._first]
        self._first = None
        get: Callable[[], Post | None] = self._posts.get_nowait
        try:
            while True:
                if (post := get()) is not None:
                    posts.append(post)
        except Empty:
            return posts

    def wait(self, seconds: float, linger: float = 0.0) -> None:
        """Until something is there, at most so long; and then `linger` seconds for what comes behind it."""
        if self._first is None:
            try:
                self._first = self._posts.get(timeout=seconds)
            except Empty:
                return
            if linger:
                sleep(linger)

    async def wait_async(self, seconds: float, linger: float = 0.0) -> None:
        """The same for tasks of the event loop."""
        self._event.clear()
        if not self._posts.empty():
            return
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return
        if linger:
            await asyncio.sleep(linger)
