"""Native work done on other threads while the caller uses what is ready. All of it releases the GIL."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

_In = TypeVar("_In")
_Out = TypeVar("_Out")


def map_ahead(work: Callable[[_In], _Out], items: Iterable[_In], threads: int = 2) -> Iterator[_Out]:
    """Like map, in order, a bounded number of items ahead. No thread is started for a single item."""
    queue = iter(items)
    first = list(islice(queue, 2))
    if len(first) < 2:
        yield from map(work, first)
        return
    with ThreadPoolExecutor(threads, thread_name_prefix="waycairn-chunks") as pool:
        running: deque[Future[_Out]] = deque(pool.submit(work, item) for item in first)
        try:
            while running:
                done = running.popleft().result()
                running.extend(pool.submit(work, item) for item in islice(queue, 1))
                yield done
        finally:
            for future in running:
                future.cancel()
