"""What `wc.run(...)` returns: a run that is not entered yet, for `with` and for `async with`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING

from waycairn.model.policy import Pace
from waycairn.process import SignalGate, current_launch
from waycairn.store import StoreCore
from waycairn.work.entering import Ask, enter
from waycairn.work.execution import Execution
from waycairn.work.run import Run
from waycairn.work.sharing import Share, enter_part

if TYPE_CHECKING:
    from waycairn.work.aio import AsyncRun


class Entry:
    """Entered once, by `with` (a Run) or `async with` (an AsyncRun)."""

    def __init__(
        self,
        core: Callable[[], StoreCore],
        ask: Ask,
        pace: Pace,
        progress: str | None = None,
        share: Share | None = None,
    ) -> None:
        self._core = core
        self._ask = ask
        self._pace = pace
        self._progress = progress
        self._share = share
        self._execution: Execution | None = None
        self._signals = ExitStack()

    def enter(self) -> Execution:
        """Become the owner of the run."""
        core = self._core()
        ask = dataclasses.replace(self._ask, launch=current_launch())
        entered = enter(core, ask) if self._share is None else enter_part(core, ask, self._share)
        gate = SignalGate()
        self._execution = Execution(
            core,
            entered.record,
            pace=self._pace,
            gate=gate,
            hold=entered.hold,
            resumed=entered.resumed,
            has_rival=entered.has_rival,
            progress=self._progress,
            share=self._share,
        )
        return self._execution

    def open(self) -> Run:
        """Enter without a block: leave it with `run.complete()`, or by the end of the process."""
        return Run(self.enter())

    def __enter__(self) -> Run:
        return Run(self._begin_block(self.enter()))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._execution is not None, "left before it was entered"
        with self._signals:
            self._execution.leave(error)

    async def __aenter__(self) -> AsyncRun:
        from waycairn.work.aio import AsyncRun  # brings asyncio, which plain jobs need not load

        return AsyncRun(self._begin_block(self.enter()))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._execution is not None, "left before it was entered"
        try:
            for stream in self._execution.awaited:
                await stream.aclose()
        finally:
            self.__exit__(kind, error, trace)

    def _begin_block(self, execution: Execution) -> Execution:
        self._signals.enter_context(execution.gate)
        execution.is_in_block = True
        execution.span.enter()
        return execution
