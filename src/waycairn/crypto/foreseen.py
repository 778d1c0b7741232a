"""Wrapping keys that are made before they are asked for: 0.1 s in which the modules of the catalog are loaded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any

from waycairn.model.keys import PASSPHRASE
from waycairn.world.forking import undivided

Parameters = Mapping[str, Any]
_ASKED = ("salt", "times", "memory", "lanes")


class Foreseen:
    """The wrapping key of one passphrase, made on a thread of its own from now on."""

    def __init__(self, secret: bytes, parameters: Callable[[], Iterable[Parameters]]) -> None:
        """`parameters`: of the ways in that may be there. They may be none and others than are found later."""
        self._secret = secret
        self._made: dict[tuple[Any, ...], bytes] = {}
        self._thread = threading.Thread(target=self._make, args=(parameters,), name="waycairn-key", daemon=True)
        self._thread.start()

    def _make(self, parameters: Callable[[], Iterable[Parameters]]) -> None:
        # What fails is met again, and told, where the store is opened.
        with undivided, suppress(Exception):
            # The first way in is as a rule the one that opens; another is made when it is tried.
            for one in islice(parameters(), 1):
                from waycairn.crypto.wrapping import wrapping_key

                self._made[_name(one)] = wrapping_key(PASSPHRASE, self._secret, one)

    def wrapping_key(self, kind: str, secret: bytes, parameters: Parameters) -> bytes:
        """As `wrapping.wrapping_key`, at once where it was foreseen."""
        from waycairn.crypto.wrapping import wrapping_key

        self._thread.join()
        made = self._made.get(_name(parameters)) if (kind, secret) == (PASSPHRASE, self._secret) else None
        return wrapping_key(kind, secret, parameters) if made is None else made


def _name(parameters: Parameters) -> tuple[Any, ...]:
    return tuple(parameters.get(name) for name in _ASKED)
