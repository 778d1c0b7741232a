"""A real browser at a real server, for the tests of the page.

with opened(browser, server, "olga", store) as page:
    page.goto("/runs")
    ...
# behind the block: no error in its console, nothing that its policy forbade, no request to another host
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, Playwright, Request

from serving import Server, cookie_for
from waycairn.server.doorkeeper import COOKIE
from waycairn.work.store import Store

ROOT = Path(__file__).parent.parent
AXE = ROOT / "dashboard" / "node_modules" / "axe-core" / "axe.min.js"
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


class Missing(Exception):
    """What this machine lacks for a browser."""


def chromium() -> list[str]:
    """Its command, with what makes it leave the machine and other hosts alone. Raises Missing."""
    found = next(filter(None, map(shutil.which, _CHROMIUM)), None)
    if found is None:
        raise Missing("there is no chromium on this machine: apt-get install chromium")
    return [found, *_FLAGS]


def launch(playwright: Playwright) -> Browser:
    """Raises Missing."""
    path, *flags = chromium()
    return playwright.chromium.launch(executable_path=path, args=flags, chromium_sandbox=False)


@dataclass
class Watched:
    """What happened in a page that must not happen."""

    host: str
    bad: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.on("console", lambda said: self._note(said.text, said.type == "error"))
        page.on("pageerror", lambda error: self._note(f"uncaught: {error}", True))
        page.on("request", self._check)

    def _note(self, text: str, is_bad: bool) -> None:
        # A refusal that the page shows is told by chromium as an error of the network as well.
        if is_bad and "Failed to load resource" not in text:
            self.bad.append(text)

    def _check(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme in {"http", "https", "ws", "wss"} and address.netloc != self.host:
            self.bad.append(f"a request to another host: {request.url}")


@contextmanager
def opened(
    browser: Browser, server: Server, name: str | None, store: Store, *, size: Any = DESK, **context: Any
) -> Iterator[Page]:
    """A new browser profile in which that account is signed in, and a page in it."""
    # What fades in has the wrong contrast for a moment.
    with browser.new_context(base_url=server.url, viewport=size, reduced_motion="reduce", **context) as profile:
        if name is not None:
            name_of = f"{COOKIE}_{store.core.catalog.info.id[:8]}"
            cookie = {"name": name_of, "value": cookie_for(store, name), "url": server.url, "httpOnly": True}
            profile.add_cookies([{**cookie, "sameSite": "Strict"}])  # type: ignore[typeddict-item]
        watched = Watched(urlsplit(server.url).netloc)
        profile.on("page", watched.watch)
        page = profile.new_page()
        page.set_default_timeout(10_000)
        yield page
        assert not watched.bad, "\n".join(watched.bad)


@cache
def _axe() -> str:
    return AXE.read_text()


def violations(page: Page) -> Sequence[str]:
    """What axe finds on the page as it is now, with the place."""
    page.evaluate(_axe())
    found = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']}: {one['help']}: {json.dumps([node['target'] for node in one['nodes']][:3])}"
        for one in found["violations"]
    ]
