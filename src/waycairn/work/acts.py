"""What a flow asks to be done: decided by one generator, done by blocking or by awaiting.

A flow yields acts and is sent what they gave; its `return` is its result. So there is one flow for both faces.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Generator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec

if TYPE_CHECKING:
    from waycairn.work.execution import Execution

R = TypeVar("R")


class Act(msgspec.Struct, frozen=True):
    """A call that may take long."""

    what: Literal["work", "cut", "wait"]
    """`cut` is a commit of the run: one after the other, whatever tasks there are."""
    call: Callable[..., Any] | None = None
    """May be a coroutine function."""
    seconds: float = 0.0


Flow = Generator[Act, Any, R]


def work(call: Callable[[], Any]) -> Act:
    """To be called, or called and awaited."""
    return Act("work", call)


def cut(call: Callable[[], Any]) -> Act:
    """A commit of the run."""
    return Act("cut", call)


def wait(seconds: float) -> Act:
    """To do nothing for so long."""
    return Act("wait", None, seconds)


class _Finished(BaseException):
    """A call that was done when its task was cancelled: what it gave is taken, and then the task ends."""

    def __init__(self, given: Any, cancelled: BaseException) -> None:
        self.given, self.cancelled = given, cancelled


async def _through(flow: Flow[R], do: Callable[[Act], Awaitable[Any]]) -> R:
    """To the end of the flow."""
    late: BaseException | None = None
    try:
        act = next(flow)
        while True:
            try:
                if late is not None:
                    raise late  # noqa: TRY301 - into the flow, like an error of the act
                given = await do(act)
            except _Finished as finished:
                late = finished.cancelled
                act = flow.send(finished.given)
            except BaseException as error:  # noqa: BLE001 - the flow decides
                late = None
                act = flow.throw(error)
            else:
                act = flow.send(given)
    except StopIteration as stop:
        if late is not None:
            raise late from None
        return stop.value  # type: ignore[no-any-return]


def drive(flow: Flow[R], execution: Execution) -> R:
    """To the end of the flow, on this thread."""

    async def do(act: Act) -> Any:
        if act.call is None:
            return execution.store.clock.sleep(act.seconds)
        given = act.call()
        if inspect.iscoroutine(given):
            given.close()
            raise TypeError(
                "this sink is awaited: an AsyncEngine or a coroutine function. Nothing was committed. Use `async with "
                "wc.run(...)` and `async for`."
            )
        return given

    going = _through(flow, do)
    try:
        going.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    raise AssertionError("what blocks never gives the thread away")


async def _in_thread(call: Callable[[], Any]) -> Any:
    """A cancelled task waits for the thread: what that works with is used again by what comes next."""
    import asyncio

    task = asyncio.ensure_future(asyncio.to_thread(call))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError as cancelled:
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        if task.cancelled() or task.exception() is not None:
            raise
        raise _Finished(task.result(), cancelled) from None


async def drive_async(flow: Flow[R], execution: Execution) -> R:
    """The same, while other tasks go on."""
    import asyncio  # which plain jobs need not load

    async def do(act: Act) -> Any:
        if act.call is None:
            return await asyncio.sleep(act.seconds)
        if act.what == "cut":
            async with execution.turn:
                return await _in_thread(act.call)
        if inspect.iscoroutinefunction(act.call):
            return await act.call()
        given = await _in_thread(act.call)
        return await given if inspect.isawaitable(given) else given

    return await _through(flow, do)
