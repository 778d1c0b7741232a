"""An error as facts that can be stored."""

from __future__ import annotations

import traceback
from typing import Any

_MOST_TRACEBACK = 20_000


def describe(error: BaseException, item: str | None) -> dict[str, Any]:
    """Type, message, place and traceback of an error, as JSON."""
    frames = traceback.extract_tb(error.__traceback__)
    text = "".join(traceback.format_exception(error))
    return {
        "type": type(error).__qualname__,
        "message": _clean(str(error)),
        "item": item,
        "where": _clean(f"{frames[-1].filename}:{frames[-1].lineno} in {frames[-1].name}") if frames else None,
        "traceback": _clean(text[-_MOST_TRACEBACK:]),
    }


def _clean(text: str) -> str:
    """Text that every database takes: no NUL, no lone surrogate."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
