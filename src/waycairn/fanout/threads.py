"""Threads: for work that waits, such as calls to a service, and for code that releases the interpreter's lock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from time import perf_counter, sleep

from waycairn.fanout.hold import Hold
from waycairn.model.tasks import Outcome, Task
from waycairn.ports import Flights, Job

_EAGER = 0.005
"""Seconds after which results do not wait for the rest of their batch."""
_GLANCE = 0.1
"""Seconds between two looks of a thread that waits, whether it was given up."""


class ThreadExecutor:
    """Implements `ports.Executor`. Daemon threads: one that never returns does not keep the program from ending.

    A thread cannot be stopped. One whose item takes longer than `timeout` is given up: the item has failed, a new
    thread takes its place, and whatever the old one still does and returns is ignored.
    """

    is_local = True

    def __init__(self, workers: int, timeout: float | None = None) -> None:
        self.workers = workers
        self._timeout = timeout
        self._tasks: SimpleQueue[Sequence[Task] | None] = SimpleQueue()
        self._threads: list[_Worker] = []
        self._hold = Hold()

    def start(self, job: Job, post: Callable[[Sequence[Outcome], float], None], flights: Flights) -> None:
        self._job, self._post, self._flights = job, post, flights
        self._threads = [self._worker(slot) for slot in range(self.workers)]

    def _worker(self, slot: int) -> _Worker:
        worker = _Worker(self, slot)
        worker.thread.start()
        return worker

    def submit(self, tasks: Sequence[Task]) -> None:
        self._tasks.put(tasks)

    def tend(self, now: float) -> None:  # noqa: ARG002 - the time of the owner is another clock
        if self._timeout is None:
            return
        limit = perf_counter() - self._timeout
        for place, worker in enumerate(self._threads):
            task, since = worker.task, worker.since
            if task is not None and since < limit and task is worker.task:
                worker.is_given_up = True
                error = TimeoutError(
                    f"the item took longer than {self._timeout:g} s. A thread cannot be stopped: it was given up, and "
                    'what it still does is ignored. To have it ended use on="processes", or a coroutine.'
                )
                self._post([self._job.failed(task.number, error)], self._timeout)
                self._threads[place] = self._worker(worker.slot)

    def close(self) -> None:
        for worker in self._threads:
            worker.is_given_up = True
        for _ in self._threads:
            self._tasks.put(None)
        self._threads = []


class _Worker:
    def __init__(self, executor: ThreadExecutor, slot: int) -> None:
        self.slot = slot
        self.task: Task | None = None
        self.since = 0.0
        self.is_given_up = False
        self._job, self._post, self._flights = executor._job, executor._post, executor._flights  # noqa: SLF001 - its own
        self._tasks, self._hold = executor._tasks, executor._hold  # noqa: SLF001 - its own
        self.thread = threading.Thread(target=self._work, name=f"waycairn-map-{slot}", daemon=True)

    def _work(self) -> None:
        try:
            self._work_on()
        except BaseException as error:  # noqa: BLE001 - never by an item: raised by the owner, who would wait for ever
            self._post([Outcome(-1, exception=error, stops=True)], 0.0)

    def _work_on(self) -> None:
        while (tasks := self._tasks.get()) is not None:
            if self.is_given_up or not self._perform(tasks):
                return
            del tasks  # what waits for work must not keep the values of the work before

    def _perform(self, tasks: Sequence[Task]) -> bool:
        """False if the thread was given up."""
        perform, begin, slot, hold = self._job.perform, self._flights.begin, self.slot, self._hold
        outcomes: list[Outcome] = []
        posted = now = perf_counter()
        for task in tasks:
            while (seconds := hold.seconds) > 0 and not self.is_given_up:
                sleep(min(seconds, _GLANCE))
                now = perf_counter()
            self.since, self.task = now, task
            begin(slot, task.digest)
            outcome = perform(task.number, task.value)
            outcomes.append(outcome)
            self.task = None
            if outcome.after:
                hold.extend(outcome.after)
                self._post(outcomes, 0.0)
                outcomes = []
            if self.is_given_up:
                return False
            now = perf_counter()
            if now - posted > _EAGER:
                self._post(outcomes, now - posted)
                outcomes, posted = [], now
        self._flights.end(slot)
        if outcomes:
            self._post(outcomes, now - posted)
        return True
