"""A pass whose items may fail: which of them were handed out, and which failed before and are tried again."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from waycairn.codec.keys import Key, key_digest
from waycairn.work.cut import Cutter
from waycairn.work.passing import Pass

if TYPE_CHECKING:
    from waycairn.work.execution import Execution


class Handing(Pass):
    """What `run.items` and `run.map` have in common."""

    def __init__(
        self,
        execution: Execution,
        items: Iterable[Any] | AsyncIterable[Any],
        *,
        key: str | Callable[[Any], Any] | None,
        name: str,
        total: int | None,
        retry_failed: bool | None,
    ) -> None:
        super().__init__(execution, items, key=key, name=name, total=total)
        # What was said here, else what is set, as by `waycairn resume --only-pending` or `--retry-failed`. What killed its
        # process is tried again only where that was said.
        said = execution.store.settings.batches.retry_failed if retry_failed is None else retry_failed
        self._retry_failed = said is not False
        self._retry_poison = said is True
        self._failed_before: Mapping[bytes, bool] = {}
        self._failed_now: set[Key] = set()
        self._unended: set[Key] = set()
        """Handed out, and neither done nor failed yet."""

    @property
    def is_exhausted(self) -> bool:
        """Whether the input ended and every item that was handed out is done or failed."""
        return self._is_exhausted and not self._unended

    def _start(self) -> Cutter:
        cutter = super()._start()
        if cutter.progress.failed:
            self._failed_before = cutter.store.catalog.failed_digests(cutter.run, self.name)
        return cutter

    def _hand_out(self, key: Key) -> bool | None:
        """Whether the item failed before; None if it did and is to be left alone."""
        is_poison = self._failed_before.get(key_digest(key)) if self._failed_before else None
        had_failed = is_poison is not None
        if (had_failed and not self._retry_failed) or (is_poison and not self._retry_poison):
            self.skipped += 1
            return None
        self._unended.add(key)
        return had_failed

    def ended(self, key: Key, *, is_done: bool) -> None:
        """An item is done, or failed."""
        if not is_done:
            self._failed_now.add(key)
        self._unended.discard(key)

    def _is_known(self, key: Key) -> bool:
        return key in self._failed_now or key in self._unended or super()._is_known(key)
