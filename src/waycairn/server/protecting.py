"""What holds for every request and every answer, whatever the route: under which names we are asked, how much may be sent, and
what browsers may do with what they get. Plain ASGI, so that streams pass through as they are."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Collection
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["BODY_LIMIT", "Protecting", "page_policy"]

BODY_LIMIT = 1 << 20
"""Bytes of a request: the longest are lists of ids."""
_NOTHING = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_HEADERS = {
    "Content-Security-Policy": _NOTHING,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cache-Control": "no-store",
}
"""Unless an answer says something else of it, as those of the page do."""
_SECURE = {"Strict-Transport-Security": "max-age=31536000"}


def page_policy() -> str:
    """The page is made of what this server has, and of nothing else; nothing of it stands inline."""
    own = "; ".join(
        f"{kind}-src 'self'" for kind in ("script", "style", "img", "connect", "font", "manifest", "worker")
    )
    return f"default-src 'none'; {own}; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"


class Protecting:
    """Around the whole app: also what answers for errors is inside."""

    def __init__(self, app: ASGIApp, *, hosts: Collection[str], secure: bool) -> None:
        self._app = app
        self._hosts = {host.lower().rstrip(".") for host in hosts}
        self._headers = {**_HEADERS, **(_SECURE if secure else {})}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                found = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    found.setdefault(name, value)
            await send(message)

        host = headers.get("host", "")
        if not self._is_ours(host):
            said = f"This server is not called {host!r}. If it is meant to be: waycairn serve --allow-host NAME."
            await _refuse(sent, 421, "misdirected request", said)
        elif _length(headers) > BODY_LIMIT:
            await _refuse(sent, 413, "content too large", _TOO_LARGE)
        else:
            await self._app(scope, _counted(receive), sent)

    def _is_ours(self, host: str) -> bool:
        """Another site can give its own name our address, and its pages would be ours for the browser. It cannot do that with
        an address, nor with the names of loopback."""
        name = _without_port(host).lower().rstrip(".")
        if name in self._hosts or name == "localhost" or name.endswith(".localhost"):
            return True
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return True


_TOO_LARGE = f"A request has at most {BODY_LIMIT} bytes. Nothing was done."


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def _length(headers: Headers) -> int:
    said = headers.get("content-length", "")
    return int(said) if said.isascii() and said.isdigit() else 0


def _counted(receive: Receive) -> Receive:
    """What comes in pieces has no length that it could be refused by."""
    total = 0

    async def received() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > BODY_LIMIT:
            raise HTTPException(413, _TOO_LARGE)
        return message

    return received


async def _refuse(send: Send, status: int, title: str, detail: str) -> None:
    document: dict[str, Any] = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    body = json.dumps(document).encode()
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, (b"connection", b"close")]})
    await send({"type": "http.response.body", "body": body})
