"""The page, as the build left it: files beside this module, and the same document for every address that is one of its views.

What can be asked for is what lay there at the start: a dictionary by address. No address is ever made into a path.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import FastAPI, Request, Response
from starlette.types import Receive, Scope, Send

from waycairn.server.problems import Problem
from waycairn.server.protecting import page_policy

__all__ = ["STATIC", "Page", "serve_page"]

STATIC = Path(__file__).parent / "static"
_FOREVER = "public, max-age=31536000, immutable"
"""For what has the hash of its content in its name."""
_ASK = "no-cache"
"""Kept, and asked for whether it still is the same."""
_MEDIA = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""Said here: what a system thinks of `.js` is not always what a browser takes."""

_NOT_BUILT = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>waycairn: the page is not built</title></head>
<body>
<h1>The page is not built</h1>
<p>This waycairn runs from a checkout, where nobody has built the page yet. The API works: it is described at
<a href="/api/v1/openapi.json">/api/v1/openapi.json</a>.</p>
<p>To build the page (with Node 20.19 or newer, or without any: then the one from PyPI is used):</p>
<pre>make dashboard</pre>
<p>and start <code>waycairn serve</code> again. A waycairn installed from a wheel contains the page.</p>
</body>
</html>
"""


@dataclass(slots=True)
class File:
    """One that is served from memory: all of them together are about 2 MB."""

    content: bytes
    media: str
    caching: str
    etag: str = field(init=False)
    _small: bytes | None = None

    def __post_init__(self) -> None:
        self.etag = f'"{hashlib.sha256(self.content).hexdigest()[:32]}"'

    @property
    def is_compressed(self) -> bool:
        return self._small is not None

    def compressed(self) -> bytes:
        """At the first time: a server whose page nobody opens has no use for it."""
        if self._small is None:
            self._small = gzip.compress(self.content, 6, mtime=0)
        return self._small


class Page:
    def __init__(self, folder: Path = STATIC) -> None:
        self.files: Mapping[str, File] = {
            f"/{path.relative_to(folder).as_posix()}": _read(path, path.parent.name == "assets")
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        self.index = self.files.get("/index.html") or File(_NOT_BUILT.encode(), _MEDIA[".html"], _ASK)

    def compress_first(self) -> None:
        """What a browser fetches first: the document, and what it names."""
        for address, file in self.files.items():
            if address.encode() in self.index.content:
                file.compressed()
        self.index.compressed()

    def answer(self, request: Request) -> Response:
        """A file if there is one of that address, else the document, which shows the view of that address."""
        found = self.files.get(request.url.path)
        if found is None and request.url.path.startswith("/assets/"):  # of another version: no view has such an address
            raise Problem(404, "no such file", "It is of another version of the page. Load the page anew.")
        file = found or self.index
        headers = {
            "ETag": file.etag,
            "Cache-Control": file.caching,
            "Vary": "Accept-Encoding",
            # Scripts too: the worker that hears the events lives by the policy of its own script.
            "Content-Security-Policy": page_policy(),
        }
        if request.headers.get("if-none-match") == file.etag:
            return Response(status_code=304, headers=headers)
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return Response(file.content, headers=headers, media_type=file.media)
        return Response(file.compressed(), headers={**headers, "Content-Encoding": "gzip"}, media_type=file.media)


def serve_page(app: FastAPI, page: Page) -> None:
    """It answers every address that is no route's. A route would answer too much: methods that a route of the API does not
    know (405) and addresses of the API that are none (404) are the framework's to tell."""
    otherwise = app.router.default

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in {"GET", "HEAD"} or _is_of_the_api(scope["path"]):
            await otherwise(scope, receive, send)
        else:
            await page.answer(Request(scope))(scope, receive, send)

    app.router.default = answer


def _is_of_the_api(path: str) -> bool:
    return path == "/api" or path.startswith("/api/")


def _read(path: Path, named_by_content: bool) -> File:
    media = _MEDIA.get(path.suffix, "application/octet-stream")
    return File(path.read_bytes(), media, _FOREVER if named_by_content else _ASK)
