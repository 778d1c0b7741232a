"""`run.each`: an item is done when the loop asks for the next one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from waycairn.codec.keys import Key
from waycairn.model.ids import CheckpointId
from waycairn.work.cut import Cutter
from waycairn.work.passing import Pass
from waycairn.work.request import END, PACED, Request

if TYPE_CHECKING:
    from waycairn.work.execution import Execution

T = TypeVar("T")


class Loop(Pass, Generic[T]):
    """One pass over an input, skipping what is done; T is what it yields. Iterated once; `for` in a Run, `async for` in an AsyncRun.

    An item is committed exactly once. Those done since the last cut run again after a crash.
    """

    def __init__(
        self,
        execution: Execution,
        items: Iterable[Any] | AsyncIterable[Any],
        *,
        key: str | Callable[[Any], Any] | None,
        name: str,
        total: int | None,
        batch: int | None,
    ) -> None:
        if batch is not None and batch < 1:
            raise ValueError(f"a batch holds at least one item, not {batch}")
        super().__init__(execution, items, key=key, name=name, total=total)
        self._is_left = False
        self._batch = batch

    # -- the two faces -----------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[T]:
        if not isinstance(self._items, Iterable):
            raise TypeError("this input is asynchronous; use `async with wc.run(...)` and `async for`")
        cutter = self._start()
        name, now, is_due, gate = self.name, cutter.store.clock.monotonic, cutter.pacer.is_due, self._execution.gate
        reporter = self._execution.reporter
        for keys, payload in self._grouped(self._items):
            cutter.begin_item(name, keys[0])
            try:
                yield payload
            except GeneratorExit:
                self.leave()
                raise
            cutter.end_item(name, keys)
            moment = now()
            if moment >= reporter.due:
                reporter.look(moment)
            if is_due(moment) or cutter.wanted or gate.received:
                cutter.take(self._request(cutter))
                self._execution.stop_if_asked()
        self._finish()
        if not cutter.items.is_empty or cutter.wanted:
            cutter.take(cutter.wanted or END)
        self._execution.stop_if_asked()

    def __aiter__(self) -> AsyncIterator[T]:
        return Walk(self.walk(), self.leave)

    async def walk(self) -> AsyncIterator[T]:
        """`async for`, as a generator."""
        cutter = self._start()
        async for keys, payload in self._grouped_async():
            cutter.begin_item(self.name, keys[0])
            yield payload
            cutter.end_item(self.name, keys)
            moment = cutter.store.clock.monotonic()
            self._execution.report(moment)
            if cutter.pacer.is_due(moment) or cutter.wanted or self._execution.gate.received:
                await take_async(self._execution, self._request(cutter))
                self._execution.stop_if_asked()
        self._finish()
        if not cutter.items.is_empty or cutter.wanted:
            await take_async(self._execution, cutter.wanted or END)
        self._execution.stop_if_asked()

    def leave(self) -> None:
        """`break`, or an exception in the body: the open item is undone."""
        if not self._is_left:
            self._is_left = True
            self._execution.leave_loop(self.name)

    def _request(self, cutter: Cutter) -> Request:
        return cutter.stopping() if self._execution.gate.received else cutter.wanted or PACED

    def _grouped(self, items: Iterable[Any]) -> Iterator[tuple[list[Key], Any]]:
        """What is to be done: one item, or a batch as a list, with its keys."""
        size = self._batch
        keys: list[Key] = []
        batch: list[Any] = []
        for items_now in self._rounds(items):
            for key, item in self._admitted(items_now):
                if size is None:
                    yield [key], item
                    continue
                keys.append(key)
                batch.append(item)
                if len(keys) == size:
                    yield keys, batch
                    keys, batch = [], []
            if keys:
                yield keys, batch
                keys, batch = [], []

    async def _grouped_async(self) -> AsyncIterator[tuple[list[Key], Any]]:
        if isinstance(self._items, Iterable):
            for group in self._grouped(self._items):
                yield group
            return
        waiting: list[Any] = []
        async for item in self._items:
            waiting.append(item)
            if len(waiting) >= (self._batch or 1):
                for group in self._grouped(waiting):
                    yield group
                waiting = []
        for group in self._grouped(waiting):
            yield group


class Walk(AsyncIterator[T]):
    """Notices at once that `async for` was left: the generator itself is closed by a task of the event loop, later."""

    def __init__(self, items: AsyncIterator[T], leave: Callable[[], None]) -> None:
        self._items = items
        self._leave = leave

    async def __anext__(self) -> T:
        return await self._items.__anext__()

    def __del__(self) -> None:
        self._leave()


async def take_async(execution: Execution, request: Request) -> CheckpointId | None:
    """Encode here, on the thread of the event loop, while no other task can change the state; write in a thread."""
    async with execution.turn:
        prepared = execution.cutter.prepare(request, detached=True)
        return await asyncio.to_thread(execution.cutter.commit, prepared)
