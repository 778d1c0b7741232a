"""Signing in by a password: how often it may be tried, and what the answer is."""

from __future__ import annotations

import math

from fastapi import Request

from waycairn.crypto.passwords import TooManyGuesses
from waycairn.model.accounts import Account
from waycairn.server.limiting import Limit, address_of
from waycairn.server.problems import Problem
from waycairn.server.serving import Options
from waycairn.work.store import Store

__all__ = ["Admission"]

_WITHIN = 300.0
_OF_ADDRESS, _OF_NAME = 30, 10
"""Tries within five minutes. An address may be that of many people; of a name one person types the password."""


class Admission:
    """Thread-safe."""

    def __init__(self, store: Store, options: Options) -> None:
        self._accounts, self._options = store.accounts, options
        monotonic = store.core.clock.monotonic
        self._addresses, self._names = (Limit(times, _WITHIN, monotonic) for times in (_OF_ADDRESS, _OF_NAME))

    def check(self, request: Request, name: str, password: str) -> Account | None:
        """The account, if that is its password. Raises Problem where it was tried too often, or too many try at this moment."""
        address = address_of(request, self._options)
        wait = self._addresses.take(address) or self._names.take(name)
        if wait:
            raise _too_many(wait, "There were too many tries from here, or for this name")
        try:
            account = self._accounts.check(name, password, address=address)
        except TooManyGuesses:
            raise _too_many(1, "Too many sign in at this moment") from None
        if account is not None:
            self._names.forget(name)  # and not the address: an account of one's own must buy no tries of another
        return account

    def address_of(self, request: Request) -> str:
        return address_of(request, self._options)


def _too_many(wait: float, why: str) -> Problem:
    seconds = max(1, math.ceil(wait))
    return Problem(
        429,
        "too many tries",
        f"{why}. Nothing was checked. Try again in {seconds} s.",
        {"Retry-After": str(seconds)},
    )
