"""What the first visitor of a server would wait for otherwise, 0.3 s in all: routes are built by the framework at the first
request, statements compiled when they are first asked, files of the page compressed when they are first fetched."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool

from waycairn.errors import WaycairnError
from waycairn.model.run_pages import RunPage
from waycairn.server.page import Page
from waycairn.store import StoreCore
from waycairn.upkeep.run_pages import count_standings, list_page

__all__ = ["warm"]

_SCOPE: dict[str, Any] = {
    "type": "http",
    "asgi": {"version": "3.0"},
    "http_version": "1.1",
    "method": "GET",
    "scheme": "http",
    "path": "/",
    "raw_path": b"/",
    "root_path": "",
    "query_string": b"",
    "headers": [(b"host", b"127.0.0.1")],
    "client": None,
    "server": ("127.0.0.1", 80),
}


async def warm(app: FastAPI, core: StoreCore, page: Page) -> None:
    """Beside the first requests, if they are there already. What goes wrong is told to who asks for it."""
    await app(dict(_SCOPE), _nothing, _nowhere)
    await run_in_threadpool(page.compress_first)
    with suppress(WaycairnError):
        await run_in_threadpool(_read, core)


def _read(core: StoreCore) -> None:
    list_page(core, [], RunPage(limit=1))
    count_standings(core)


async def _nothing() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _nowhere(_: Any) -> None:
    pass
