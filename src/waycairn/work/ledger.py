"""`run.ledger`: what is done, by key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from waycairn.codec import Types, decode
from waycairn.codec.keys import canonical, key_function, keys_of, plain, single_key
from waycairn.model.records import FailedItem
from waycairn.work.done import DoneKeys

if TYPE_CHECKING:
    from collections.abc import Callable

    from waycairn.work.cut import Cutter
    from waycairn.work.reporting import Reporter

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Where a run stands. Times are UTC; `rate` is items a second of late, `eta` seconds to the end at that rate."""

    total: int | None
    completed: int
    failed: int
    pending: int | None
    percent: float | None
    rate: float | None
    eta: float | None
    started: datetime
    updated: datetime

    def __str__(self) -> str:
        of = "" if self.total is None else f" of {self.total}"
        rate = "" if self.rate is None else f", {self.rate:,.1f} items/s"
        eta = f", {self.eta:,.0f} s to go" if self.eta else ""
        return f"{self.completed}{of} done, {self.failed} failed{rate}{eta}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An item that failed. Times are UTC."""

    loop: str
    key: str | int
    """The key itself if it is a str or an int, else as text."""
    type: str
    message: str
    where: str | None
    traceback: str
    attempts: int
    first: datetime
    last: datetime

    @classmethod
    def of(cls, failed: FailedItem) -> Failure:
        error = failed.error
        return cls(
            loop=failed.loop,
            key=plain(single_key(failed.key, failed.digest)),
            type=error["type"],
            message=error["message"],
            where=error["where"],
            traceback=error["traceback"],
            attempts=failed.attempts,
            first=datetime.fromtimestamp(failed.first, UTC),
            last=datetime.fromtimestamp(failed.last, UTC),
        )

    def __str__(self) -> str:
        times = "" if self.attempts == 1 else f" ({self.attempts} times)"
        return f"{self.key}: {self.type}: {self.message}{times}"


class Ledger:
    """A view of one run's items. Counts include what is done and not yet committed."""

    def __init__(self, cutter: Cutter, started: float, reporter: Reporter) -> None:
        self._cutter = cutter
        self._reporter = reporter
        self._started = started
        self._entered = cutter.store.clock.monotonic()
        self._entered_done = cutter.progress.done

    def is_done(self, key: Any, loop: str = "items") -> bool:
        """Whether the item of that key is done, committed or waiting for the next cut. Reads the keys of the loop."""
        wanted = canonical(key)
        cutter = self._cutter
        if wanted in cutter.items.keys.get(loop, ()):
            return True
        blocks = cutter.store.catalog.done_items(cutter.run, loop)
        return any(wanted in keys_of(block) for block in blocks)

    def pending(
        self, items: Iterable[T], key: str | Callable[[T], Any] | None = None, loop: str = "items"
    ) -> Iterator[T]:
        """Those of the items that are not done, in their order."""
        cutter, find = self._cutter, key_function(key)
        catalog = cutter.store.catalog
        done = DoneKeys(catalog.done_items(cutter.run, loop), catalog.loops(cutter.run).get(loop, 0))
        waiting = set(cutter.items.keys.get(loop, ()))
        for item in items:
            name = canonical(find(item))
            if name not in waiting and not done.contains(name):
                yield item

    def failures(self, loop: str | None = None) -> Iterator[Failure]:
        """The items that failed and are not done, of one loop or of all, as committed; read as they are asked for."""
        for failed in self._cutter.store.catalog.failures(self._cutter.run):
            if loop is None or failed.loop == loop:
                yield Failure.of(failed)

    def result(self, key: Any, default: Any = None, *, loop: str = "items", returns: Any = None) -> Any:
        """What the item of that key gave (`item.result`), also before it is committed, else `default`. Reads the keys
        of the loop."""
        wanted = canonical(key)
        types = None if returns is None else Types.of(returns)
        cutter = self._cutter
        waiting = cutter.items.result_of(loop, wanted)
        if waiting is not None:
            return decode(waiting.document, lambda number: waiting.buffers[number], types=types)
        for block in cutter.store.catalog.done_items(cutter.run, loop):
            keys = keys_of(block)
            if wanted in keys:
                part = cutter.store.load_results(block.results)[keys.index(wanted)] if block.results else None
                return default if part is None else part.load(types)
        return default

    def results(self, *, loop: str = "items", returns: Any = None) -> Iterator[tuple[str | int, Any]]:
        """Key (itself if it is a str or an int, else as text) and result of every item that gave one, in the order in
        which they were done; those of one cut are in memory at a time."""
        types = returns if returns is None or isinstance(returns, Types) else Types.of(returns)
        cutter = self._cutter
        for block in cutter.store.catalog.done_items(cutter.run, loop):
            if block.results is not None:
                for key, part in zip(keys_of(block), cutter.store.load_results(block.results), strict=True):
                    if part is not None:
                        yield plain(key), part.load(types)

    def summary(self) -> Summary:
        cutter = self._cutter
        progress = cutter.progress_now()
        elapsed = cutter.store.clock.monotonic() - self._entered
        finished = progress.done - self._entered_done
        rate = self._reporter.rate or (finished / elapsed if finished > 0 and elapsed > 0 else None)
        pending = None if progress.total is None else max(0, progress.total - progress.done - progress.failed)
        return Summary(
            total=progress.total,
            completed=progress.done,
            failed=progress.failed,
            pending=pending,
            percent=progress.percent,
            rate=rate,
            eta=pending / rate if rate and pending is not None else None,
            started=datetime.fromtimestamp(self._started, UTC),
            updated=datetime.fromtimestamp(cutter.store.clock.now(), UTC),
        )
