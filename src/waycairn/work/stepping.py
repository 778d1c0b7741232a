"""`run.steps`: a training loop. A step is done when the loop asks for the next one; saves are written behind it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Literal

from waycairn.model.pace import Pacer
from waycairn.model.policy import Pace
from waycairn.model.retention import Keep
from waycairn.process import grace
from waycairn.work.cut import Cutter
from waycairn.work.loop import Walk
from waycairn.work.request import END, PACED, Request
from waycairn.work.restoring import attach_tracked, tracked_of
from waycairn.work.slowdown import Slowdown

if TYPE_CHECKING:
    from waycairn.work.execution import Execution

log = logging.getLogger("waycairn")

WhenBusy = Literal["wait", "skip"]


def pace_of(save_every: float | str | Pace | None, default: Pace) -> Pace:
    """What a user writes as `save_every`: "auto", so many steps, "5m", a Pace; None is the run's own pace."""
    if save_every is None:
        return default
    if isinstance(save_every, int) and not isinstance(save_every, bool):
        if save_every < 1:
            raise ValueError(f"save_every is a number of steps from 1 up, not {save_every}")
        return Pace(items=save_every)
    return Pace.of(save_every)


class StepLoop:
    """One pass over the steps that are not done. Iterated once; `for` in a Run, `async for` in an AsyncRun.

    `break` counts the open step as done: what it did to the tracked objects cannot be taken out of them. After an
    exception that leaves the run the last save stands, and the steps since then run again.
    """

    keeps_state = False

    def __init__(
        self,
        execution: Execution,
        count: int,
        *,
        save_every: float | str | Pace | None,
        name: str,
        when_busy: WhenBusy,
        keep: Keep,
    ) -> None:
        if count < 0:
            raise ValueError(f"the number of steps is 0 or more, not {count}")
        if when_busy not in ("wait", "skip"):
            raise ValueError(f'when_busy is "wait" or "skip", not {when_busy!r}')
        self.name = name
        self.count = count
        self._keep = keep
        self._execution = execution
        self._cutter: Cutter = execution.cutter
        self._pacer = Pacer(
            pace_of(save_every, execution.pace), execution.store.clock.monotonic(), believes_the_first=True
        )
        self._pacer.expect(count)
        self._waits_for_it = when_busy == "wait" and self._pacer.policy.items is not None
        self._grace = grace()
        self._slowdown = Slowdown()
        self._saved = 0
        """How many steps the newest save holds."""
        self._has_begun = self._is_exhausted = self._is_left = False
        self._now = execution.store.clock.monotonic

    # -- as the run sees it ------------------------------------------------------------------------------------------

    @property
    def is_exhausted(self) -> bool:
        """Whether every step was done."""
        return self._is_exhausted

    def warn_if_unused(self) -> None:
        """The run is left normally, and perhaps nobody iterated this."""
        if not self._has_begun:
            log.warning("run.steps(%d) was called and not iterated: no step was done", self.count)

    def close(self) -> None:
        """The run is left."""

    # -- the two faces -----------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[int]:
        for step in self._pending():
            self._begin(step)
            try:
                yield step
            except GeneratorExit:
                self.leave()
                raise
            if (request := self._end(step)) is not None:
                self._save(request)
        self._finish()

    def __aiter__(self) -> AsyncIterator[int]:
        return Walk(self.walk(), self.leave)

    async def walk(self) -> AsyncIterator[int]:
        """`async for`, as a generator. The copy is made on the thread of the event loop; waiting happens in another."""
        for step in self._pending():
            self._begin(step)
            yield step
            if (request := self._end(step)) is not None:
                async with self._execution.turn:
                    if self._cutter.behind.flight is not None:
                        await asyncio.to_thread(self._cutter.behind.flight.wait)
                    self._save(request)
        async with self._execution.turn:
            await asyncio.to_thread(self._cutter.behind.settle)
            self._finish()

    def leave(self) -> None:
        """`break`: the open step counts as done."""
        if not self._is_left and self._cutter.open_item is not None and self._cutter.open_item[0] == self.name:
            self._is_left = True
            if not self._cutter.is_closed:
                self._cutter.left_item = self._cutter.open_item
                self._count(self._tracked.steps.get(self.name, 0))

    # -- one step ----------------------------------------------------------------------------------------------------

    def _pending(self) -> range:
        self._has_begun = True
        cutter = self._cutter
        self._execution.open_loop(self)
        if cutter.restored is None:  # else all of it would be read once more
            attach_tracked(cutter, {}, strict=False, has_begun=False)
        self._tracked = tracked_of(cutter)
        done = min(self._tracked.steps.setdefault(self.name, 0), self.count)
        cutter.keeping.policy = self._keep
        cutter.at_first = self._tracked.restore_rng
        cutter.expect_steps(done, self.count)
        cutter.behind.reserve(self._tracked)
        self._saved = done
        if done:
            log.info("loop %r goes on at step %d of %d", self.name, done, self.count)
        self._pacer.begin(self._now())
        return range(done, self.count)

    def _begin(self, step: int) -> None:
        self._cutter.begin_item(self.name, step)
        self._cutter.journal.step = step
        self._slowdown.begin(self._now())

    def _end(self, step: int) -> Request | None:
        """The step is done; what is to be saved now, if anything."""
        cutter = self._cutter
        moment = self._now()
        self._count(step)
        self._slowdown.end(moment, is_saving=cutter.behind.flight is not None)
        self._execution.report(moment)
        if cutter.behind.flight is not None and cutter.behind.flight.done():
            self._landed(moment)
        elif step == 0:
            # Optimizers make their state in the first step: now it is known how much memory a copy takes.
            cutter.behind.reserve(self._tracked)
        if self._execution.gate.received:
            self._stop()
        if cutter.wanted:
            return cutter.wanted
        is_due = self._is_due(step, moment) and (cutter.behind.flight is None or self._waits_for_it)
        return PACED if is_due else None

    def _is_due(self, step: int, moment: float) -> bool:
        every = self._pacer.policy.items
        if every is not None:  # at the same steps whenever it was resumed
            return (step + 1) % every == 0
        return self._pacer.is_due(moment)

    def _count(self, step: int) -> None:
        cutter = self._cutter
        cutter.close_item()
        cutter.journal.step = None
        self._tracked.steps[self.name] = step + 1
        cutter.tell(done=None, total=None, advance=1, note=None)

    # -- saving ------------------------------------------------------------------------------------------------------

    def _save(self, request: Request) -> None:
        began = self._now()
        self._cutter.take_behind(request)
        self._saved = self._tracked.steps[self.name]
        self._slowdown.stalled(began, self._now())

    def _landed(self, moment: float) -> None:
        """A save has ended; its error is raised here."""
        self._cutter.behind.settle()
        cost = self._slowdown.landed(moment)
        self._pacer.took(moment - cost, moment)

    def _stop(self) -> None:
        """A signal: wait for the save in flight, and write one more if there is time for it."""
        execution, cutter = self._execution, self._cutter
        flight, deadline = cutter.behind.flight, self._now() + self._grace
        if flight is not None:
            if not flight.wait(self._grace):
                execution.stop_if_asked(said="the save before the one that is under way stands")
            cutter.behind.settle()
            if self._now() + self._slowdown.flight > deadline:
                execution.stop_if_asked(said=f"its save of step {self._saved} is durable")
        cutter.take(cutter.stopping())
        execution.stop_if_asked()

    def _finish(self) -> None:
        self._is_exhausted = True
        cutter = self._cutter
        cutter.behind.settle()
        if self._tracked.steps[self.name] != self._saved or cutter.wanted:
            cutter.take(cutter.wanted or END)
        cutter.behind.trim()
        self._execution.stop_if_asked()
