"""`run.queue`: an input that grows while it is worked through, such as pages that link to further pages."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from waycairn.codec import Types, encode
from waycairn.codec.keys import canonical, key_digest, key_function, short
from waycairn.model.encoded import Encoded

if TYPE_CHECKING:
    from waycairn.work.cut import Cutter

T = TypeVar("T")


class Queue(Generic[T]):
    """The seed, then what was added, in that order; what is known by its key is ignored::

        queue = run.queue([start])
        for item in run.map(fetch, queue, workers=8):
            queue.extend(item.result.links)

    Given to one loop (`each`, `items` or `map`), which ends when it is empty and nothing is on its way. What a body adds
    is in the queue when its item is done, in the same cut; if the item fails or is left undone, it was never added.
    Used by the thread, and in an AsyncRun by the task, that iterates: a worker returns what it found.
    """

    def __init__(
        self, cutter: Cutter, seed: Iterable[T], key: str | Callable[[Any], Any] | None, name: str, types: Types
    ) -> None:
        self.name = name
        self.key = key_function(key)
        self._cutter = cutter
        self._types = types
        self._owner = _here()
        self._known: set[bytes] = set()
        """Digests of all keys that were met, 16 bytes each: an item must never be ignored for a coincidence."""
        self._read = self._earlier(seed)
        self._has_read = False
        self._fresh: deque[T] = deque()
        self._open: list[tuple[bytes, T, Encoded]] = []
        """Added inside the open item."""
        cutter.queues.append(self)

    def add(self, value: T) -> bool:
        """Whether it was new. Raises TypeError for a value that cannot be stored or a key that is none."""
        self._cutter.check_usable()
        if _here() != self._owner:
            raise RuntimeError(
                f"{short(value)} is added to queue {self.name!r} by a worker: whether its item will be done is not known "
                "there. It was not added. Return it, and add it in the body of the loop."
            )
        digest = key_digest(canonical(self.key(value)))
        if digest in self._known:
            return False
        addition = (digest, value, encode(value, types=self._types).detached())
        self._known.add(digest)
        if self._cutter.open_item is None:
            self._publish([addition])
        else:
            self._open.append(addition)
        return True

    def extend(self, values: Iterable[T]) -> int:
        """Add several; how many were new."""
        return sum([self.add(value) for value in values])

    def settle(self, *, keep: bool) -> None:
        """The open item ended, or never was."""
        if not self._open:
            return
        additions, self._open = self._open, []
        if keep:
            self._publish(additions)
        else:
            self._known.difference_update(digest for digest, _, _ in additions)

    def _publish(self, additions: list[tuple[bytes, T, Encoded]]) -> None:
        self._fresh.extend(value for _, value, _ in additions)
        self._cutter.items.enqueue(self.name, [encoded for _, _, encoded in additions])

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing more to hand out now."""
        return self._has_read and not self._fresh

    def __iter__(self) -> Iterator[T]:
        """What there is; to be asked again while `is_empty` is false."""
        yield from self._read
        self._has_read = True
        while self._fresh:
            yield self._fresh.popleft()

    def _earlier(self, seed: Iterable[T]) -> Iterator[T]:
        """The seed, and what earlier entries added."""
        for value in seed:
            if self._is_new(value):
                yield value
        store = self._cutter.store
        for stored in store.catalog.queued(self._cutter.run, self.name):
            for part in store.load_results(stored):
                assert part is not None, "an addition has a value"
                value = part.load(self._types)
                if self._is_new(value):
                    yield value

    def _is_new(self, value: T) -> bool:
        digest = key_digest(canonical(self.key(value)))
        if digest in self._known:
            return False
        self._known.add(digest)
        return True


def _here() -> tuple[int, int]:
    """Thread and task."""
    task = None
    if "asyncio" in sys.modules:  # a plain job need not load it
        try:
            task = sys.modules["asyncio"].current_task()
        except RuntimeError:
            task = None
    return threading.get_ident(), id(task)
