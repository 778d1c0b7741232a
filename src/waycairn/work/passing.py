"""One pass over an input: which of its items are to be done."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Iterator, Sized
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from waycairn.codec.keys import Key, canonical, key_function, keys_of, shown
from waycairn.errors import ItemsOverlap
from waycairn.work.cut import Cutter
from waycairn.work.done import DoneKeys, SeenKeys
from waycairn.work.queueing import Queue

if TYPE_CHECKING:
    from waycairn.work.execution import Execution


_AT_ONCE = 4096
_SLOW = 20e-6
"""Seconds an item: an input that takes longer is not read ahead."""
_PLAIN = {str, int}
"""Keys that are canonical as they are, but for integers beyond 64 bits, which no block holds."""


class Looped(Protocol):
    """What a run is worked through by, as the run sees it when it is left."""

    name: str
    keeps_state: bool
    """Whether the run's state lies beside what this commits, and not in the catalog."""

    @property
    def is_exhausted(self) -> bool:
        """Whether everything was done."""
        ...

    def warn_if_unused(self) -> None:
        """The run is left normally, and perhaps nobody asked this for anything."""
        ...

    def close(self) -> None:
        """The run is left."""
        ...


class Pass:
    """One pass over an input: which of its items are to be done. Shared by the loops and by both faces."""

    keeps_state = False

    def __init__(
        self,
        execution: Execution,
        items: Iterable[Any] | AsyncIterable[Any],
        *,
        key: str | Callable[[Any], Any] | None,
        name: str,
        total: int | None,
    ) -> None:
        self.name = name
        self.skipped = 0
        self._is_exhausted = False
        self._execution = execution
        self._items = items
        self._key = items.key if isinstance(items, Queue) and key is None else key_function(key)
        self._share = execution.share
        if total is None and isinstance(items, Sized) and self._share is None:
            total = len(items)
        self._total = total
        self._seen = SeenKeys()
        self._done: DoneKeys | None = None
        self._now = execution.store.clock.monotonic

    @property
    def is_exhausted(self) -> bool:
        """Whether everything was done that the input held."""
        return self._is_exhausted

    def _enter(self) -> None:
        """Its name is used from now on."""
        self._execution.open_loop(self)

    def _start(self) -> Cutter:
        self._enter()
        cutter = self._execution.cutter
        if cutter.open_item is not None:
            loop, key = cutter.open_item
            raise ItemsOverlap(
                f"loop {self.name!r} begins inside item {shown(key)} of loop {loop!r}: cuts lie between items, and those of "
                "the inner loop would hold the outer item half done. Nothing was done. Use run.step for what one item "
                "remembers, or a run of its own."
            )
        cutter.guard.enter_loop(cutter.state)
        cutter.keep_beginning()
        catalog = cutter.store.catalog
        count = catalog.loops(cutter.run).get(self.name, 0)
        self._done = DoneKeys(catalog.done_items(cutter.run, self.name), count) if count else None
        if self._total is not None:
            self._execution.expect(self.name, self._total)
        return cutter

    def _admitted(self, items: Iterable[Any]) -> Iterator[tuple[Key, Any]]:
        """What is to be done, with its key.

        As long as the input has the order in which it was done, more and more of it is compared with that at once, a
        third of the time that it takes one by one; never of an input that is slow, such as one that waits for work.
        """
        source = iter(items) if self._share is None else filter(self._is_ours, items)
        size = min(_AT_ONCE, len(items)) if isinstance(items, Sized) else 1
        while self._done is not None and (expected := self._done.upcoming(size)):
            started = self._now()
            some = list(islice(source, len(expected)))
            is_slow = self._now() - started > len(some) * _SLOW
            if not some:
                return
            if not self._are(some, expected):
                size = 1
                yield from self._one_by_one(some)
                continue
            size = 1 if is_slow else min(_AT_ONCE, 2 * size)
            self._done.skip(len(some))
            self._seen.note(expected[: len(some)])
            self.skipped += len(some)
            if self._done.is_empty:
                self._done = None
        yield from self._one_by_one(source)

    def _rounds(self, items: Iterable[Any]) -> Iterator[Iterable[Any]]:
        """The input once; a queue again and again, as long as it grows."""
        yield items
        while isinstance(items, Queue) and not items.is_empty:
            yield items

    def _one_by_one(self, items: Iterable[Any]) -> Iterator[tuple[Key, Any]]:
        for item in items:
            if (key := self._admit(item)) is not None:
                yield key, item

    def _are(self, items: list[Any], expected: list[Key]) -> bool:
        """Whether these are the next of the expected keys."""
        try:
            keys = list(map(self._key, items))
            if not _PLAIN.issuperset(map(type, keys)):
                keys = list(map(canonical, keys))
        except Exception:  # noqa: BLE001 - raised again where the item is looked at alone
            return False
        return keys == expected[: len(keys)]

    def _is_ours(self, item: Any) -> bool:
        """In a part: whether it is of our share."""
        return self._share is None or self._share.holds(canonical(self._key(item)))

    def _admit(self, item: Any) -> Key | None:
        """The key of an item that is to be done; None if it is done already. ValueError if the key repeats."""
        key = canonical(self._key(item))
        if self._seen.may_repeat(key) and self._is_known(key):
            raise ValueError(
                f"the key {shown(key)} appears twice in the input of loop {self.name!r}: the second item would be "
                "taken for the first and never be done. Items before it are safe. Pass key= so that every item has "
                "its own."
            )
        if self._done is None:
            return key
        if self._done.contains(key):
            self.skipped += 1
            return None
        if self._done.is_empty:
            self._done = None
        return key

    def _is_known(self, key: Key) -> bool:
        """Only asked when a hash repeats: is it the very key?"""
        cutter = self._execution.cutter
        if key in cutter.items.keys.get(self.name, ()):
            return True
        blocks = cutter.store.catalog.done_items(cutter.run, self.name)
        return any(key in keys_of(block) for block in blocks)

    def warn_if_unused(self) -> None:
        """The run is left normally, and perhaps nobody asked this for anything."""

    def close(self) -> None:
        """The run is left."""

    def _finish(self) -> None:
        self._is_exhausted = True
