"""The same words, awaited. A thin face: decisions and commits are those of Execution.

What is encoded is encoded on the thread of the event loop, while no other task can change it; only the waiting for
the disk happens in a thread.
"""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import AsyncIterable, Callable, Iterable, Sequence
from typing import Any, TypeVar

from waycairn.model.ids import CheckpointId
from waycairn.model.records import CheckpointRecord
from waycairn.work.beside import named_value
from waycairn.work.execution import Execution
from waycairn.work.following import Follow, Path
from waycairn.work.items import ItemLoop
from waycairn.work.loop import Loop
from waycairn.work.mapping import AsyncMap, make_map
from waycairn.work.output import Output, WholeOutput
from waycairn.work.phase import PhaseCall
from waycairn.work.queueing import Queue
from waycairn.work.run import Run
from waycairn.work.session import AsyncSession
from waycairn.work.step import result_types
from waycairn.work.training import Training

T = TypeVar("T")
S = TypeVar("S")


class AsyncRun(Training):
    """A Run whose writing methods are awaited; see Run for what each promises and raises."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution
        execution.overlaps = True
        execution.turn = asyncio.Lock()
        self._run = Run(execution)
        self.id, self.name, self.key = self._run.id, self._run.name, self._run.key
        self.resumed = self._run.resumed
        self.ledger = self._run.ledger

    def each(self, items: Iterable[T] | AsyncIterable[T], **how: Any) -> Loop[T]:
        """As Run.each, for `async for`."""
        return self._run.each(items, **how)

    def items(self, items: Iterable[T] | AsyncIterable[T], **how: Any) -> ItemLoop[T]:
        """As Run.items, for `async for`; its blocks stay plain `with`."""
        return self._run.items(items, **how)

    def map(self, function: Callable[[T], Any], items: Iterable[T] | AsyncIterable[T], **how: Any) -> AsyncMap[T, Any]:
        """As Run.map, for `async for`, or `await run.map(...).drain()`; coroutine functions run in this event loop."""
        return make_map(AsyncMap, self._execution, self.ledger, function, items, **how)

    def queue(self, seed: Iterable[T] = (), **how: Any) -> Queue[T]:
        """As Run.queue; adding to it is not awaited, it is committed with the next cut."""
        return self._run.queue(seed, **how)

    def follow(self, paths: Path | Sequence[Path], **how: Any) -> Follow[Any]:
        """As Run.follow, for `async for`, with `async with batch as tx`; files are read in a thread. With an AsyncEngine
        as sink what `tx` does is awaited."""
        return self._run.follow(paths, **how)

    async def step(
        self, name: str, function: Callable[..., Any], *arguments: Any, returns: Any = None, **named: Any
    ) -> Any:
        """As Run.step, for a coroutine function or a plain one."""
        call = self._execution.begin_step(name, function, arguments, named, returns)
        if call.is_known:
            return call.result
        result = await _awaited(function(*arguments, **named))
        async with self._execution.turn:
            await asyncio.to_thread(call.finish(result))
        self._execution.stop_if_asked()
        return result

    async def phase(
        self, name: str, function: Callable[..., Any], *arguments: Any, returns: Any = None, **named: Any
    ) -> Any:
        """As Run.phase; the function gets an AsyncRun."""
        async with self._execution.turn:
            call = PhaseCall(self._execution, name, result_types(function, returns))
        if call.is_known:
            return call.result
        try:
            result = await _awaited(function(AsyncRun(call.child), *arguments, **named))
            call.keep(result)
        except BaseException as error:
            call.leave(error)
            raise
        async with self._execution.turn:
            call.leave(None)
        return result

    def state(self, target: S) -> S:
        """As Run.state."""
        return self._run.state(target)

    async def checkpoint(self, *kind: str, **how: Any) -> CheckpointId | None:
        """As Run.checkpoint."""
        async with self._execution.turn:
            write = self._execution.offer(*kind, **how)
            if write is None:
                return None
            taken = await asyncio.to_thread(write)
        self._execution.stop_if_asked()
        return taken

    async def save(self, name: Any, value: Any = ..., *, wait: bool = True, **facts: Any) -> Any:
        """As Run.save; a Saving can be awaited."""
        async with self._execution.turn:
            write = self._execution.value(*named_value(name, value), behind=not wait, **facts)
            if wait:
                return await asyncio.to_thread(write)
            if self._execution.cutter.behind.flight is not None:
                await asyncio.to_thread(self._execution.cutter.behind.flight.wait)
            return write()

    async def latest(self, name: str, default: Any = None, *, returns: Any = None) -> Any:
        """As Run.latest."""
        return await asyncio.to_thread(self._run.latest, name, default, returns=returns)

    async def checkpoints(self, kind: str | None = None, limit: int | None = None) -> Sequence[CheckpointRecord]:
        """As Run.checkpoints."""
        return await asyncio.to_thread(self._run.checkpoints, kind, limit)

    def output(
        self, path: str | os.PathLike[str], *, append: bool = False, encoding: str = "utf-8"
    ) -> Output | WholeOutput:
        """As Run.output; writing to it is not awaited, it only fills a buffer."""
        self._execution.cutter.check_usable()
        return self._execution.files.open(path, append=append, encoding=encoding)

    async def progress(
        self, done: int | None = None, *, total: int | None = None, advance: int = 0, note: str | None = None
    ) -> None:
        """As Run.progress."""
        async with self._execution.turn:
            write = self._execution.progress(done, total, advance, note)
            if write is not None:
                await asyncio.to_thread(write)
        self._execution.stop_if_asked()

    def log(self, step: int | None = None, **metrics: Any) -> None:
        """As Run.log; not awaited, it only fills a buffer."""
        self._execution.log(step, metrics)

    @property
    def session(self) -> AsyncSession:
        """As Run.session; its iterations are awaited."""
        execution = self._execution
        if not isinstance(execution.session, AsyncSession):
            execution.session = AsyncSession(execution)
        return execution.session

    async def complete(self, result: Any = None) -> None:
        """As Run.complete."""
        self._execution.complete(result)


async def _awaited(result: Any) -> Any:
    return await result if inspect.isawaitable(result) else result
