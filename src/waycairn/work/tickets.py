"""Items on their way through a map, and the line of those that wait for their fold."""

from __future__ import annotations

from collections import deque
from typing import Any

from waycairn import errors
from waycairn.codec import Types, decode
from waycairn.codec.keys import Key, key_digest, shown
from waycairn.errors import ItemFailed, WaycairnError
from waycairn.model.encoded import Encoded
from waycairn.model.tasks import Outcome


class Ticket:
    """One item on its way."""

    __slots__ = ("attempts", "deaths", "digest", "had_failed", "key", "place", "result", "suspicion", "value")

    def __init__(self, place: int, key: Key, value: Any, *, had_failed: bool) -> None:
        self.place = place
        self.key = key
        self.value = value
        self.digest = key_digest(key)
        self.had_failed = had_failed
        self.attempts = 0
        self.deaths = 0
        """Of worker processes that ran it."""
        self.suspicion = 0
        """Deaths of this process while it ran, see `fanout.flights`."""
        self.result: Any = None


class Line:
    """Computed items, in the order of their results or, if `is_ordered`, in that of the input."""

    def __init__(self, *, is_ordered: bool) -> None:
        self._ready: deque[Ticket] = deque()
        self._is_ordered = is_ordered
        self._early: dict[int, Ticket | None] = {}
        """There before the one that is next; None for one that failed."""
        self._next = 0

    def __len__(self) -> int:
        return len(self._ready)

    @property
    def held_back(self) -> int:
        """How many wait for one that is not there."""
        return len(self._early)

    def join(self, place: int, ticket: Ticket | None) -> None:
        """The item of that place is computed, or failed."""
        if not self._is_ordered:
            if ticket is not None:
                self._ready.append(ticket)
            return
        self._early[place] = ticket
        while self._next in self._early:
            if (early := self._early.pop(self._next)) is not None:
                self._ready.append(early)
            self._next += 1

    def next(self) -> Ticket | None:
        return self._ready.popleft() if self._ready else None


def decoded(encoded: Encoded, types: Types) -> Any:
    """A value of its own: what its body does to it does not reach what is stored."""
    if not encoded.buffers:
        return decode(encoded.document, _no_buffer, types=types)
    return decode(encoded.document, lambda number: memoryview(bytearray(encoded.buffers[number])), types=types)


def _no_buffer(number: int) -> memoryview:
    raise ValueError(f"there is no buffer {number}")


def stop_of(outcome: Outcome) -> BaseException:
    """The error of the store, or the request to stop, that a worker met."""
    if outcome.exception is not None:
        return outcome.exception
    facts = outcome.error or {}
    kind = getattr(errors, facts.get("type", ""), WaycairnError)
    return kind(facts.get("message"))


def item_failed(outcome: Outcome, key: Key) -> ItemFailed:
    facts = outcome.error or {}
    failed = ItemFailed(
        f"item {shown(key)} failed: {facts.get('type')}: {facts.get('message')}. It is undone; what was done before it "
        "is safe.",
        key=shown(key),
        error=dict(facts),
    )
    failed.add_note(str(facts.get("traceback")))
    return failed
