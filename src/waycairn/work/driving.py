"""The owner's side of a map: hands items out, takes what came back, says when to fold, to cut and to wait.

One generator decides, for both faces: it yields a Computed (fold it), a Request (take that cut), or a Wait, and goes on
when that was done.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from waycairn.codec import encode
from waycairn.codec.keys import Key, plain, shown, single_key
from waycairn.errors import Damaged
from waycairn.fanout import PROVEN, FlightLog, Inbox
from waycairn.model.encoded import Encoded
from waycairn.model.limit import RateLimit
from waycairn.model.records import ComputedItem
from waycairn.model.tasks import Outcome, Task
from waycairn.ports import Executor
from waycairn.work.computed import Computed, Options
from waycairn.work.feeding import AsyncFeed, Feed, QueueFeed
from waycairn.work.request import END, PACED, Request
from waycairn.work.tickets import Line, Ticket, decoded, item_failed, stop_of
from waycairn.world.crashpoints import crashpoint
from waycairn.world.randomness import chance

if TYPE_CHECKING:
    from waycairn.work.execution import Execution
    from waycairn.work.mapping import Map

log = logging.getLogger("waycairn")


class Wait(NamedTuple):
    """For something to come back, and then a little for more of it: one look at ten results costs as much as at one."""

    seconds: float
    linger: float


Command = Computed[Any, Any] | Request | Wait

_BATCH_SECONDS = 0.004
"""Work that one worker gets at once, where items are short."""
_MOST_AT_ONCE = 256
_TICK = 0.1
"""Seconds at most between two looks at signals and at what runs out of time."""
_SLOW_INPUT = 0.002
"""Seconds after which an input that gives nothing is left alone for a round."""
_LINGER = 0.002
_SMALL_BATCH = 32
"""Batches from this size on come back together anyway."""
_PATIENCE = 0.1
"""Seconds that a cut waits for what is computed to be folded, so that it need not be stored twice."""
_AHEAD = 1024
"""In the order of the input: how far others may be ahead of the one that is waited for."""
_SUSPECT_DEATHS = 2
"""Deaths of this process after which an item that ran each time is a suspect."""
_FEWER = 4
"""With each further death a fourth as many run beside it: a few deaths find one item among hundreds, and those that only
ran when a machine was taken away, twice, cost no more than a slower start."""
_WORKER_DEATHS = 3
"""Deaths of worker processes after which the item that they ran has failed."""
_LEARN = 0.2
_NONE = encode(None).document


class Driver:
    """One pass of one map. Everything here runs on the owner's thread."""

    def __init__(
        self,
        loop: Map[Any, Any],
        execution: Execution,
        options: Options,
        *,
        feed: Feed | QueueFeed | AsyncFeed,
        executor: Executor,
        inbox: Inbox,
        flights: FlightLog,
        is_folding: bool,
    ) -> None:
        self.done = 0
        self.failed = 0
        self._execution = execution
        self._cutter = execution.cutter
        self._items = execution.cutter.items
        self._now = execution.store.clock.monotonic
        self._feed = feed
        self._map = loop
        self._loop = loop.name
        self._executor = executor
        self._inbox = inbox
        self._flights = flights
        self._vault = execution.store.catalog.info.vault
        self._options = options
        self._types = options.types
        self._is_folding = is_folding
        self._limit = RateLimit(options.rate, self._now()) if options.rate else None
        self._is_direct = self._limit is not None or options.timeout is not None
        """An item is handed out when a worker is free: its time counts from there."""
        self._recalled = self._recall()
        self._numbers = count()
        self._places = count()
        self._damaged: set[Key] = set()
        """Computed before, but what was stored of it cannot be read."""
        self._flying: dict[int, Ticket] = {}
        self._line = Line(is_ordered=is_folding and options.order == "input")
        self._retries: list[tuple[float, int, Ticket]] = []
        self._suspect: Ticket | None = None
        """Waits until few enough others run."""
        self._careful: dict[Ticket, int] = {}
        """Suspects that run, and how many may run at once meanwhile."""
        self._held_until = 0.0
        self._item_seconds: float | None = None
        self._unpaced = 0
        """Items that ended since the pacer was asked last."""
        self._due_since: float | None = None

    def _name_in_flight(self, ticket: Ticket) -> bytes:
        """What the list of running items says of it: in an encrypted store nothing that anybody could make of a key."""
        return ticket.digest if self._vault is None else self._vault.digest("running item", ticket.digest)[:16]

    def _recall(self) -> dict[Key, ComputedItem]:
        """What earlier entries computed and did not fold."""
        cutter = self._cutter
        return {
            single_key(found.key, found.digest): found
            for found in cutter.store.catalog.computed(cutter.run, self._loop)
        }

    # -- the decisions -----------------------------------------------------------------------------------------------

    def commands(self) -> Iterator[Command]:
        """Until everything the input holds is done or failed."""
        while not self._is_over:
            self._collect()
            yield from self._fold_ready()
            yield from self._cut_if_due()
            yield from self._hand_out()
            if not (self._line or self._can_read or self._is_over):
                self._executor.tend(self._now())
                yield self._patience()
        if not self._items.is_empty or self._cutter.wanted:
            yield self._cutter.wanted or END

    def _fold_ready(self) -> Iterator[Command]:
        """What is computed, as long as that leaves no worker without work."""
        while ticket := self._line.next():
            yield from self._fold(ticket)
            if request := self._due():
                self._due_since = None
                yield request
            is_idle = len(self._flying) + len(self._line) < self._executor.workers
            if is_idle or self._execution.gate.received:
                return

    @property
    def _is_over(self) -> bool:
        is_waiting = self._line or self._line.held_back or self._retries or self._suspect
        return self._feed.is_exhausted and not (self._flying or is_waiting)

    @property
    def _can_read(self) -> bool:
        """The input is next: a slow one is read item by item, and what came back meanwhile goes first."""
        feed = self._feed
        is_open = not (feed.is_exhausted or feed.is_waiting or self._suspect)
        return is_open and self._now() >= self._held_until and self._room() > 0

    def _fold(self, ticket: Ticket) -> Iterator[Command]:
        cutter, key = self._cutter, ticket.key
        cutter.begin_item(self._loop, key)
        yield Computed(plain(key), ticket.value, ticket.result)
        crashpoint("item.end")
        cutter.open_item = None
        if cutter.queues:
            cutter.settle_queues(keep=True)
        self._items.fold(self._loop, key, gave=ticket.result is not None, had_failed=ticket.had_failed)
        self._ended(ticket)

    def _ended(self, ticket: Ticket) -> None:
        self.done += 1
        self._unpaced += 1
        self._map.ended(ticket.key, is_done=True)

    def _cut_if_due(self) -> Iterator[Command]:
        if request := self._due():
            self._due_since = None
            yield request

    def _due(self) -> Request | None:
        """The cut that is to be taken now, if one is."""
        cutter = self._cutter
        if self._execution.gate.received:
            return cutter.stopping()
        now = self._now()
        self._execution.report(now)
        if cutter.pacer.is_due(now, self._unpaced) and not self._items.is_empty:
            self._due_since = now if self._due_since is None else self._due_since
        self._unpaced = 0
        if cutter.wanted or self._items.is_large:
            return cutter.wanted or PACED
        if self._due_since is None:
            return None
        may_wait = self._line and cutter.pacer.policy.is_automatic
        return None if may_wait and now - self._due_since < _PATIENCE else PACED

    def _patience(self) -> Wait:
        now = self._now()
        until = [_TICK]
        if self._retries:
            until.append(self._retries[0][0] - now)
        if self._held_until > now:
            until.append(self._held_until - now)
        if self._limit is not None:
            until.append(self._limit.seconds())
        if not self._items.is_empty:
            until.append(self._cutter.pacer.seconds_left(now))
        # Where each worker has a second batch waiting, nobody is idle while the owner lingers.
        is_stocked = not self._is_direct and len(self._flying) >= 2 * self._executor.workers
        return Wait(max(0.001, min(until)), _LINGER if is_stocked and self._batch_size() < _SMALL_BATCH else 0.0)

    def salvage(self) -> None:
        """The pass is over before its end: keep what came back and was not looked at yet."""
        for outcomes, _ in self._inbox.all():
            for outcome in outcomes:
                ticket = self._flying.pop(outcome.number, None)
                if ticket is not None and outcome.encoded is not None:
                    self._succeeded(ticket, outcome.encoded, outcome)

    # -- handing out -------------------------------------------------------------------------------------------------

    def _hand_out(self) -> Iterator[Command]:
        """As much as workers can use; returns early where the input is slow, since something may be ready."""
        now = self._now()
        if now < self._held_until or self._execution.gate.received:
            return
        while self._retries and self._retries[0][0] <= now and self._room():
            self._submit([heappop(self._retries)[2]])
        while not self._suspect and (room := self._room()):
            batch = self._read(min(room, self._batch_size()))
            if batch:
                self._submit(batch)
            feed = self._feed
            if feed.is_slow or feed.is_exhausted or feed.is_waiting or self._line:
                break
        if self._suspect is not None:
            yield from self._try_suspect(self._suspect)

    def _room(self) -> int:
        """How many more may be on their way."""
        if self._careful:
            return max(0, min(self._careful.values()) - len(self._flying))
        most = self._executor.workers * (1 if self._is_direct else 2 * self._batch_size())
        room = most - len(self._flying) - len(self._line)
        if self._line.held_back:
            room = min(room, _AHEAD - self._line.held_back)
        if self._limit is not None and room > 0:
            room = min(room, self._limit.available(self._now()))
        return max(0, room)

    def _batch_size(self) -> int:
        if self._item_seconds is None or self._is_direct or self._careful:
            return 1
        return max(1, min(_MOST_AT_ONCE, int(_BATCH_SECONDS / (self._item_seconds + 1e-9))))

    def _read(self, most: int) -> list[Ticket]:
        """The next items that are to be computed; what is computed already, or known to kill, goes its own way."""
        batch: list[Ticket] = []
        for key, value, had_failed in self._feed.take(most, _SLOW_INPUT):
            ticket = Ticket(next(self._places), key, value, had_failed=had_failed)
            if self._recalled and (found := self._recalled.pop(key, None)) and self._bring(ticket, found):
                continue
            suspects = self._flights.suspects
            ticket.suspicion = suspects.get(self._name_in_flight(ticket), 0) if suspects else 0
            if ticket.suspicion >= _SUSPECT_DEATHS:
                self._suspect = ticket
                break
            batch.append(ticket)
        return batch

    def _submit(self, batch: list[Ticket]) -> None:
        tasks = []
        for ticket in batch:
            number = next(self._numbers)
            self._flying[number] = ticket
            tasks.append(Task(number, self._name_in_flight(ticket), ticket.value))
        if self._limit is not None:
            self._limit.took(len(tasks))
        self._executor.submit(tasks)

    def _try_suspect(self, ticket: Ticket) -> Iterator[Command]:
        """It ran each time when this process died. With each death fewer run beside it, at last none: then it is known
        which one it is, and what was done before is committed."""
        if ticket.suspicion == PROVEN:
            self._suspect = None
            self._poison(ticket)
            yield PACED
            return
        limit = max(1, self._executor.workers // _FEWER ** (ticket.suspicion - 1))
        if len(self._flying) >= limit:
            return
        if limit == 1:
            if not self._items.is_empty:
                yield PACED
            log.warning("item %s runs alone: it ran whenever the process died", shown(ticket.key))
            self._flights.alone(True)
        self._suspect = None
        self._careful[ticket] = limit
        self._submit([ticket])

    def _is_settled(self, ticket: Ticket) -> None:
        """A suspect came back."""
        if self._careful.pop(ticket) == 1:
            self._flights.alone(False)

    def _bring(self, ticket: Ticket, found: ComputedItem) -> bool:
        """A result of an earlier entry; False if it cannot be read and has to be computed again."""
        store = self._cutter.store
        try:
            encoded = store.load_encoded(found.result)
            if self._is_folding:
                ticket.result = decoded(encoded, self._types)
        except Damaged as error:
            log.warning("the result of item %s is damaged and is computed again: %s", shown(ticket.key), error)
            self._damaged.add(ticket.key)
            return False
        self._items.recall(self._loop, ticket.key, encoded)
        if self._is_folding:
            self._line.join(ticket.place, ticket)
        else:
            gave = encoded.document != _NONE
            self._items.fold(self._loop, ticket.key, gave=gave, had_failed=ticket.had_failed)
            self._ended(ticket)
        return True

    # -- taking back -------------------------------------------------------------------------------------------------

    def _collect(self) -> None:
        for outcomes, seconds in self._inbox.all():
            if outcomes and seconds:
                each = seconds / len(outcomes)
                before = each if self._item_seconds is None else self._item_seconds
                self._item_seconds = before + _LEARN * (each - before)
            for outcome in outcomes:
                ticket = self._flying.pop(outcome.number, None)
                if ticket in self._careful:
                    self._is_settled(ticket)
                if outcome.stops:
                    raise stop_of(outcome)
                if ticket is None:
                    continue  # given up before
                if outcome.encoded is not None:
                    self._succeeded(ticket, outcome.encoded, outcome)
                else:
                    self._missed(ticket, outcome)

    def _succeeded(self, ticket: Ticket, encoded: Encoded, outcome: Outcome) -> None:
        crashpoint("map.computed")
        key = ticket.key
        if key in self._damaged:
            self._items.recall(self._loop, key, encoded)  # so that its row goes with the fold
        if self._is_folding:
            ticket.result = outcome.value if outcome.is_here else decoded(encoded, self._types)
            self._items.compute(self._loop, ticket.key, encoded)
            before = self._line.held_back
            self._line.join(ticket.place, ticket)
            self._unpaced += self._line.held_back > before  # it waits for another one, and is worth a cut
            return
        gave = encoded.document != _NONE
        if key in self._damaged:
            self._items.fold(self._loop, key, gave=gave, had_failed=ticket.had_failed)
        else:
            self._items.end_with(self._loop, key, encoded if gave else None, had_failed=ticket.had_failed)
        self._ended(ticket)

    def _missed(self, ticket: Ticket, outcome: Outcome) -> None:
        """It failed: for this time, or for good."""
        now = self._now()
        ticket.attempts += 1
        ticket.deaths += outcome.died
        if outcome.after:
            self._held_until = max(self._held_until, now + outcome.after)
        if outcome.died and ticket.deaths < _WORKER_DEATHS:
            heappush(self._retries, (now, ticket.place, ticket))
            return
        retry = self._options.retry
        if outcome.again and ticket.attempts < retry.attempts:
            wait = max(outcome.after, retry.seconds(ticket.attempts, chance()))
            heappush(self._retries, (now + wait, ticket.place, ticket))
            return
        if self._options.on_error == "raise":
            self._cutter.left_item = (self._loop, ticket.key)
            raise outcome.exception or item_failed(outcome, ticket.key)
        self._fail(ticket, dict(outcome.error or {}), is_poison=outcome.died)

    def _poison(self, ticket: Ticket) -> None:
        message = (
            "the process died again and again while it ran this item, the last three times while nothing else ran; the "
            "item is left alone, and tried again with retry_failed=True only"
        )
        facts = {"type": "ProcessDied", "message": message, "where": None, "traceback": message}
        self._fail(ticket, facts, is_poison=True)

    def _fail(self, ticket: Ticket, facts: dict[str, Any], *, is_poison: bool) -> None:
        facts["item"] = shown(ticket.key)
        self._items.fail(
            self._loop,
            ticket.key,
            facts,
            self._cutter.store.clock.now(),
            had_failed=ticket.had_failed,
            attempts=max(1, ticket.attempts),
            poison=is_poison,
        )
        self.failed += 1
        self._unpaced += 1
        self._map.ended(ticket.key, is_done=False)
        self._line.join(ticket.place, None)
