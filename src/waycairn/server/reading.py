"""Bodies of requests, as JSON that everything behind can hold. What cannot be is told as what is wrong with the request, in this
one place: a model of a field sees a text only after a driver would have stumbled over it."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

__all__ = ["ReadingRoute", "is_text"]


class ReadingRoute(APIRoute):
    """Hands its handler a request that reads like that."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def read_and_handle(request: Request) -> Response:
            return await handle(_Reading(request.scope, request.receive))

        return read_and_handle


class _Reading(Request):
    async def json(self) -> Any:
        """Raises JSONDecodeError, which the framework answers with 422; of anything else it would know nothing to say."""
        body = await self.body()
        try:
            found = json.loads(body)
        except json.JSONDecodeError:
            raise
        except UnicodeDecodeError as error:
            raise json.JSONDecodeError("it is not UTF-8", "", error.start) from None
        except (ValueError, RecursionError):
            raise json.JSONDecodeError("a number in it is too long, or it is nested too deep", "", 0) from None
        if not all(map(is_text, _texts(found))):
            raise json.JSONDecodeError("a text in it has half a character of UTF-16, or the character NUL", "", 0)
        return found


def is_text(text: str) -> bool:
    """JSON can hold half of a pair of UTF-16, which no encoding can; and PostgreSQL keeps no text with NUL."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def _texts(value: Any) -> Iterator[str]:
    """All that are in it, keys too. By a list of what is left to look at: it is as deep as the sender likes."""
    left = [value]
    while left:
        match left.pop():
            case str(text):
                yield text
            case list(values):
                left.extend(values)
            case dict(pairs):
                left.extend(pairs)
                left.extend(pairs.values())
