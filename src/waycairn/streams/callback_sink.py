"""A sink that is a function of the user's: AT LEAST ONCE, and no more can be promised.

The function is called first, then the offsets are committed. A process that dies in between calls it again for the
same events. They come with a key: whoever keeps the keys that it has seen, or writes in a way that a second time
changes nothing, has each event once. After such a restart a batch may be cut elsewhere, if the size of batches or the
files were changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Engine

from waycairn.streams.barrier import barrier
from waycairn.streams.ledger_connection import LedgerConnection
from waycairn.streams.records import Holder, Standing, Step
from waycairn.world.crashpoints import crashpoint

Deliver = Callable[[Sequence[Any], str], Any]
"""Called with the events and their key. What it raises leaves the offsets where they were."""


def key_of(stream: str, generation: int, offset: int) -> str:
    """The idempotency key of an event, which is always the same for the same event of a stream."""
    return f"{stream}:{generation}:{offset}"


class CallbackSink:
    """Calls the function, then commits the offsets in the database of `engine`. At least once: see above."""

    def __init__(self, function: Deliver, engine: Engine, **options: Any) -> None:
        self._function = function
        self._ledger = LedgerConnection(engine, **options)

    def open(
        self, name: str, holder: Holder, *, parser: str = "", facts: Mapping[str, Any] | None = None, now: float = 0.0
    ) -> Standing:
        """As `EngineSink.open`."""
        return self._ledger.open(name, holder, parser=parser, facts=facts or {}, now=now)

    def begin(self) -> CallbackTransaction:
        """Begin a batch. Raises OwnershipLost where somebody else moves the stream by now. Nothing stays locked, since
        the function may take its time."""
        self._ledger.probe()
        return CallbackTransaction(self._ledger, self._function)

    def barrier(self) -> None:
        """As `EngineSink.barrier`."""
        barrier(self._ledger)

    def close(self) -> None:
        """Idempotent."""
        self._ledger.close()


class CallbackTransaction:
    """One batch. Ends with `commit` or `rollback`, once."""

    __slots__ = ("_ledger", "user")

    def __init__(self, ledger: LedgerConnection, function: Deliver) -> None:
        self._ledger = ledger
        self.user = Delivery(ledger.name, function)

    def commit(self, step: Step) -> None:
        """Move the ledger on. What was delivered stays delivered, also if this raises."""
        crashpoint("stream.delivered")
        self._ledger.begin()
        with self._ledger:
            self._ledger.settle(step)

    def rollback(self) -> None:
        """The offsets stay where they were: what was delivered will be delivered again."""


class Delivery:
    """Calls the function with events and their key."""

    __slots__ = ("_function", "_stream")

    def __init__(self, stream: str, function: Deliver) -> None:
        self._stream = stream
        self._function = function

    def deliver(self, events: Sequence[Any], generation: int, offset: int) -> Any:
        """What the function returns: an awaitable, if it is a coroutine function. `generation` and `offset` are those
        of the first event."""
        return self._function(events, key_of(self._stream, generation, offset))
