"""What became of items since the last cut: done, with their results, or failed, or computed and not folded yet."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from waycairn.codec import bundle
from waycairn.codec.keys import Key, key_digest, pack_keys
from waycairn.model.encoded import Encoded
from waycairn.model.records import DoneItems, FailedItem
from waycairn.store import ComputedDraft

Name = tuple[str, Key]
"""Loop and key of an item."""
Folded = tuple[Encoded, bool]
"""The result of an item that was folded, and whether an earlier cut holds it."""
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
    computed: Mapping[Name, Encoded]
    """Results that wait for their fold, and are in no cut yet."""
    folded: Mapping[Name, Folded]
    queued: Mapping[str, Sequence[Encoded]]

    @property
    def count(self) -> int:
        return sum(map(len, self.keys.values()))

    def blocks(self) -> list[DoneItems]:
        return [DoneItems(loop=loop, count=len(keys), keys=pack_keys(keys)) for loop, keys in self.keys.items()]

    def bundles(self) -> dict[str, Encoded]:
        return {loop: bundle(parts) for loop, parts in self.results.items() if any(part is not None for part in parts)}

    def dropped(self) -> list[tuple[str, bytes]]:
        """Rows of earlier cuts that are not needed any more: the results now stand with their done items."""
        return [(loop, key_digest(key)) for (loop, key), (_, is_saved) in self.folded.items() if is_saved]

    def drafts(self) -> list[ComputedDraft]:
        return [
            ComputedDraft(loop=loop, digest=key_digest(key), key=pack_keys([key]), encoded=encoded)
            for (loop, key), encoded in self.computed.items()
        ]


NOTHING = Taken({}, {}, (), (), 0, {}, {}, {})


class PendingItems:
    """`end` is called by the thread that owns the run, `end_with` and `fail` by any."""

    def __init__(self) -> None:
        self.keys: dict[str, list[Key]] = {}
        self._results: dict[str, list[Encoded | None]] = {}
        self._failures: list[FailedItem] = []
        self._settled: list[tuple[str, bytes]] = []
        self._failed = 0
        self._waiting = 0
        self._computed: dict[Name, Encoded] = {}
        self._saved: dict[Name, Encoded] = {}
        """Results that wait for their fold, and are in a cut."""
        self._folded: dict[Name, Folded] = {}
        """Done since the last cut by a fold."""
        self._queued: dict[str, list[Encoded]] = {}
        self._lock = threading.Lock()

    @property
    def is_empty(self) -> bool:
        return not (self.keys or self._failures or self._computed or self._queued)

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

    def fail(
        self,
        loop: str,
        key: Key,
        error: Mapping[str, Any],
        when: float,
        *,
        had_failed: bool,
        attempts: int = 1,
        poison: bool = False,
    ) -> None:
        failure = FailedItem(
            loop=loop,
            digest=key_digest(key),
            key=pack_keys([key]),
            attempts=attempts,
            first=when,
            last=when,
            poison=poison,
            error=error,
        )
        with self._lock:
            self._failures.append(failure)
            self._failed += not had_failed

    def enqueue(self, queue: str, values: Sequence[Encoded]) -> None:
        """What a queue grew by; committed with the items that end from here on."""
        self._queued.setdefault(queue, []).extend(values)

    # -- results that wait for their fold; by the owner's thread --------------------------------------------------

    def compute(self, loop: str, key: Key, result: Encoded) -> None:
        """The result is there; the item is not done yet."""
        if (loop, key) in self._saved:  # it could not be read
            self._saved[loop, key] = result
            return
        self._computed[loop, key] = result
        self._waiting += result.size

    def recall(self, loop: str, key: Key, result: Encoded) -> None:
        """An earlier entry computed it."""
        self._saved[loop, key] = result

    def fold(self, loop: str, key: Key, *, gave: bool, had_failed: bool) -> None:
        """The item is done: its fold ended. `gave` says that its result is not None."""
        name = (loop, key)
        is_saved = name in self._saved
        result = self._saved.pop(name) if is_saved else self._computed.pop(name)
        self._folded[name] = result, is_saved
        self._waiting -= 0 if is_saved else result.size
        self.end_with(loop, key, result if gave else None, had_failed=had_failed)

    # -- reading and taking ----------------------------------------------------------------------------------------

    def result_of(self, loop: str, key: Key) -> Encoded | None:
        """What an item gave that is not committed yet."""
        with self._lock:
            keys, results = self.keys.get(loop, ()), self._results.get(loop, ())
            if key in keys and results:
                return results[keys.index(key)]
            return self._computed.get((loop, key)) or self._saved.get((loop, key))

    def take(self) -> Taken:
        if self.is_empty:
            return NOTHING
        with self._lock:
            taken = Taken(
                *(self.keys, self._results, self._failures, self._settled, self._failed),
                *(self._computed, self._folded, self._queued),
            )
            self._saved.update(self._computed)
            self._computed = {}
            self._forget()
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
            for name in taken.computed:
                del self._saved[name]
            self._computed = {**taken.computed, **self._computed}
            self._folded = {**taken.folded, **self._folded}
            self._queued = {
                queue: [*taken.queued.get(queue, ()), *self._queued.get(queue, ())]
                for queue in {**taken.queued, **self._queued}
            }

    def take_computed(self) -> Taken:
        """Nothing but the results that wait for their fold."""
        with self._lock:
            taken = msgspec.structs.replace(NOTHING, computed=self._computed)
            self._saved.update(self._computed)
            self._computed = {}
            self._waiting = 0
        return taken

    def clear(self) -> None:
        """The run goes back to the last cut. What was computed since then stays computed."""
        with self._lock:
            for name, (result, is_saved) in self._folded.items():
                (self._saved if is_saved else self._computed)[name] = result
            self._forget()

    def _forget(self) -> None:
        self.keys, self._results, self._failures, self._settled, self._failed = {}, {}, [], [], 0
        self._folded, self._queued = {}, {}
        self._waiting = sum(result.size for result in self._computed.values())
