"""Processes: for work that computes, and for code that may crash.

A worker process that dies takes nothing with it but the item it ran: which one that was stands in its slot
(`flights`). Workers are spawned, never forked: locks and connections of this process do not reach them.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import pickle
import signal
import threading
from collections import deque
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from time import monotonic
from typing import TYPE_CHECKING

from waycairn.errors import WaycairnError
from waycairn.fanout import child
from waycairn.fanout.flights import FlightLog
from waycairn.fanout.wire import Answer, pack_hold, pack_tasks, unpack_answer
from waycairn.model.tasks import Outcome, Task
from waycairn.ports import Flights, Job

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

_ENDING = 2.0
"""Seconds that idle workers have to end by themselves."""
_FALSE_STARTS = 10
"""Workers in a row that are killed before they are ready, while no other gives results."""
_GUARD = 'Worker processes import the script of the job, so its start must stand under `if __name__ == "__main__":`. '
_UNPICKLABLE = (
    "{0} cannot be sent to a worker process ({1}). {2} Use a function of a module and plain values (paths, ids, "
    'numbers), or on="threads".'
)


class ProcessExecutor:
    """Implements `ports.Executor`. A worker whose item takes longer than `timeout` is killed, and replaced."""

    is_local = False

    def __init__(self, workers: int, timeout: float | None = None) -> None:
        self.workers = workers
        self._timeout = timeout
        self._context = multiprocessing.get_context("spawn")
        self._lock = threading.Lock()
        self._crew: list[_Worker] = []
        self._orphans: list[Task] = []
        self._false_starts = 0
        self._is_closed = True

    def start(self, job: Job, post: Callable[[Sequence[Outcome], float], None], flights: Flights) -> None:
        assert isinstance(flights, FlightLog)
        self._job, self._post, self._flights = job, post, flights
        try:
            self._pickled = pickle.dumps(job, protocol=pickle.HIGHEST_PROTOCOL)
        except Exception as error:
            message = _UNPICKLABLE.format("the function", error, "Nothing was done.")
            raise TypeError(message) from error
        self._is_closed = False
        self._alarm, alarmed = self._context.Pipe(duplex=True)
        atexit.register(self.close)  # before the one of multiprocessing, which would wait for the workers
        self._reader = threading.Thread(target=self._read, args=(alarmed,), name="waycairn-map-reader", daemon=True)
        self._reader.start()

    def _spawn(self, slot: int) -> _Worker:
        ours, theirs = self._context.Pipe(duplex=True)
        process = self._context.Process(
            target=child.work,
            args=(theirs, slot, self._flights.path, os.getpid()),
            name=f"waycairn-map-{slot}",
        )
        process.start()
        theirs.close()
        return _Worker(slot, process, ours)

    # -- the owner's thread ----------------------------------------------------------------------------------------

    def submit(self, tasks: Sequence[Task]) -> None:
        with self._lock:
            worker = self._least_busy()
            if worker is None:
                self._orphans += tasks
                return
            sent = []
            for task in tasks:
                try:
                    sent.append((task.number, task.digest, pickle.dumps(task.value, pickle.HIGHEST_PROTOCOL)))
                except Exception as error:  # noqa: BLE001 - the user's classes are in there
                    self._post([self._job.failed(task.number, _unpicklable(task, error))], 0.0)
                else:
                    worker.tasks.append(task)
            worker.since = worker.since or monotonic()
        if sent:
            worker.send(pack_tasks(sent))

    def _least_busy(self) -> _Worker | None:
        """A further one is started only when all that there are have something to do."""
        alive = [worker for worker in self._crew if not worker.is_gone]
        least = min(alive, key=lambda one: len(one.tasks), default=None)
        if (least is None or least.tasks) and len(self._crew) < self.workers:
            least = self._spawn(len(self._crew))
            self._crew.append(least)
            self._alarm.send_bytes(b"!")
        return least

    def tend(self, now: float) -> None:  # noqa: ARG002 - a kill goes by the clock that was read at the start
        """End what takes too long; replace workers that are gone, by the thread that will live as long as they."""
        if self._timeout is not None:
            self._end_overdue(self._timeout)
        is_changed = False
        with self._lock:
            for place, worker in enumerate(self._crew):
                if worker.is_gone:
                    worker.connection.close()
                    self._crew[place] = self._spawn(worker.slot)
                    is_changed = True
            orphans, self._orphans = self._orphans, []
        if is_changed:
            self._alarm.send_bytes(b"!")
        for task in orphans:
            self.submit([task])

    def _end_overdue(self, timeout: float) -> None:
        for worker in self._crew:
            with self._lock:
                if not (worker.is_ready and worker.tasks and worker.since and monotonic() - worker.since > timeout):
                    continue
                task = worker.tasks.popleft()
                worker.is_ended = True
            self._flights.end(worker.slot)
            error = TimeoutError(f"the item took longer than {timeout:g} s; its worker process was killed")
            self._post([self._job.failed(task.number, error)], timeout)
            worker.process.kill()

    def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        atexit.unregister(self.close)
        for worker in self._crew:
            if worker.tasks or not worker.is_ready:
                worker.process.kill()
            else:
                worker.send(child.STOP)
        deadline = monotonic() + _ENDING
        for worker in self._crew:
            worker.process.join(max(0.0, deadline - monotonic()))
            if worker.process.exitcode is None:
                worker.process.kill()
                worker.process.join()
        self._alarm.close()
        self._reader.join()
        for worker in self._crew:
            worker.connection.close()
            worker.process.close()

    # -- the reader's thread ---------------------------------------------------------------------------------------

    def _read(self, alarmed: Connection) -> None:
        while not self._is_closed:
            with self._lock:
                crew = {worker.connection: worker for worker in self._crew if not worker.is_gone}
            for ready in wait([alarmed, *crew]):
                if ready is alarmed:
                    try:
                        alarmed.recv_bytes()
                    except (EOFError, OSError):
                        return
                else:
                    self._hear(crew[ready])  # type: ignore[index]

    def _hear(self, worker: _Worker) -> None:
        try:
            message = worker.connection.recv_bytes()
        except (EOFError, OSError):
            self._bury(worker)
            return
        if message == child.HELLO:
            worker.greet(self._pickled)
            return
        try:
            answer = unpack_answer(message)
        except WaycairnError as error:
            self._stop(str(error))
            return
        if answer.broken is not None:
            self._stop(
                f"a worker process cannot load the function: {answer.broken['type']}: {answer.broken['message']}. "
                f"Nothing is lost. {_GUARD}"
            )
            return
        self._note(worker, answer)
        if answer.results:
            self._post(answer.outcomes(), answer.seconds)

    def _note(self, worker: _Worker, answer: Answer) -> None:
        with self._lock:
            self._false_starts = 0
            worker.is_ready = True
            after = max((result.after for result in answer.results), default=0.0)
            for result in answer.results:
                if worker.tasks and worker.tasks[0].number == result.number:
                    worker.tasks.popleft()
            worker.since = monotonic() if worker.tasks else 0.0
            others = [other for other in self._crew if after and other is not worker and not other.is_gone]
        for other in others:
            other.send(pack_hold(after))

    def _bury(self, worker: _Worker) -> None:
        """A worker is gone. What it ran is told to the owner, what it had not begun goes to others."""
        if self._is_closed:
            return
        worker.process.join()
        code = worker.process.exitcode
        running = self._flights.running(worker.slot)
        with self._lock:
            worker.is_gone = True
            tasks = list(worker.tasks)
            worker.tasks.clear()
        if not worker.is_ready:
            self._false_starts += 1
            is_script = code is not None and code >= 0  # no signal: what it said stands on stderr
            if is_script or self._false_starts >= _FALSE_STARTS:
                advice = _GUARD if is_script else "Give this host more memory, or use fewer workers. "
                self._stop(f"worker processes cannot begin: the last one {_ending(code)}. Nothing is lost. {advice}")
                return
        guilty = [task for task in tasks if task.digest == running and not worker.is_ended]
        outcomes = [_died(task, code) for task in guilty]
        tasks = [task for task in tasks if task not in guilty]
        self._flights.end(worker.slot)
        with self._lock:
            self._orphans += tasks
        self._post(outcomes, 0.0)  # also an empty post: the owner wakes up and replaces the worker

    def _stop(self, message: str) -> None:
        self._post([Outcome(-1, exception=WaycairnError(message), stops=True)], 0.0)


class _Worker:
    def __init__(self, slot: int, process: SpawnProcess, connection: Connection) -> None:
        self.slot = slot
        self.process = process
        self.connection = connection
        self.tasks: deque[Task] = deque()
        """Sent and not answered, in their order."""
        self.since = 0.0
        """When the first of them began, at the earliest."""
        self.is_ready = False
        self.is_gone = False
        self.is_ended = False
        """Killed by us."""
        self._lock = threading.Lock()
        self._waiting: list[bytes] | None = []

    def send(self, message: bytes) -> None:
        """At once if it listens already, else when it greets: a pipe that nobody reads would keep the owner waiting."""
        with self._lock:
            if self._waiting is not None:
                self._waiting.append(message)
                return
            self._send(message)

    def greet(self, job: bytes) -> None:
        """It listens."""
        with self._lock:
            for message in (job, *(self._waiting or ())):
                self._send(message)
            self._waiting = None

    def _send(self, message: bytes) -> None:
        try:
            self.connection.send_bytes(message)
        except OSError:
            return  # it is gone, which the reader notices, who gives its tasks to others


def _unpicklable(task: Task, error: Exception) -> TypeError:
    return TypeError(_UNPICKLABLE.format(f"the item {repr(task.value)[:100]}", error, ""))


def _died(task: Task, code: int | None) -> Outcome:
    message = f"the worker process that ran the item {_ending(code)}"
    facts = {"type": "WorkerDied", "message": message, "item": None, "where": None, "traceback": message}
    return Outcome(task.number, error=facts, died=True)


def _ending(code: int | None) -> str:
    if code is None or code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = ", perhaps by the kernel for want of memory" if name == "SIGKILL" else ""
    return f"was killed by {name}{hint}"
