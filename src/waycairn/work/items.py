"""`run.items`: an item ends with its own `with` block, done or failed, and the loop goes on."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from waycairn.codec import encode
from waycairn.codec.keys import Key, plain, shown
from waycairn.errors import ItemsOverlap, WaycairnError
from waycairn.model.encoded import Encoded
from waycairn.work.cut import Cutter
from waycairn.work.facts import describe
from waycairn.work.handing import Handing
from waycairn.work.loop import take_async
from waycairn.work.queueing import Queue
from waycairn.work.request import END, PACED, Request
from waycairn.world.crashpoints import crashpoint

if TYPE_CHECKING:
    from waycairn.work.execution import Execution

T = TypeVar("T")


class Item(Generic[T]):
    """One item, handed out to be done:

        with item:
            item.result = work(item.value)

    The end of the block makes it done; an exception in it makes it failed, recorded with its traceback, and goes no
    further. Errors of the store and requests to stop are no failures of an item: they leave it undone. In a run
    without a state and without growing outputs several items may be open at once, in threads or tasks.
    """

    def __init__(self, loop: ItemLoop[T], key: Key, value: T, *, had_failed: bool) -> None:
        self.value = value
        self.result: Any = None
        """What the item gives: kept with it, see `run.ledger.result`. It is stored as it is at the end of the block."""
        self.had_failed = had_failed
        """True if it failed in an earlier entry and is tried again."""
        self._key = key
        self._loop = loop

    @property
    def key(self) -> str | int:
        """Its key itself if it is a str or an int, else as text."""
        return plain(self._key)

    def __enter__(self) -> Item[T]:
        self._loop.begin(self._key)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None:
            try:
                result = None if self.result is None else encode(self.result).detached()
            except (TypeError, ValueError) as problem:
                error = problem
            else:
                self._loop.end(self._key, result, had_failed=self.had_failed)
                return False
        if isinstance(error, WaycairnError) or not isinstance(error, Exception):
            self._loop.give_up(self._key)
            return False
        self._loop.fail(self._key, error, had_failed=self.had_failed)
        return True


class ItemLoop(Handing, Generic[T]):
    """Hands out what is not done, as Items. Iterated once; `for` in a Run, `async for` in an AsyncRun.

    Cuts are taken by the thread that iterates, between two items, at the run's pace.
    """

    def __init__(self, execution: Execution, items: Iterable[Any] | AsyncIterable[Any], **how: Any) -> None:
        """`how` as for Handing."""
        super().__init__(execution, items, **how)
        self._open: dict[Key, Encoded | None] = {}

    @property
    def _is_alone(self) -> bool:
        """One item at a time: what several do to a state or an output could not be told apart."""
        return self._execution.cutter.state is not None or bool(self._execution.cutter.outputs)

    # -- what items do, in any thread ----------------------------------------------------------------------------

    def begin(self, key: Key) -> None:
        """Raises ItemsOverlap for a second open item beside a state or a growing output."""
        cutter = self._execution.cutter
        cutter.check_usable()
        if self._is_alone and self._open:
            raise ItemsOverlap(
                f"item {shown(key)} begins while {shown(next(iter(self._open)))} is open, in a run with a state or a "
                "growing output: what each of them changed there could not be told apart. Nothing was done. Do one "
                "item at a time, or keep what they give as item.result."
            )
        self._open[key] = cutter.state.encode().detached() if cutter.state is not None else None
        if self._is_alone or len(self._open) == 1:
            cutter.begin_item(self.name, key)
        else:
            cutter.open_item = None  # steps can no longer be told to belong to one of them

    def end(self, key: Key, result: Encoded | None, *, had_failed: bool) -> None:
        """Done; durable with the next cut."""
        crashpoint("item.end")
        cutter = self._leave(key)
        cutter.items.end_with(self.name, key, result, had_failed=had_failed)
        self.ended(key, is_done=True)

    def fail(self, key: Key, error: Exception, *, had_failed: bool) -> None:
        """Failed: what it did to the state and to outputs is taken back."""
        before = self._open.get(key)
        cutter = self._execution.cutter
        if cutter.open_item == (self.name, key):
            cutter.undo_item(before)
        self._leave(key)
        facts = describe(error, shown(key))
        cutter.items.fail(self.name, key, facts, cutter.store.clock.now(), had_failed=had_failed)
        self.ended(key, is_done=False)

    def give_up(self, key: Key) -> None:
        """Neither done nor failed: something stops the run."""
        self._open.pop(key, None)

    def _leave(self, key: Key) -> Cutter:
        self._open.pop(key, None)
        cutter = self._execution.cutter
        if cutter.open_item == (self.name, key):
            cutter.open_item = None
            cutter.settle_queues(keep=True)
        return cutter

    # -- the two faces -------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Item[T]]:
        if not isinstance(self._items, Iterable):
            raise TypeError("this input is asynchronous; use `async with wc.run(...)` and `async for`")
        cutter = self._start()
        for key, value in self._admitted(self._items):
            item = self._handed(key, value)
            if item is None:
                continue
            yield item
            if request := self._due(cutter):
                cutter.take(request)
                self._execution.stop_if_asked(inside=not self._is_alone)
        self._end()
        if not cutter.items.is_empty or cutter.wanted:
            cutter.take(cutter.wanted or END)
        self._execution.stop_if_asked(inside=not self._is_alone)

    async def __aiter__(self) -> AsyncIterator[Item[T]]:
        cutter = self._start()
        async for value in _values(self._items):
            key = self._admit(value) if self._is_ours(value) else None
            item = None if key is None else self._handed(key, value)
            if item is None:
                continue
            yield item
            if request := self._due(cutter):
                await take_async(self._execution, request)
                self._execution.stop_if_asked(inside=not self._is_alone)
        self._end()
        if not cutter.items.is_empty or cutter.wanted:
            await take_async(self._execution, cutter.wanted or END)
        self._execution.stop_if_asked(inside=not self._is_alone)

    def _end(self) -> None:
        if isinstance(self._items, Queue) and self._unended:
            raise ItemsOverlap(
                f"queue {self._items.name!r} is empty while item {shown(next(iter(self._unended)))} is not ended, which "
                "may add to it. What is done is safe. End each item before the next one is asked for, or use run.map."
            )
        self._is_exhausted = True

    def _handed(self, key: Key, value: Any) -> Item[T] | None:
        """The item, unless it failed before and is to be left alone."""
        had_failed = self._hand_out(key)
        return None if had_failed is None else Item(self, key, value, had_failed=had_failed)

    def _due(self, cutter: Cutter) -> Request | None:
        """The cut that is to be taken now, if one is; never inside an item beside a state or an output."""
        now = cutter.store.clock.monotonic()
        self._execution.report(now)
        if cutter.open_item is not None and self._is_alone:
            return None
        if self._execution.gate.received:
            return cutter.stopping()
        if cutter.pacer.is_due(now) or cutter.wanted or cutter.items.is_large:
            return cutter.wanted or PACED
        return None


async def _values(items: Iterable[Any] | AsyncIterable[Any]) -> AsyncIterator[Any]:
    if isinstance(items, Iterable):
        for value in items:
            yield value
        return
    async for value in items:
        yield value
