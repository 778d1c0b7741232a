"""Lists by the page: an opaque cursor says where the next one begins, so that nothing is shown twice or left out while rows
come and go."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Annotated, Any, TypeVar

from fastapi import Query

from waycairn.server.problems import Problem
from waycairn.server.reading import is_text

__all__ = ["Cursor", "Limit", "cursor_of", "paged", "position_of"]

Cursor = Annotated[str | None, Query(max_length=1000, description="`next` of the page before.", examples=[None])]
Limit = Annotated[int, Query(ge=1, le=500, description="At most so many.")]
T = TypeVar("T")


def paged(found: Iterable[T], limit: int, cursor: Callable[[T], str]) -> tuple[list[T], str | None]:
    """So many of them, and where the next page begins: at the cursor of the last one, if more would come."""
    page = list(islice(found, limit + 1))
    return page[:limit], cursor(page[limit - 1]) if len(page) > limit else None


def cursor_of(*position: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


def position_of(cursor: str, *kinds: type | tuple[type, ...]) -> list[Any]:
    """Raises Problem unless it is a cursor of these kinds of values."""
    try:
        position = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, RecursionError):
        position = None
    fits = isinstance(position, list) and len(position) == len(kinds)
    if not fits or not all(_fits(value, kind) for value, kind in zip(position, kinds, strict=True)):
        raise Problem(422, "invalid request", "query.cursor: this is no cursor of this list. Begin without one.")
    return list(position)


def _fits(value: Any, kind: type | tuple[type, ...]) -> bool:
    """No database holds a larger number, nor what is no number (NaN is smaller than none), nor what is no text."""
    if not isinstance(value, kind):
        return False
    if isinstance(value, int | float):
        return -(1 << 62) < value < 1 << 62
    return not isinstance(value, str) or is_text(value)
