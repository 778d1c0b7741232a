"""Something large, sent by the piece: as much of it is in memory as one piece takes, and what cannot be read ends the connection
where a client sees that it is short."""

from __future__ import annotations

import contextvars
import logging
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import quote

import anyio
from fastapi import Response
from fastapi.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from waycairn.errors import WaycairnError
from waycairn.server.ranges import Span

__all__ = ["Download", "attachment", "downloaded"]

log = logging.getLogger("waycairn.server")

_AT_ONCE = 1 << 18
"""Bytes that are handed to the connection together: who reads slowly holds no more than the piece they are cut from."""

_HEADERS = {
    "Accept-Ranges": {"description": "bytes", "schema": {"type": "string"}},
    "ETag": {"description": "For If-Range.", "schema": {"type": "string"}},
}


def downloaded(media: str) -> dict[int | str, dict[str, Any]]:
    """For the OpenAPI document."""
    content = {media: {"schema": {"type": "string", "format": "binary"}}}
    part = {**_HEADERS, "Content-Range": {"schema": {"type": "string"}}}
    return {
        200: {"description": "All of it.", "headers": _HEADERS, "content": content},
        206: {"description": "The range that was asked for.", "headers": part, "content": content},
    }


def attachment(name: str) -> str:
    """The header Content-Disposition: a file to be saved, never shown, under that name (RFC 6266)."""
    plain = (
        "".join(char if char.isascii() and (char.isalnum() or char in "._-") else "_" for char in name) or "download"
    )
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name.encode('utf-8', 'replace'), safe='')}"


class Download(Response):
    """`pieces` is closed whatever happens, in the context of who made this; it says by itself what was sent."""

    def __init__(
        self,
        pieces: Callable[[], Iterator[bytes]],
        span: Span,
        headers: Mapping[str, str],
        media: str,
        patience: float = 300.0,
    ) -> None:
        """Reads the first piece, in the thread of the caller: what cannot be read at all is a problem, and no answer that
        breaks off. Raises what `pieces` raises. Who has not taken 256 KiB within `patience` seconds is let go."""
        told = {**headers, "Content-Length": str(span.length)}
        if span.is_part:
            told["Content-Range"] = span.content_range
        super().__init__(status_code=206 if span.is_part else 200, headers=told, media_type=media)
        self._patience = patience
        self._context = contextvars.copy_context()
        self._pieces = self._context.run(pieces)
        self._first = self._next()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the contract
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            async with anyio.create_task_group() as group:
                group.start_soon(self._watch, receive, group.cancel_scope)
                await self._send_all(send)
                group.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await run_in_threadpool(self._close)

    async def _send_all(self, send: Send) -> None:
        piece = self._first
        while piece is not None:
            for at in range(0, len(piece), _AT_ONCE):
                body = piece[at : at + _AT_ONCE]
                with anyio.move_on_after(self._patience) as waiting:
                    await send({"type": "http.response.body", "body": body, "more_body": True})
                if waiting.cancelled_caught:
                    return
            try:
                piece = await run_in_threadpool(self._next)
            except (WaycairnError, OSError):
                log.exception("a download was ended, as the rest cannot be sent as it was")
                return  # without its end: a client sees that bytes are missing
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    @staticmethod
    async def _watch(receive: Receive, scope: anyio.CancelScope) -> None:
        """Who reads nothing any more is sent nothing any more."""
        while (await receive())["type"] != "http.disconnect":
            pass
        scope.cancel()

    def _next(self) -> bytes | None:
        piece: bytes | None = self._context.run(partial(next, self._pieces, None))
        return piece

    def _close(self) -> None:
        close = getattr(self._pieces, "close", None)
        if close is not None:
            self._context.run(close)
