"""The cut: what one commit holds together, gathered between items, steps and phases, never inside one.

Items done, step results, the state and the lengths of outputs become durable in one transaction. The state is
encoded here, on the caller's thread, while the user's code stands still.
"""

from __future__ import annotations

import dataclasses
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from waycairn.codec import bundle, decode, encode
from waycairn.codec.keys import Key, shown
from waycairn.errors import ItemsOverlap, RunClosed, UsedAfterFork
from waycairn.model.encoded import Encoded
from waycairn.model.ids import CheckpointId, RunId, checkpoint_id
from waycairn.model.pace import Pacer
from waycairn.model.policy import Pace
from waycairn.model.records import CheckpointFilter, OutputLength, Progress, RunRecord
from waycairn.model.states import CheckpointStatus, RunStatus
from waycairn.store import CheckpointDraft, Draft, StepDraft, StoreCore
from waycairn.work.guard import StateGuard
from waycairn.work.journal import Journal
from waycairn.work.output import Output
from waycairn.work.pending import PendingItems, Taken
from waycairn.work.request import PACED, Request
from waycairn.work.state import StateSlot
from waycairn.world.crashpoints import crashpoint
from waycairn.world.randomness import new_operation_id

_KEPT_PACED = 2
"""Paced checkpoints replace each other; the one before the newest stays, to fall back on if that is damaged."""


class Growing(Protocol):
    """An input that grows, see `queueing`."""

    name: str

    def settle(self, *, keep: bool) -> None: ...


class Prepared(msgspec.Struct, frozen=True):
    """A cut that is encoded but not yet durable."""

    draft: Draft
    encoded: Encoded | None
    items: Taken
    started: float


class Cutter:
    """Gathers what the next commit of one run holds, and takes it. One thread at a time; `lock` guards it."""

    def __init__(self, store: StoreCore, record: RunRecord, pace: Pace) -> None:
        self.store = store
        self.run: RunId = record.id
        self.epoch = record.epoch
        self.sequence = record.sequence
        self.pacer = Pacer(pace, store.clock.monotonic())
        self.pacer.expect(record.progress.total)
        self.lock = threading.RLock()
        self.state: StateSlot | None = None
        self.guard = StateGuard()
        self.outputs: dict[str, Output] = {}
        self.queues: list[Growing] = []
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
        self._paced: deque[int] = deque()
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
        if self.outputs:
            self._boundary = {path: output.length for path, output in self.outputs.items()}
        crashpoint("item.begin")

    def end_item(self, loop: str, keys: Sequence[Key]) -> None:
        """The item (or batch) is done; it becomes durable with the next cut."""
        crashpoint("item.end")
        self.open_item = None
        if self.queues:
            self.settle_queues(keep=True)
        self.items.end(loop, keys)

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
            self.state.restore(decode(before.document, lambda n: views[n], types=self.state.types))

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
            self.state.restore(decode(document, _no_buffer, types=self.state.types))
            return
        record = self.store.catalog.latest_checkpoint(self.run, role="state")
        if record is not None:
            self.state.restore(self.store.load(record.checkpoint.stored, types=self.state.types))

    # -- taking a cut --------------------------------------------------------------------------------------------

    def want(self, request: Request) -> None:
        """Inside an item: the cut is due at its end. The newest request with attributes wins over plain ones, one that
        brings its own state over all."""
        if self.wanted is None or (request != PACED and self.wanted.encoded is None):
            self.wanted = request

    def take(
        self,
        request: Request = PACED,
        *,
        steps: Sequence[StepDraft] = (),
        status: RunStatus | None = None,
        error: Mapping[str, Any] | None = None,
    ) -> CheckpointId | None:
        """Commit everything up to here. Returns the id of the checkpoint, None if the cut needed none."""
        with self.lock:
            return self.commit(self.prepare(request, steps=steps, status=status, error=error))

    def prepare(
        self,
        request: Request = PACED,
        *,
        steps: Sequence[StepDraft] = (),
        status: RunStatus | None = None,
        error: Mapping[str, Any] | None = None,
        detached: bool = False,
    ) -> Prepared:
        """Encode the cut, on the thread of the user's code. `detached` copies what the user could go on changing."""
        self.check_usable()
        started = self.store.clock.monotonic()
        self.guard.check(self.state)
        encoded = self.state.encode() if self.state else None
        if detached and encoded is not None:
            encoded = encoded.detached()
        checkpoint = self._checkpoint(request, encoded)
        outputs = self._outputs_now() if self.outputs else ()
        items = self.items.take()  # what other threads end from here on is in the next cut, also in the counts
        progress = self._counting(items.count, items.failed)
        draft = Draft(
            run=self.run,
            epoch=self.epoch,
            sequence=self.sequence + 1,
            operation=new_operation_id(),
            progress=progress,
            status=status,
            error=error,
            items=items.blocks() if items.keys else (),
            results=items.bundles() if items.results else {},
            failures=items.failures,
            settled=items.settled,
            computed=items.drafts() if items.computed else (),
            folded=items.dropped() if items.folded else (),
            queued={queue: bundle(added) for queue, added in items.queued.items()} if items.queued else {},
            steps=steps,
            outputs=outputs,
            checkpoint=checkpoint,
            drop=self._replaced(checkpoint),
            journal=self.journal.take(),
        )
        self.progress = progress
        return Prepared(draft, encoded, items, started)

    def commit(self, prepared: Prepared) -> CheckpointId | None:
        """Make a prepared cut durable: outputs first, then the one transaction. On error it is as if never prepared."""
        draft = prepared.draft
        with self.lock:
            try:
                crashpoint("cut.begin")
                for output in draft.outputs:
                    self.outputs[output.path].flush_to(output.length)
                self._send(draft)
            except BaseException:
                if self.sequence == draft.sequence:
                    self._note_committed(draft, prepared.encoded)
                else:
                    self._take_back(prepared.items)
                    self.journal.give_back(draft.journal)
                raise
            crashpoint("cut.committed")
            self._note_committed(draft, prepared.encoded)
            self.pacer.took(prepared.started, self.store.clock.monotonic())
            self.journal.committed(draft.journal, self.store.clock.monotonic() - prepared.started)
            return checkpoint_id(self.run, self.sequence) if draft.checkpoint else None

    def _take_back(self, items: Taken) -> None:
        self.items.give_back(items)
        self.progress = self._counting(-items.count, -items.failed)

    def commit_beside(self, **what: Any) -> CheckpointId:
        """A commit of its own, without the items, state and outputs of this moment: a value, a status, the result of a
        step inside an item, where an output begins. `what` is named as in Draft."""
        with self.lock:
            self.check_usable()
            self._send(
                Draft(
                    run=self.run,
                    epoch=self.epoch,
                    sequence=self.sequence + 1,
                    operation=new_operation_id(),
                    progress=self.progress,
                    **what,
                )
            )
            return checkpoint_id(self.run, self.sequence)

    def commit_computed(self) -> None:
        """What workers gave and no fold took yet: nothing of it is to be computed again."""
        with self.lock:
            items = self.items.take_computed()
            if items.computed:
                try:
                    self.commit_beside(computed=items.drafts())
                except BaseException:
                    self.items.give_back(items)
                    raise

    def _send(self, draft: Draft) -> None:
        """Commit. Whoever interrupts this thread in the middle (Ctrl-C twice, a signal handler that raises) may come
        when the commit is there already; the numbers go on from what is there."""
        try:
            self.store.commit(draft)
        except Exception:
            raise
        except BaseException:
            if self.store.catalog.newest_operation(self.run) == draft.operation:
                self.sequence = draft.sequence
            raise
        self.sequence = draft.sequence

    def _checkpoint(self, request: Request, encoded: Encoded | None) -> CheckpointDraft | None:
        encoded = request.encoded or encoded
        if encoded is None:
            if request.reason is not None:
                return None  # no state and nothing asked for: items and steps need no checkpoint
            encoded = encode(None)
        elif request.reason is not None and self._is_unchanged(encoded):
            return None
        expires = None if request.ttl is None else self.store.clock.now() + request.ttl
        return CheckpointDraft(
            kind=request.kind,
            encoded=encoded,
            role=request.role,
            iteration=request.iteration,
            tags=request.tags,
            description=request.description,
            metadata=request.metadata,
            expires=expires,
            reason=request.reason,
            outputs={path: output.length for path, output in self.outputs.items()} if self.outputs else {},
        )

    def _outputs_now(self) -> list[OutputLength]:
        """Those that grew or shrank since the last cut."""
        lengths = ((path, output.length, output.committed) for path, output in self.outputs.items())
        return [OutputLength(path=path, length=length) for path, length, committed in lengths if length != committed]

    def _is_unchanged(self, encoded: Encoded) -> bool:
        """Only told for states without buffers: comparing those would cost as much as hashing them again."""
        last = self._committed_state
        return last is not None and not encoded.buffers and self._has_state and encoded.document == last.document

    def _replaced(self, checkpoint: CheckpointDraft | None) -> Sequence[int]:
        if checkpoint is None or checkpoint.reason != "pace":
            return ()
        return [self._paced[i] for i in range(len(self._paced) - _KEPT_PACED + 1)]

    def _note_committed(self, draft: Draft, encoded: Encoded | None) -> None:
        self.wanted = None
        for output in draft.outputs:
            self.outputs[output.path].note_committed(output.length)
        if draft.checkpoint is None:
            return
        if encoded is not None:
            self._has_state = True
            self._committed_state = None if encoded.buffers else encoded
        if draft.checkpoint.reason == "pace":
            self._paced.append(self.sequence)
            while len(self._paced) > _KEPT_PACED:
                self._paced.popleft()

    # -- restoring -----------------------------------------------------------------------------------------------

    def note_baseline(self, encoded: Encoded) -> None:
        """The state before its first change: what an item that is left undone goes back to."""
        if encoded.buffers:
            self.take(Request(reason="start"))  # too large to keep a copy of in memory
        else:
            self._committed_state = encoded

    def note_restored(self, sequence: int) -> None:
        """The state stands as it was committed there."""
        assert self.state is not None
        self._has_state = True
        encoded = self.state.encode()
        self._committed_state = None if encoded.buffers else encoded
        self.guard.note_restored(sequence)
        which = CheckpointFilter(run=self.run, role="state", status=CheckpointStatus.VALID, limit=8)
        newest = self.store.catalog.list_checkpoints(which)
        self._paced = deque(sorted(row.sequence for row in newest if row.checkpoint.reason == "pace"))

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
