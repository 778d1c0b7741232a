"""Marks: the extension values that stand first in an array and say what the rest of it is."""

from __future__ import annotations

from msgspec.msgpack import Ext


class Mark:
    """A mark as decoded. Unhashable, so that it cannot become the key of a dict."""

    __hash__ = None  # type: ignore[assignment]  # the documented way to say so
    __slots__ = ("code", "data")

    def __init__(self, code: int, data: bytes = b"") -> None:
        self.code = code
        self.data = data


def mark(code: int) -> Ext:
    """A mark without data, made once per module and used by every array of that kind."""
    return Ext(code, b"")
