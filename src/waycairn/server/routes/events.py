"""What happens, as it happens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from waycairn.model.accounts import Role
from waycairn.server.access import Access, Caller, Routes, caller_of
from waycairn.server.serving import serving_of

routes = Routes("/events", "events")

_PAUSE = 15.0
"""Seconds between two comments, and between two looks whether who listens is let in still."""


@routes.get(
    "",
    Access(Role.VIEWER),
    response_class=StreamingResponse,
    responses={
        200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "Server-sent events."}
    },
)
async def listen(request: Request, caller: Annotated[Caller, Depends(caller_of)]) -> StreamingResponse:
    """Server-sent events from now on: `hello` at the beginning (read what there is then), `runs` (rows that changed), `gone`
    (ids of runs that were deleted), `job` (one's own, of admins all), `backups`, `health`. Whoever reads too slowly is let go,
    and connects again; so is who was signed out, which is noticed within half a minute."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(heard(request, caller, _PAUSE), media_type="text/event-stream", headers=headers)


async def heard(request: Request, caller: Caller, pause: float) -> AsyncIterator[bytes]:
    """What this one may hear, for as long as it is let in."""
    serving = serving_of(request)
    looked = serving.store.core.clock.monotonic()
    async for message in serving.hub.listen(pause, caller.may_touch):
        now = serving.store.core.clock.monotonic()
        if now - looked >= pause:
            looked = now
            if await run_in_threadpool(serving.doorkeeper.recognise, request) is None:
                return
        yield message
