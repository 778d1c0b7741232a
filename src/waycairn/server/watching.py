"""What is looked at while somebody listens, because others change it, too."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod

from fastapi.concurrency import run_in_threadpool

from waycairn.server.hub import Hub

__all__ = ["Watch"]

log = logging.getLogger("waycairn.server")


class Watch(ABC):
    """One task of the event loop. Each look is in a thread; one at a time."""

    what: str
    """For the log."""
    pause: float
    """Seconds between two looks."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(self.pause)
            if not self._hub.has_listeners:
                self.forget()
                continue
            try:
                await run_in_threadpool(self.look)
            except Exception:
                log.exception("%s could not be looked at; it is tried again", self.what)

    @abstractmethod
    def look(self) -> None:
        """Tell those who listen what is new."""

    @abstractmethod
    def forget(self) -> None:
        """What was told, as nobody listens any more."""
