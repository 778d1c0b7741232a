"""Which bytes of something are asked for (RFC 9110, section 14): one range; of several all of it is given, as that allows."""

from __future__ import annotations

import re
from dataclasses import dataclass

from waycairn.server.problems import Problem

__all__ = ["Span", "asked_span"]

_ONE = re.compile(r"bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Span:
    """From the first byte to before the last one."""

    start: int
    stop: int
    size: int
    """Of all of it."""
    is_part: bool
    """It was asked for by a range, so the answer is 206."""

    @property
    def length(self) -> int:
        return self.stop - self.start

    @property
    def content_range(self) -> str:
        return f"bytes {self.start}-{self.stop - 1}/{self.size}"


def asked_span(size: int, tag: str, asked: str | None, if_range: str | None) -> Span:
    """`asked` and `if_range` are the headers. Raises Problem (416) for a range in which nothing lies. A range that makes no sense
    counts for nothing, and so does one of something that is another one by now."""
    whole = Span(0, size, size, is_part=False)
    found = None if asked is None else _ONE.fullmatch(asked.strip())
    if found is None or found[1] == found[2] == "" or (if_range is not None and if_range.strip() != f'"{tag}"'):
        return whole
    if found[1] == "":
        start, stop = max(0, size - int(found[2])), size
    else:
        start = int(found[1])
        stop = size if found[2] == "" else min(size, int(found[2]) + 1)
        if found[2] != "" and int(found[2]) < start:
            return whole
    if start >= stop:
        raise Problem(
            416,
            "no such range",
            f"nothing lies at {asked}: there are {size} bytes. Nothing was sent.",
            {"Content-Range": f"bytes */{size}", "Accept-Ranges": "bytes"},
        )
    return Span(start, stop, size, is_part=True)
