"""The function of a map with everything that surrounds one call of it, in whatever thread or process."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from waycairn.codec import Types, encode
from waycairn.errors import Stop, WaycairnError
from waycairn.model.retry import Retry
from waycairn.model.tasks import Outcome
from waycairn.work.facts import describe
from waycairn.world.crashpoints import crashpoint

_LONGEST_WAIT = 24 * 3600.0
"""Seconds that an answer of a server may ask for."""


class Call:
    """Implements `ports.Job`. Picklable if its function is."""

    def __init__(self, function: Callable[[Any], Any], types: Types, retry: Retry, *, is_here: bool) -> None:
        """`is_here` says that results stay in this process and are handed over as they are."""
        self.is_async = is_coroutine_function(function)
        self._function = function
        self._types = types
        self._retry = retry
        self._is_here = is_here

    def perform(self, number: int, value: Any) -> Outcome:
        crashpoint("map.call")
        try:
            return self._returned(number, self._function(value))
        except BaseException as error:  # noqa: BLE001 - judged there
            return self.failed(number, error)

    async def perform_async(self, number: int, value: Any) -> Outcome:
        crashpoint("map.call")
        try:
            return self._returned(number, await self._function(value))
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise  # by us
            return self.failed(number, error)
        except BaseException as error:  # noqa: BLE001 - judged there
            return self.failed(number, error)

    def _returned(self, number: int, result: Any) -> Outcome:
        try:
            encoded = encode(result, types=self._types).detached()
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"the result cannot be stored: {error}. Return plain values, or annotate the return type of the "
                "function, or pass returns=."
            ) from error
        if self._is_here:
            return Outcome(number, encoded, result, is_here=True)
        return Outcome(number, encoded)

    def failed(self, number: int, error: BaseException) -> Outcome:
        if isinstance(error, Stop | WaycairnError):
            return Outcome(number, error=describe(error, None), exception=error if self._is_here else None, stops=True)
        try:
            again = self._retry.matches(error)
        except Exception as second:  # noqa: BLE001 - the user's function
            again, error = False, second
        return Outcome(
            number,
            error=describe(error, None),
            exception=error if self._is_here else None,
            again=again,
            after=asked_to_wait(error),
        )


def is_coroutine_function(function: Any) -> bool:
    """Also of a partial, or an object that is called."""
    while hasattr(function, "func") and hasattr(function, "keywords"):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


def asked_to_wait(error: BaseException) -> float:
    """Seconds after which the error says to come back; 0 if it says nothing."""
    said = getattr(error, "retry_after", None)
    if said is None:
        headers = getattr(getattr(error, "response", error), "headers", None)  # httpx, requests; aiohttp
        said = headers.get("Retry-After") if isinstance(headers, Mapping) else None
    if said is None:
        return 0.0
    try:
        seconds = float(said)
    except (TypeError, ValueError):
        seconds = _until(said)
    return min(_LONGEST_WAIT, seconds) if seconds > 0 else 0.0  # also of NaN


def _until(date: Any) -> float:
    """Seconds from now to a date as HTTP writes it."""
    try:
        return parsedate_to_datetime(date).timestamp() - time.time()
    except (TypeError, ValueError, AttributeError, OverflowError):
        return 0.0
