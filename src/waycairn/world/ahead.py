"""Native work done on other threads while the caller uses what is ready. All of it releases the GIL."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from itertools import islice
from queue import SimpleQueue
from typing import TypeVar

_In = TypeVar("_In")
_Out = TypeVar("_Out")
_Job = tuple[Future[_Out], _In]


def map_ahead(work: Callable[[_In], _Out], items: Iterable[_In], threads: int = 2, ahead: int = 2) -> Iterator[_Out]:
    """Like map, in order, at most `ahead` items ahead. No thread is started for a single item.

    Threads of its own: a ThreadPoolExecutor takes nothing any more once the program has reached its end, where a save
    behind the job may still be on its way.
    """
    source = iter(items)
    first = list(islice(source, 2))
    if len(first) < 2:
        yield from map(work, first)
        return
    jobs: SimpleQueue[_Job[_Out, _In] | None] = SimpleQueue()

    def hand_out(item: _In) -> Future[_Out]:
        future: Future[_Out] = Future()
        jobs.put((future, item))
        return future

    workers = [threading.Thread(target=_work, args=(work, jobs), name="waycairn-ahead") for _ in range(threads)]
    for worker in workers:
        worker.start()
    running = deque(map(hand_out, first))
    try:
        # One by one: the first are worked on while the others are made.
        running.extend(map(hand_out, islice(source, ahead - len(first))))
        while running:
            done = running.popleft().result()
            running.extend(map(hand_out, islice(source, 1)))
            yield done
    finally:
        for future in running:
            future.cancel()
        for _ in workers:
            jobs.put(None)
        for worker in workers:
            worker.join()


def _work(work: Callable[[_In], _Out], jobs: SimpleQueue[_Job[_Out, _In] | None]) -> None:
    while job := jobs.get():
        future, item = job
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(work(item))
            except BaseException as error:  # noqa: BLE001 - raised again where the result is asked for
                future.set_exception(error)
