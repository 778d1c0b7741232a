"""`run.map`: computed in parallel, folded on the owner's thread, each item exactly once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from blake3 import blake3

from waycairn.codec import Types
from waycairn.codec.keys import Key, short
from waycairn.fanout import FlightLog, Inbox, ProcessExecutor, TaskExecutor, ThreadExecutor
from waycairn.model.retry import Retry
from waycairn.ports import Executor
from waycairn.work.calling import Call, is_coroutine_function
from waycairn.work.computed import Computed, OnError, Options, Order, Where, options
from waycairn.work.driving import Driver, Wait
from waycairn.work.feeding import AsyncFeed, Fed, Feed, QueueFeed
from waycairn.work.handing import Handing
from waycairn.work.ledger import Failure, Ledger
from waycairn.work.loop import Walk, take_async
from waycairn.work.queueing import Queue
from waycairn.work.reporting import OnProgress
from waycairn.work.request import Request
from waycairn.work.step import check_name, result_types

if TYPE_CHECKING:
    from waycairn.work.execution import Execution

log = logging.getLogger("waycairn")

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Report:
    """What one pass of a map did. `results` and `failures` read from the store, as they are asked for."""

    completed: int
    """Done in this pass."""
    failed: int
    skipped: int
    """Done before, or failed before and left alone."""
    seconds: float
    _ledger: Ledger
    _loop: str
    _types: Types

    def results(self) -> Iterator[tuple[str | int, Any]]:
        """Key and result of all that is done, those of earlier passes too, see `Ledger.results`; of the types that the
        function returns."""
        return self._ledger.results(loop=self._loop, returns=self._types)

    def failures(self) -> Iterator[Failure]:
        """All that failed and is not done."""
        return self._ledger.failures(self._loop)

    def __str__(self) -> str:
        rate = "" if not self.completed or not self.seconds else f", {self.completed / self.seconds:,.1f} items/s"
        return f"{self.completed} done, {self.failed} failed, {self.skipped} skipped in {self.seconds:,.1f} s{rate}"


class Map(Handing, Generic[T, R]):
    """The items of an input, computed by workers. Iterated, drained, or read as a report; each once::

        for item in run.map(ask, prompts, key="id", workers=8):    # the body is the fold
            out.write(item.json())

    A result is recorded when it is there, an item is done when the body ends: what was computed and not folded when
    the process died is folded by the next entry without being computed again. Bodies run on the thread that
    iterates, one at a time, and belong with their item to one cut, with the state and growing outputs. Not iterated,
    `drain()` does it all: then an item is done when its result is there.
    """

    keeps_state = False

    def __init__(
        self,
        execution: Execution,
        function: Callable[[T], Any],
        items: Iterable[T] | AsyncIterable[T],
        options: Options,
        *,
        key: str | Callable[[Any], Any] | None,
        name: str,
        total: int | None,
        retry_failed: bool | None,
        ledger: Ledger,
        on_progress: OnProgress | None,
    ) -> None:
        super().__init__(execution, items, key=key, name=name, total=total, retry_failed=retry_failed)
        execution.open_loop(self)  # from here on: a map that nobody asks for anything is noticed
        self._function = function
        self._options = options
        self._ledger = ledger
        self._closing: list[Callable[[], None]] = []
        self._report: Report | None = None
        self._has_begun = False
        if on_progress is not None:
            execution.reporter.listen(on_progress, ledger.summary)

    # -- the two faces ---------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Computed[T, R]]:
        return self._walk(is_folding=True)

    def __aiter__(self) -> AsyncIterator[Computed[T, R]]:
        return Walk(self.walk_async(is_folding=True), self.leave)

    def drain(self) -> Report:
        """Compute everything; nothing is folded. Raises what iterating raises."""
        for _ in self._walk(is_folding=False):
            raise AssertionError("nothing is folded here")
        return self.report()

    def report(self) -> Report:
        """What this pass did; it is drained first if that was not done."""
        return self._report or self.drain()

    def _walk(self, *, is_folding: bool) -> Iterator[Computed[T, R]]:
        inbox = Inbox()
        cutter = self._execution.cutter
        try:
            for command in self._begin(inbox, is_folding=is_folding):
                if isinstance(command, Wait):
                    inbox.wait(command.seconds, command.linger)
                elif isinstance(command, Request):
                    cutter.take(command)
                    self._execution.stop_if_asked(inside=True)
                else:
                    yield command
        except GeneratorExit:
            self._execution.leave_loop(self.name)
            raise
        finally:
            self.close()

    async def walk_async(self, *, is_folding: bool) -> AsyncIterator[Computed[T, R]]:
        """`async for`, as a generator."""
        inbox = Inbox(asyncio.get_running_loop())
        try:
            for command in self._begin(inbox, is_folding=is_folding):
                if isinstance(command, Wait):
                    await inbox.wait_async(command.seconds, command.linger)
                elif isinstance(command, Request):
                    await take_async(self._execution, command)
                    self._execution.stop_if_asked(inside=True)
                else:
                    yield command
        finally:
            self.close()

    # -- one pass ----------------------------------------------------------------------------------------------------

    def _begin(self, inbox: Inbox, *, is_folding: bool) -> Iterator[Any]:
        """The commands of this pass, see `driving`."""
        if self._has_begun:
            raise ValueError("a map is iterated, drained or reported once. Nothing was done again.")
        self._has_begun = True
        now = self._execution.store.clock.monotonic
        started = now()
        self._start()
        options = self._options
        flights = FlightLog(self._flights_path(), options.workers)
        self._closing.append(flights.close)
        executor = self._executor(inbox)
        self._closing.append(executor.close)
        call = Call(self._function, options.types, options.retry, is_here=executor.is_local)
        executor.start(call, inbox.post, flights)
        feed = self._feed(inbox)
        self._closing.append(feed.close)
        driver = Driver(
            self,
            self._execution,
            options,
            feed=feed,
            executor=executor,
            inbox=inbox,
            flights=flights,
            is_folding=is_folding,
        )
        self._closing.insert(0, driver.salvage)
        yield from driver.commands()
        self._is_exhausted = feed.error is None
        self._report = Report(
            driver.done, driver.failed, self.skipped, now() - started, self._ledger, self.name, options.types
        )
        if feed.error is not None:
            raise feed.error

    def _enter(self) -> None:
        """Its name was taken where it was made."""
        self._execution.cutter.check_usable()

    def _executor(self, inbox: Inbox) -> Executor:
        options = self._options
        if not isinstance(options.on, str):
            return options.on
        if options.on == "async":
            return TaskExecutor(options.workers, options.timeout, inbox.loop)
        kind = ThreadExecutor if options.on == "threads" else ProcessExecutor
        return kind(options.workers, options.timeout)

    def _flights_path(self) -> Any:
        scratch = self._execution.store.scratch
        if scratch is None:
            return None
        return scratch / f"{self._execution.cutter.run}-{blake3(self.name.encode()).hexdigest(8)}"

    def _feed(self, inbox: Inbox) -> Feed | QueueFeed | AsyncFeed:
        queue = self._items
        if isinstance(queue, Queue):
            return QueueFeed(queue, lambda: self._fed(queue))
        if isinstance(self._items, Iterable):
            return Feed(self._fed(self._items), self._execution.store.clock.monotonic)
        if inbox.loop is None:
            raise TypeError("this input is asynchronous; use `async with wc.run(...)` and `async for`")
        return AsyncFeed(self._items, self._fed_one, inbox.ring)

    def _fed(self, items: Iterable[Any]) -> Iterator[Fed]:
        for key, value in self._admitted(items):
            if fed := self._hand(key, value):
                yield fed

    def _fed_one(self, value: Any) -> Fed | None:
        key = self._admit(value) if self._is_ours(value) else None
        return None if key is None else self._hand(key, value)

    def _hand(self, key: Key, value: Any) -> Fed | None:
        """The item, unless it failed before and is to be left alone."""
        had_failed = self._hand_out(key)
        return None if had_failed is None else (key, value, had_failed)

    def warn_if_unused(self) -> None:
        if not self._has_begun:
            log.warning("run.map %r was neither iterated nor drained: nothing of it was done", self.name)

    def leave(self) -> None:
        """`break`, or an exception in the body: the open item is not done, its result stays."""
        self._execution.leave_loop(self.name)
        self.close()

    def close(self) -> None:
        """Give up what still runs."""
        while self._closing:
            self._closing.pop()()


class AsyncMap(Map[T, R]):
    """As Map, for `async for`; `drain` and `report` are awaited."""

    async def drain(self) -> Report:  # type: ignore[override]
        """As Map.drain."""
        async for _ in self.walk_async(is_folding=False):
            raise AssertionError("nothing is folded here")
        return await self.report()

    async def report(self) -> Report:  # type: ignore[override]
        """As Map.report."""
        return self._report or await self.drain()


M = TypeVar("M", bound=Map[Any, Any])


def make_map(
    kind: type[M],
    execution: Execution,
    ledger: Ledger,
    function: Callable[[Any], Any],
    items: Iterable[Any] | AsyncIterable[Any],
    *,
    key: str | Callable[[Any], Any] | None = None,
    name: str = "items",
    total: int | None = None,
    returns: Any = None,
    workers: int | None = None,
    on: Where | Executor | None = None,
    retry: Retry | int | None = None,
    timeout: float | None = None,
    rate: float | str | None = None,
    on_error: OnError = "record",
    retry_failed: bool | None = None,
    order: Order = "done",
    on_progress: OnProgress | None = None,
) -> M:
    """What `run.map` gives, for both faces."""
    check_name("loop", name)
    if not callable(function):
        raise TypeError(f"run.map takes a function and the items to call it with, not {short(function)}")
    usual = execution.store.settings.batches
    if on is None or isinstance(on, str):  # an executor of one's own has its workers
        workers = usual.workers if workers is None else workers
    how = options(
        is_async=is_coroutine_function(function),
        types=result_types(function, returns),
        workers=workers,
        on=on,
        retry=usual.retry if retry is None else retry,
        timeout=timeout,
        rate=rate,
        on_error=on_error,
        order=order,
    )
    return kind(
        execution,
        function,
        items,
        how,
        key=key,
        name=name,
        total=total,
        retry_failed=retry_failed,
        ledger=ledger,
        on_progress=on_progress,
    )
