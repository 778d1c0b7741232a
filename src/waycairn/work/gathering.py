"""What is gathered between two cuts: the open item, what ended, the state, the outputs, and how far it all is."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from waycairn.codec import decode
from waycairn.codec.keys import Key, shown
from waycairn.errors import ItemsOverlap, RunClosed, UsedAfterFork
from waycairn.model.encoded import Encoded
from waycairn.model.forking import mark_of
from waycairn.model.ids import RunId
from waycairn.model.pace import Pacer
from waycairn.model.policy import Pace
from waycairn.model.records import CheckpointRecord, Progress, RunRecord
from waycairn.store import StoreCore
from waycairn.work.guard import StateGuard
from waycairn.work.journal import Journal
from waycairn.work.output import Output
from waycairn.work.pending import PendingItems
from waycairn.work.phase_cuts import PhaseCuts
from waycairn.work.request import PACED, SIGNAL, Request
from waycairn.work.saving import Behind
from waycairn.work.state import Slot
from waycairn.work.tracking import Tracked
from waycairn.world.crashpoints import crashpoint


class Growing(Protocol):
    """An input that grows, see `queueing`."""

    name: str

    def settle(self, *, keep: bool) -> None: ...


class Gathering:
    """Of one run. One thread at a time; `lock` guards it."""

    def __init__(self, store: StoreCore, record: RunRecord, pace: Pace) -> None:
        self.store = store
        self.run: RunId = record.id
        self.epoch = record.epoch
        self.sequence = record.sequence
        self.pacer = Pacer(pace, store.clock.monotonic())
        self.pacer.expect(record.progress.total)
        self.lock = threading.RLock()
        self.state: Slot | None = None
        self.restored: CheckpointRecord | None = None
        """The checkpoint that this entry goes on from, once its state was restored."""
        self.at_first: Callable[[], None] | None = None
        """What is to be done before the first item of this entry begins."""
        self.behind = Behind()
        self.guard = StateGuard()
        self.outputs: dict[str, Output] = {}
        self.queues: list[Growing] = []
        self.phases = PhaseCuts(store, record)
        self.mark = "" if record.origin is None else mark_of(record.name, record.key)
        """Of a fork: what stands in the names of its output files, so that those of its source stay."""
        self.items = PendingItems()
        self.journal = Journal(store.clock.now)
        self.progress = record.progress
        self.open_item: tuple[str, Key] | None = None
        self.left_item: tuple[str, Key] | None = None
        self.wanted: Request | None = None
        self.is_closed = False
        self.is_lost: Callable[[], bool] = lambda: False
        """Whether a newer owner is known to have the run; a hint, see `Hold.is_lost`."""
        self._boundary: dict[str, int] = {}
        self._journal_mark = 0
        self._committed_state: Encoded | None = None  # without buffers only: those stay in the store
        self._has_state = False
        self._forked = False

    # -- items ---------------------------------------------------------------------------------------------------

    def begin_item(self, loop: str, key: Key) -> None:
        """An item is open from here; no cut may lie inside it. Raises ItemsOverlap if another one is open."""
        if self.open_item is not None:
            raise ItemsOverlap(
                f"item {shown(key)} of loop {loop!r} begins while {shown(self.open_item[1])} of loop "
                f"{self.open_item[0]!r} is open: what each of them changes could not be told apart. It was not begun. Do "
                "one after the other; maps that are drained, not iterated, may run at once."
            )
        self.open_item = (loop, key)
        self.left_item = None
        self._journal_mark = self.journal.mark()
        if self.at_first is not None:
            act, self.at_first = self.at_first, None
            act()
        if self.outputs:
            self._boundary = {path: output.length for path, output in self.outputs.items()}
        crashpoint("item.begin")

    def end_item(self, loop: str, keys: Sequence[Key]) -> None:
        """The item (or batch) is done; it becomes durable with the next cut."""
        self.close_item()
        self.items.end(loop, keys)

    def close_item(self) -> None:
        """As `end_item`, of a loop that counts what is done in the state."""
        crashpoint("item.end")
        self.open_item = None
        if self.queues:
            self.settle_queues(keep=True)

    def abandon_item(self) -> None:
        """The open item was left undone: forget what it did to the outputs and, with a state, all since the last cut.

        What the item did to the state cannot be told from what the items before it did, so the last cut stands;
        the items since then run again.
        """
        if self.open_item is None:
            return
        self.left_item, self.open_item, self.wanted = self.open_item, None, None
        self.settle_queues(keep=False)
        self.journal.cut_back(self._journal_mark if self.state is None else 0)
        if self.state is None:
            for path, length in self._boundary.items():
                self.outputs[path].cut_back(length)
            return
        self.items.clear()
        for output in self.outputs.values():
            output.cut_back(output.committed)
        self.put_state_back()

    def undo_item(self, before: Encoded | None) -> None:
        """The open item failed: outputs as at its beginning, and the state, which is encoded in `before`."""
        self.settle_queues(keep=False)
        self.journal.cut_back(self._journal_mark)
        for path, length in self._boundary.items():
            self.outputs[path].cut_back(length)
        if self.state is not None and before is not None:
            views = before.buffers
            self._restore(decode(before.document, lambda n: views[n], types=self.state.types))

    def settle_queues(self, *, keep: bool) -> None:
        """What the open item added to queues is in them now, or never was."""
        for queue in self.queues:
            queue.settle(keep=keep)

    def put_state_back(self) -> None:
        """The state as of the last cut, into the user's object."""
        if self.state is None:
            return
        if self._committed_state is not None:
            document = self._committed_state.document
            self._restore(decode(document, _no_buffer, types=self.state.types))
            return
        record = self.store.catalog.latest_checkpoint(self.run, role="state")
        if record is not None:
            self._restore(self.store.load(record.checkpoint.stored, types=self.state.types))

    def _restore(self, value: Any) -> None:
        assert self.state is not None
        self.state.restore(value)
        if isinstance(self.state, Tracked):
            self.state.restore_rng()

    def want(self, request: Request) -> None:
        """Inside an item: the cut is due at its end. The newest request with attributes wins over plain ones, one that
        brings its own state over all."""
        if self.wanted is None or (request != PACED and self.wanted.encoded is None):
            self.wanted = request

    def stopping(self) -> Request:
        """The cut that a signal asks for. A checkpoint that was asked for in the item that just ended is that cut: the item
        will not run again, and nobody else would take it."""
        return SIGNAL if self.wanted is None or self.wanted == PACED else self.wanted

    # -- progress ------------------------------------------------------------------------------------------------

    def progress_now(self) -> Progress:
        """Including what is done but not yet committed."""
        return self._counting(self.items.done, self.items.failed)

    def _counting(self, done: int, failed: int) -> Progress:
        now = self.progress
        return dataclasses.replace(now, done=now.done + done, failed=now.failed + failed) if done or failed else now

    def expect(self, total: int) -> None:
        """So many items there will be."""
        self.progress = dataclasses.replace(self.progress, total=total)
        self.pacer.expect(total)

    def expect_steps(self, done: int, total: int) -> None:
        """A loop of steps begins, of which so many are done: the run has these beside its items. What the row says may
        be too much, where the run went back to an older checkpoint."""
        items = sum(self.store.catalog.loops(self.run).values())
        others = sum(self.state.steps.values()) if isinstance(self.state, Tracked) else done
        self.progress = dataclasses.replace(self.progress, done=items + others, total=items + others - done + total)

    def tell(self, *, done: int | None, total: int | None, advance: int, note: str | None) -> None:
        """What `run.progress` was told."""
        now = self.progress
        self.progress = Progress(
            done=(now.done if done is None else done) + advance,
            failed=now.failed,
            total=now.total if total is None else total,
            note=now.note if note is None else note,
        )
        self.pacer.expect(self.progress.total)

    # -- use -----------------------------------------------------------------------------------------------------

    def check_usable(self) -> None:
        if self._forked:
            raise UsedAfterFork(
                f"run {self.run} was entered by the parent process; this is a forked child. Nothing was changed. "
                "Give the work back to the parent, or enter a run of its own in the child.",
                run=self.run,
            )
        if self.is_closed:
            raise RunClosed(
                f"run {self.run} was left already; nothing was committed. Enter it again with wc.run(...).",
                run=self.run,
            )

    def note_fork(self) -> None:
        """Called in a forked child."""
        self._forked = True
        self.lock = threading.RLock()
        for output in self.outputs.values():
            output.abandon()


def _no_buffer(number: int) -> memoryview:
    raise AssertionError(f"a document kept in memory has no buffer {number}")
