"""What became of items since the last cut: done, with their results, or failed."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from waycairn.codec import bundle
from waycairn.codec.keys import Key, key_digest, pack_keys
from waycairn.model.encoded import Encoded
from waycairn.model.records import DoneItems, FailedItem

_MOST_WAITING = 64 * 2**20


class Taken(msgspec.Struct, frozen=True):
    """What one cut takes of them; given back if it fails."""

    keys: Mapping[str, list[Key]]
    results: Mapping[str, list[Encoded | None]]
    """As long as the keys of their loop."""
    failures: Sequence[FailedItem]
    settled: Sequence[tuple[str, bytes]]
    failed: int
    """How many more items stand as failed than before; less than 0 if old failures were settled."""

    @property
    def count(self) -> int:
        return sum(map(len, self.keys.values()))

    def blocks(self) -> list[DoneItems]:
        return [DoneItems(loop=loop, count=len(keys), keys=pack_keys(keys)) for loop, keys in self.keys.items()]

    def bundles(self) -> dict[str, Encoded]:
        return {loop: bundle(parts) for loop, parts in self.results.items() if any(part is not None for part in parts)}


NOTHING = Taken({}, {}, (), (), 0)


class PendingItems:
    """`end` is called by the thread that owns the run, `end_with` and `fail` by any."""

    def __init__(self) -> None:
        self.keys: dict[str, list[Key]] = {}
        self._results: dict[str, list[Encoded | None]] = {}
        self._failures: list[FailedItem] = []
        self._settled: list[tuple[str, bytes]] = []
        self._failed = 0
        self._waiting = 0
        self._lock = threading.Lock()

    @property
    def is_empty(self) -> bool:
        return not (self.keys or self._failures)

    @property
    def done(self) -> int:
        return sum(map(len, list(self.keys.values())))

    @property
    def failed(self) -> int:
        """How many more items stand as failed than at the last cut."""
        return self._failed

    @property
    def is_large(self) -> bool:
        """Whether the results that wait for a cut take much memory: then one is due, whatever the pace."""
        return self._waiting >= _MOST_WAITING

    def end(self, loop: str, keys: Sequence[Key]) -> None:
        """Items of a loop without results."""
        self.keys.setdefault(loop, []).extend(keys)

    def end_with(self, loop: str, key: Key, result: Encoded | None, *, had_failed: bool) -> None:
        with self._lock:
            self.keys.setdefault(loop, []).append(key)
            self._results.setdefault(loop, []).append(result)
            self._waiting += 0 if result is None else result.size
            if had_failed:
                self._settled.append((loop, key_digest(key)))
                self._failed -= 1

    def fail(self, loop: str, key: Key, error: Mapping[str, Any], when: float, *, had_failed: bool) -> None:
        failure = FailedItem(
            loop=loop, digest=key_digest(key), key=pack_keys([key]), attempts=1, first=when, last=when, error=error
        )
        with self._lock:
            self._failures.append(failure)
            self._failed += not had_failed

    def result_of(self, loop: str, key: Key) -> Encoded | None:
        """What an item gave that is not committed yet."""
        with self._lock:
            keys, results = self.keys.get(loop, ()), self._results.get(loop, ())
            return results[keys.index(key)] if key in keys and results else None

    def take(self) -> Taken:
        if self.is_empty:
            return NOTHING
        with self._lock:
            taken = Taken(self.keys, self._results, self._failures, self._settled, self._failed)
            self._clear()
        return taken

    def give_back(self, taken: Taken) -> None:
        """The cut that took them failed; items that ended meanwhile come behind them."""
        with self._lock:
            for loop, keys in taken.keys.items():
                self.keys[loop] = keys + self.keys.get(loop, [])
            for loop, results in taken.results.items():
                self._results[loop] = results + self._results.get(loop, [])
            self._failures = [*taken.failures, *self._failures]
            self._settled = [*taken.settled, *self._settled]
            self._failed += taken.failed

    def clear(self) -> None:
        """Forget all: the run goes back to the last cut."""
        with self._lock:
            self._clear()

    def _clear(self) -> None:
        self.keys, self._results, self._failures, self._settled, self._failed = {}, {}, [], [], 0
        self._waiting = 0
