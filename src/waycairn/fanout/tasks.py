"""Tasks of an event loop: for coroutine functions."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from time import perf_counter
from typing import Any

from waycairn.fanout.hold import Hold
from waycairn.model.tasks import Outcome, Task
from waycairn.ports import Flights, Job

_CLOSING = 5.0
"""Seconds that coroutines have to end after they were cancelled, where this executor has a loop of its own."""


class TaskExecutor:
    """Implements `ports.Executor`: in the given event loop, or in one of its own in a thread.

    An item that takes longer than `timeout` is cancelled.
    """

    is_local = True

    def __init__(
        self, workers: int, timeout: float | None = None, loop: asyncio.AbstractEventLoop | None = None
    ) -> None:
        self.workers = workers
        self._timeout = timeout
        self._thread: threading.Thread | None = None
        self._is_own = loop is None
        self._loop = loop or asyncio.new_event_loop()
        self._workers: list[asyncio.Task[None]] = []
        self._hold = Hold()

    def start(self, job: Job, post: Callable[[Sequence[Outcome], float], None], flights: Flights) -> None:
        self._job, self._post, self._flights = job, post, flights
        self._tasks: asyncio.Queue[Sequence[Task]] = asyncio.Queue()
        if self._is_own:
            self._thread = threading.Thread(target=self._run, name="waycairn-map-loop", daemon=True)
            self._thread.start()
        self._soon(self._begin)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _soon(self, call: Callable[..., object], *arguments: Any) -> None:
        if self._is_own:
            self._loop.call_soon_threadsafe(call, *arguments)
        else:
            call(*arguments)

    def _begin(self) -> None:
        self._workers = [self._loop.create_task(self._work(slot)) for slot in range(self.workers)]

    def submit(self, tasks: Sequence[Task]) -> None:
        self._soon(self._tasks.put_nowait, tasks)

    def tend(self, now: float) -> None:
        """Nothing to do: the event loop keeps the time."""

    def close(self) -> None:
        if not self._is_own:
            for worker in self._workers:
                worker.cancel()
            return
        if self._thread is None:
            return
        closing = asyncio.run_coroutine_threadsafe(self._end(), self._loop)
        try:
            closing.result(_CLOSING)
        except TimeoutError:
            return  # a coroutine does not end; its thread is a daemon and does not keep the program from ending
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        await self._loop.shutdown_asyncgens()

    async def _work(self, slot: int) -> None:
        try:
            await self._work_on(slot)
        except Exception as error:  # noqa: BLE001 - never by an item: raised by the owner, who would wait for ever
            self._post([Outcome(-1, exception=error, stops=True)], 0.0)

    async def _work_on(self, slot: int) -> None:
        while True:
            for task in await self._tasks.get():
                while (seconds := self._hold.seconds) > 0:  # noqa: ASYNC110 - it may be longer by then
                    await asyncio.sleep(seconds)
                began = perf_counter()
                self._flights.begin(slot, task.digest)
                outcome = await self._perform(task)
                self._flights.end(slot)
                if outcome.after:
                    self._hold.extend(outcome.after)
                self._post([outcome], perf_counter() - began)

    def _perform(self, task: Task) -> Coroutine[Any, Any, Outcome]:
        call = self._job.perform_async(task.number, task.value)
        return call if self._timeout is None else self._in_time(task.number, call, self._timeout)

    async def _in_time(self, number: int, call: Coroutine[Any, Any, Outcome], seconds: float) -> Outcome:
        try:
            async with asyncio.timeout(seconds):
                return await call
        except TimeoutError:  # ours: the call itself never raises
            return self._job.failed(number, TimeoutError(f"the item took longer than {seconds:g} s and was cancelled"))
