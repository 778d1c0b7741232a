"""One stream of one entry: what is read, the transaction of each batch, and what happens when the sink is away.

The state beside a stream is the sink's: it lies in the row of the offsets, so that both always say the same.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from waycairn.errors import FilesUnreadable, OwnershipLost
from waycairn.streams.failures import is_refused
from waycairn.streams.outage import is_away
from waycairn.streams.parsing import said
from waycairn.streams.records import Counts, Holder, Standing, Step, Taken
from waycairn.upkeep.outages import OutageNotes
from waycairn.work.acts import Flow, cut, wait, work
from waycairn.work.batch import Batch
from waycairn.work.cargo import load_cargo, unload_cargo
from waycairn.work.registration import Registration
from waycairn.work.request import PACED
from waycairn.world.randomness import new_operation_id

if TYPE_CHECKING:
    from waycairn.streams.outage import Breaker, Outage
    from waycairn.streams.reader import Reader
    from waycairn.work.execution import Execution
    from waycairn.work.sinking import Bound
    from waycairn.work.wary import Wary

E = TypeVar("E")

log = logging.getLogger("waycairn")

_ALARMING = {"truncated", "replaced", "lost", "unreadable"}
"""What may mean that something is missing."""
_NAP = 0.05
"""Seconds between two looks at signals while nothing is to be read."""
_SHOWN = 5
"""Files that a message names."""
_SCANS = 20
"""A look at the files may take one part in so many of the time."""


class Tailing(Generic[E]):
    """Used by one thread or task."""

    def __init__(
        self,
        execution: Execution,
        name: str,
        sink: Bound,
        reader: Callable[[Standing], Reader],
        *,
        breaker: Breaker,
        wary: Wary,
        size: int,
        every: float,
        once: bool,
        parser: str,
        facts: dict[str, Any],
    ) -> None:
        self.name = name
        self.counts = Counts()
        self.is_drained = False
        self.execution = execution
        self._cutter = execution.cutter
        self._clock = execution.store.clock
        self._bound, self._sink, self._make_reader = sink, sink.sink, reader
        self._breaker, self._wary = breaker, wary
        self._notes = OutageNotes(execution.store, name, self._cutter.run, self._cutter.epoch)
        self._size, self._every, self._once = size, every, once
        self._room = size
        """Lines of the next batch; fewer while a value is looked for that the sink refuses."""
        self._parser, self._facts = parser, facts
        self._reader: Reader | None = None
        self._transaction: Any = None
        self._waiting: Batch[E] | None = None
        """A batch that is not done: it comes again."""
        self._is_open = False
        self._stored: dict[int, int] = {}
        """The offset of each generation as the ledger has it."""
        self._cargo: bytes | None = None
        """The state as it was committed last."""
        self._due = self._owner_due = 0.0
        self._has_tried_again = False

    @property
    def reader(self) -> Reader:
        assert self._reader is not None, "the stream was opened"
        return self._reader

    # -- the beginning -----------------------------------------------------------------------------------------------

    def open(self) -> Flow[None]:
        """Claim the stream; the state as its ledger has it."""
        cutter = self._cutter
        cutter.guard.enter_loop(cutter.state)
        holder, now = Holder(cutter.run, cutter.epoch), self._clock.now()
        claim = functools.partial(self._sink.open, self.name, holder, parser=self._parser, facts=self._facts, now=now)
        self._is_open = True
        # With `once` somebody waits for the end, and an address that is wrong looks like a database that is away.
        standing: Standing = (yield work(claim)) if self._once else (yield from self._patiently(claim))
        registration = Registration(cutter, self.name, self._bound.address, self._facts)
        registration.compare(standing, is_new=standing.created == now)
        self.counts = standing.counts
        self._count(standing.counts.events)
        if cutter.state is not None:
            if standing.state is not None:
                unload_cargo(standing.state, cutter.state)
            self._cargo = load_cargo(cutter.state.encode())
            if standing.state is None:
                yield from self._put_first_state(self._cargo)
        self._stored = {one.id: one.offset for one in standing.generations}
        self._reader = self._make_reader(standing)
        yield work(self.reader.look)
        self._tell(standing)
        if not registration.is_there:
            yield cut(registration.add)

    def _put_first_state(self, cargo: bytes) -> Flow[None]:
        """Before the first event, and durable: a sink that a power cut takes back to here must not find the state of the
        run's own cuts, which have counted what is read again."""
        transaction = yield from self._patiently(self._sink.begin)
        step = Step(operation=new_operation_id().hex(), state=cargo, at=self._clock.now())
        yield work(functools.partial(transaction.commit, step))
        yield work(self._sink.barrier)

    def _count(self, events: int) -> None:
        """Commits of the stream are the sink's: the run may have heard of fewer, or of some that a power cut took back."""
        is_alone = len(self.execution.loops) == 1
        done = events if is_alone else max(self._cutter.progress.done, events)
        self._cutter.tell(done=done, total=None, advance=0, note=None)

    def _tell(self, standing: Standing) -> None:
        if standing.commits:
            lag = self.reader.lag()
            log.info(
                "stream %s goes on after commit %d: %d events done, %d files, %d bytes to read",
                self.name,
                standing.commits,
                standing.counts.events,
                len(standing.generations),
                lag.bytes,
            )
            if standing.parser != self._parser:
                log.warning(
                    "stream %s: lines were read as %s until now, and are as %s from here; those that were dead letters "
                    "stay so until they are tried again",
                    self.name,
                    standing.parser,
                    self._parser,
                )

    # -- reading -----------------------------------------------------------------------------------------------------

    def next(self) -> Flow[Batch[E] | None]:
        """The next batch with events; None once there is no more (with `once`)."""
        yield from self._between()
        if self._waiting is not None:
            self._take_back(self._waiting)
        while True:
            taken: Taken | None = yield work(functools.partial(self.reader.take, self._room))
            if taken is None:
                if self._once and self.reader.is_drained and (yield from self._is_all_read()):
                    self.is_drained = True
                    return None
                yield from self._idle()
                continue
            self._wary.look(taken)
            if any(portion.events for portion in taken.portions):
                self._waiting = Batch(self, taken)
                return self._waiting
            yield from self._commit_quietly(taken)

    def _is_all_read(self) -> Flow[bool]:
        """What ends well has read everything: raises FilesUnreadable, unless that passes with another look."""
        unreadable = self.reader.unreadable
        if unreadable and not self._has_tried_again:
            self._has_tried_again = True
            yield from self._idle()
            return False
        if unreadable:
            shown = [f"{path.decode(errors='backslashreplace')} {why}" for path, why in sorted(unreadable.items())]
            more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
            raise FilesUnreadable(
                f"stream {self.name!r} is not at its end: {'; '.join(shown[:_SHOWN])}{more}. All else that was there is "
                "committed. Give this user the right to read it, or take it out of the paths, and run again.",
                stream=self.name,
                paths=[os.fsdecode(path) for path in unreadable],
            )
        return True

    def _take_back(self, batch: Batch[E]) -> None:
        """It is read again: who had its events may have changed them."""
        if not batch.is_begun:
            raise RuntimeError(
                f"a batch of stream {self.name!r} was not used: the next one would come without it being done. Nothing of "
                "it was committed. Put its work into a block: with batch as tx: ..."
            )
        self.reader.put_back(batch.taken)
        self._waiting = None

    def _between(self) -> Flow[None]:
        """What is due between two batches: a cut of the run, a stop."""
        cutter, execution = self._cutter, self.execution
        now = self._clock.monotonic()
        execution.report(now)
        if execution.gate.received or cutter.wanted or cutter.pacer.is_due(now):
            request = cutter.stopping() if execution.gate.received else cutter.wanted or PACED
            prepared = cutter.prepare(request, detached=execution.overlaps)
            yield cut(functools.partial(cutter.commit, prepared))
            execution.stop_if_asked()
        if now < self._owner_due:
            return
        self._owner_due = now + _NAP  # the sink itself refuses whoever was displaced
        if cutter.is_lost():
            raise OwnershipLost(
                f"a newer owner has run {cutter.run}. Its stream {self.name!r} is theirs; what was committed before stands.",
                run=cutter.run,
            )

    def _idle(self) -> Flow[None]:
        """Until it is time to look at the files again."""
        while (left := self._due - self._clock.monotonic()) > 0:
            yield wait(min(left, _NAP))
            yield from self._between()
        started = self._clock.monotonic()
        yield work(self.reader.look)
        ended = self._clock.monotonic()
        self._due = ended + max(self._every, (ended - started) * _SCANS)

    # -- the transaction of a batch ----------------------------------------------------------------------------------

    def begin(self, batch: Batch[E]) -> Flow[Any]:
        """What the user works with; the transaction is open."""
        if batch is not self._waiting or self._transaction is not None:
            raise RuntimeError(f"this batch of stream {self.name!r} is over, or begun already. Nothing was changed.")
        if self._cutter.outputs:
            raise RuntimeError(
                "run.output beside run.follow: after a crash the file would be cut back and the offsets not. Nothing was "
                "committed. Let the stream write the file: run.follow(..., sink='file.jsonl') and tx.write(...)."
            )
        batch.is_begun = True
        self._transaction = yield from self._patiently(self._sink.begin)
        self._cutter.open_item = (self.name, batch.key)
        return None if self._bound.delivers else self._transaction.user

    def end(self, batch: Batch[E], error: BaseException | None) -> Flow[bool]:
        """Commit, or undo; True if the error goes no further because the batch comes again."""
        transaction, self._transaction = self._transaction, None
        self._cutter.open_item = None
        if error is not None:
            return (yield from self._undo(transaction, error)) or (yield from self._isolate(batch, error))
        deliver = functools.partial(self._deliver, transaction, batch) if self._bound.delivers else None
        batch.is_done = yield from self._commit(transaction, batch.taken, deliver)
        if batch.is_done:
            self._waiting = None
        return False

    def _isolate(self, batch: Batch[E], error: BaseException) -> Flow[bool]:
        """An event that the database refuses must not hold the stream up for ever. What was read comes again in smaller
        and smaller batches, until that event is alone in one and becomes a dead letter."""
        if not is_refused(error) or self._bound.delivers:
            return False
        self._waiting = None
        if self._room > 1:
            self._room = max(1, min(self._room, len(batch)) // 2)
            self.reader.forget(batch.taken)
            return True
        refused = self.reader.refuse(batch.taken, said(getattr(error, "orig", None) or error))
        self._wary.refused(refused)
        yield from self._commit_quietly(refused)
        return True

    def _commit(self, transaction: Any, taken: Taken, deliver: Callable[[], Any] | None = None) -> Flow[bool]:
        """False if the sink went away: then nothing was committed, and it is to be done again."""
        try:
            step = self._step(taken)
            if deliver is not None:
                yield work(deliver)
            yield work(functools.partial(transaction.commit, step))
        except BaseException as problem:
            if not (yield from self._undo(transaction, problem)):
                raise
            return False
        self._note_done(taken, step)
        return True

    def _deliver(self, transaction: Any, batch: Batch[E]) -> Any:
        first = next(portion for portion in batch.taken.portions if portion.events)
        return transaction.user.deliver(batch.events, first.before.id, first.places[0])

    def _undo(self, transaction: Any, error: BaseException) -> Flow[bool]:
        may_pass = is_away(error)
        try:
            yield work(transaction.rollback)
        except Exception as second:
            if not may_pass:
                raise error from second
        self._put_state_back()
        if may_pass:
            former = self._breaker.outage
            self._breaker.failed(error)
            yield from self._tell_away(former)
        return may_pass

    def _step(self, taken: Taken) -> Step:
        state = self._cutter.state
        cargo = None if state is None else load_cargo(state.encode())
        return Step(
            operation=new_operation_id().hex(),
            changed=taken.changed,
            moved={one.id: self._stored[one.id] for one in taken.changed if one.id in self._stored},
            dead=[letter for portion in taken.portions for letter in portion.dead],
            counts=sum((portion.counts for portion in taken.portions), Counts()),
            state=None if cargo == self._cargo else cargo,  # one that did not change is there already
            at=self._clock.now(),
        )

    def _note_done(self, taken: Taken, step: Step) -> None:
        self.reader.keep(taken)
        self._room = min(2 * self._room, self._size)
        self._has_tried_again = False
        self._stored.update((one.id, one.offset) for one in taken.changed)
        self._cargo = step.state or self._cargo
        self.counts += step.counts
        for noticed in taken.noticed:
            log.log(
                logging.WARNING if noticed.kind in _ALARMING else logging.INFO,
                "stream %s: %s",
                self.name,
                noticed.message,
            )
        self._cutter.tell(done=None, total=None, advance=step.counts.events, note=None)

    def _commit_quietly(self, taken: Taken) -> Flow[None]:
        """Nothing for the user in it: dead letters, files that moved."""
        is_done = False
        while not is_done:
            transaction = yield from self._patiently(self._sink.begin)
            is_done = yield from self._commit(transaction, taken)

    def _put_state_back(self) -> None:
        if self._cutter.state is not None and self._cargo is not None:
            unload_cargo(self._cargo, self._cutter.state)

    # -- the sink ----------------------------------------------------------------------------------------------------

    def _patiently(self, call: Callable[[], Any]) -> Flow[Any]:
        """While the sink is away nothing is consumed; it goes on by itself."""
        while True:
            while (left := self._breaker.wait()) > 0:
                yield wait(min(left, _NAP))
                yield from self._between()
            former = self._breaker.outage
            with self._breaker:
                given = yield work(call)
            if self._breaker.outage is not None:
                yield from self._tell_away(former)
                continue
            if former is not None:
                log.warning("stream %s goes on: its sink answers again", self.name)
                yield work(functools.partial(self._notes.tell, None))
            return given

    def _tell_away(self, former: Outage | None) -> Flow[None]:
        """Once an outage; and now and then where other processes see it."""
        outage = self._breaker.outage
        if outage is None:
            return
        if former is None:
            self._cutter.store.meter.count("stream.outages")
            log.warning("stream %s waits, nothing is consumed: %s", self.name, outage.error)
        yield work(functools.partial(self._notes.tell, outage))

    def close(self) -> Flow[None]:
        """Idempotent."""
        yield work(functools.partial(self._notes.tell, None))  # whoever comes next finds out anew
        if self._transaction is not None:
            transaction, self._transaction = self._transaction, None
            self._cutter.open_item = None
            yield work(transaction.rollback)
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        if self._is_open:
            self._is_open = False
            yield work(self._sink.close)
            self._bound.dispose()
