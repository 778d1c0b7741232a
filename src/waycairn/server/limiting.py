"""How often something may be tried."""

from __future__ import annotations

import ipaddress
import threading
from collections import OrderedDict, deque
from collections.abc import Callable

from fastapi import Request

from waycairn.server.serving import Options

__all__ = ["Limit", "address_of"]

_KNOWN = 10_000
"""Keys that are remembered; beyond them the one that was tried longest ago is forgotten."""


class Limit:
    """So many tries of one key within a time. In the memory of this process, which is bounded. Thread-safe."""

    def __init__(self, times: int, within: float, monotonic: Callable[[], float]) -> None:
        self._times, self._within, self._monotonic = times, within, monotonic
        self._tries: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: str) -> float:
        """Seconds to wait; 0: it may be tried, and counts."""
        now = self._monotonic()
        with self._lock:
            tries = self._tries.setdefault(key, deque())
            self._tries.move_to_end(key)
            while tries and tries[0] <= now - self._within:
                tries.popleft()
            if len(tries) >= self._times:
                return tries[0] + self._within - now
            tries.append(now)
            while len(self._tries) > _KNOWN:
                self._tries.popitem(last=False)
        return 0.0

    def forget(self, key: str) -> None:
        """It went well: what was tried before counts no more."""
        with self._lock:
            self._tries.pop(key, None)


def address_of(request: Request, options: Options) -> str:
    """Whose tries are counted together. Of a proxy in front of us we believe what it wrote last; of addresses of version 6 one
    customer has many."""
    said = request.client.host if request.client else "unknown"
    if options.secure and (forwarded := request.headers.get("x-forwarded-for")):
        said = forwarded.rpartition(",")[2].strip()
    try:
        address = ipaddress.ip_address(said)
    except ValueError:
        return said[:64]
    if address.version == 6 and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
