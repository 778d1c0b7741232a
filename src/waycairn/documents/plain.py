"""What JSON cannot carry, made such that it can."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def sendable(value: Any) -> Any:
    """JSON values without what other programs refuse: half a character (a lone surrogate, in names of files and errors) is
    written out as `\\\\udcff`, and a number that is none (NaN, infinite) is null."""
    if isinstance(value, str):
        return text_of(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {text_of(str(name)): sendable(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [sendable(one) for one in value]
    return value


def text_of(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")
