"""A server process: the app behind a socket, until a signal ends it."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn

from waycairn.server.app import create_app
from waycairn.server.serving import Options, Serving
from waycairn.work.store import Store

__all__ = ["run"]

log = logging.getLogger("waycairn.server")

_PATIENCE = 5
"""Seconds that answers which are on their way get at the end."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run(store: Store, options: Options, where: socket.socket, told: Callable[[Serving], None]) -> None:
    """Serve until SIGINT or SIGTERM; `told` is called when the app is there and connections are taken."""
    app = create_app(store, options)
    serving: Serving = app.state.serving
    config = uvicorn.Config(
        app,
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,  # where a request comes from is no header's to say, see `limiting.address_of`
        timeout_graceful_shutdown=_PATIENCE,
    )
    _Server(config, serving, told).run(sockets=[where])
    if serving.jobs.close(0):
        return
    log.warning("a job was not finished: what it did is safe, and it can be done again")
    store.stop_upkeep()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # a thread that works cannot be ended otherwise, and whatever works here may be killed at any instant


class _Server(uvicorn.Server):
    """Ends in some seconds although browsers listen to events, whose answers have no end; and says by its exit code that it
    was asked to."""

    def __init__(self, config: uvicorn.Config, serving: Serving, told: Callable[[Serving], None]) -> None:
        super().__init__(config)
        self._serving, self._told = serving, told

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._told(self._serving)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._serving.hub.end()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The base class raises them again at the end: then a server that was asked to stop would be one that was killed."""

        def end(number: int, frame: FrameType | None) -> None:
            self.handle_exit(number, frame)

        before = {number: signal.signal(number, end) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
