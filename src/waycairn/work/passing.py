"""One pass over an input: which of its items are to be done."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Sized
from typing import TYPE_CHECKING, Any

from waycairn.codec.keys import Key, canonical, key_function, shown, unpack_keys
from waycairn.work.cut import Cutter
from waycairn.work.done import DoneKeys, SeenKeys

if TYPE_CHECKING:
    from waycairn.work.execution import Execution


class Pass:
    """One pass over an input: which of its items are to be done. Shared by the loops and by both faces."""

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
        self._key = key_function(key)
        self._total = total if total is not None else len(items) if isinstance(items, Sized) else None
        self._seen = SeenKeys()
        self._done: DoneKeys | None = None

    @property
    def is_exhausted(self) -> bool:
        """Whether everything was done that the input held."""
        return self._is_exhausted

    def _start(self) -> Cutter:
        self._execution.open_loop(self)
        cutter = self._execution.cutter
        cutter.guard.enter_loop(cutter.state)
        catalog = cutter.store.catalog
        count = catalog.loops(cutter.run).get(self.name, 0)
        self._done = DoneKeys(catalog.done_items(cutter.run, self.name), count) if count else None
        if self._total is not None:
            self._execution.expect(self.name, self._total)
        return cutter

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
        return any(key in unpack_keys(block.keys) for block in blocks)

    def _finish(self) -> None:
        self._is_exhausted = True
