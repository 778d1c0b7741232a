"""The cut: what one commit holds together, gathered between items, steps and phases, never inside one.

Items done, step results, the state and the lengths of outputs become durable in one transaction. The state is
encoded here, on the caller's thread, while the user's code stands still.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from waycairn.codec import bundle, encode
from waycairn.model.encoded import Encoded
from waycairn.model.ids import CheckpointId, checkpoint_id
from waycairn.model.policy import Pace
from waycairn.model.records import PHASES, CheckpointRecord, OutputLength, RunRecord
from waycairn.model.states import RunStatus
from waycairn.store import CheckpointDraft, Draft, StepDraft, StoreCore
from waycairn.work.gathering import Gathering
from waycairn.work.keeping import METRICS, Keeping, is_automatic
from waycairn.work.pending import Taken
from waycairn.work.request import MODEL_KIND, PACED, STATE_KIND, Request
from waycairn.work.saving import Saving
from waycairn.work.tracking import PARTS, Tracked
from waycairn.world.crashpoints import crashpoint
from waycairn.world.randomness import new_operation_id


class Prepared(msgspec.Struct, frozen=True):
    """A cut that is encoded but not yet durable."""

    draft: Draft
    encoded: Encoded | None
    items: Taken
    request: Request
    started: float
    copied: float
    """When it was encoded, and copied where that was to be done."""
    release: Callable[[], None] | None = None
    """Gives back the memory that the state was copied to, if it was: then the job goes on meanwhile."""
    ready: Callable[[], None] | None = None
    """Waits for the copy, see `Snapshot`."""


class Cutter(Gathering):
    """Gathers what the next commit of one run holds, and takes it. One thread at a time; `lock` guards it."""

    def __init__(self, store: StoreCore, record: RunRecord, pace: Pace) -> None:
        super().__init__(store, record, pace)
        self.keeping = Keeping()
        self._unopened: Mapping[str, int] | None = None if record.sequence else {}
        """Lengths as of the beginning of this entry; None: not looked at yet."""

    # -- taking a cut --------------------------------------------------------------------------------------------

    def take(
        self,
        request: Request = PACED,
        *,
        steps: Sequence[StepDraft] = (),
        status: RunStatus | None = None,
        error: Mapping[str, Any] | None = None,
    ) -> CheckpointId | None:
        """Commit everything up to here. Returns the id of the checkpoint, None if the cut needed none."""
        self.behind.settle()
        with self.lock:
            return self.commit(self.prepare(request, steps=steps, status=status, error=error))

    def take_behind(self, request: Request = PACED) -> Saving:
        """As `take`, but only encode and copy here; a thread of its own writes. One at a time: the one before is waited
        for, and its error raised here."""
        self.behind.settle()
        with self.lock:
            prepared = self.prepare(request, behind=True)
        then = functools.partial(_sweep_if_due, self.store) if prepared.draft.drop else None
        return self.behind.fly(lambda: self.commit(prepared), prepared.release, then)

    def value_behind(self, value: Any, draft: Callable[..., CheckpointDraft]) -> Saving:
        """A value beside the state, copied here and written by a thread of its own."""
        self.check_usable()
        return self.behind.save(value, lambda encoded: self._commit_beside(checkpoint=draft(encoded=encoded)))

    def prepare(
        self,
        request: Request = PACED,
        *,
        steps: Sequence[StepDraft] = (),
        status: RunStatus | None = None,
        error: Mapping[str, Any] | None = None,
        detached: bool = False,
        behind: bool = False,
    ) -> Prepared:
        """Encode the cut, on the thread of the user's code. `detached` copies what the user could go on changing,
        `behind` into memory of the pool, which whoever commits it has to release."""
        self.behind.settle()
        self.check_usable()
        started = self.store.clock.monotonic()
        self.guard.check(self.state)
        encoded = release = ready = None
        if self.state is not None:
            self.state.check()
            if behind:
                snapshot = self.behind.copy(self.state)
                encoded, release, ready = snapshot.encoded, snapshot.release, snapshot.ready
            else:
                encoded = self.state.encode()
                encoded = encoded.detached() if detached else encoded
        self.wanted = None
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
        copied = self.store.clock.monotonic()
        return Prepared(draft, encoded, items, request, started, copied, release, ready)

    def commit(self, prepared: Prepared) -> CheckpointId | None:
        """Make a prepared cut durable: outputs first, then the one transaction. On error it is as if never prepared."""
        draft = prepared.draft
        with self.lock:
            try:
                if prepared.ready is not None:
                    prepared.ready()
                crashpoint("cut.begin")
                for output in draft.outputs:
                    self.outputs[output.path].flush_to(output.length)
                self._send(draft)
            except BaseException:
                if self.sequence == draft.sequence:
                    self._note_committed(draft, prepared.encoded)
                else:
                    self._take_back(prepared)
                raise
            crashpoint("cut.committed")
            self._note_committed(draft, prepared.encoded)
            now = self.store.clock.monotonic()
            if prepared.release is None:
                self.pacer.took(prepared.started, now)
            stood_still = (now if prepared.release is None else prepared.copied) - prepared.started
            self.journal.committed(draft.journal, stood_still)
            return checkpoint_id(self.run, self.sequence) if draft.checkpoint else None

    def _take_back(self, prepared: Prepared) -> None:
        items = prepared.items
        self.items.give_back(items)
        self.journal.give_back(prepared.draft.journal)
        self.wanted = self.wanted or prepared.request
        self.progress = self._counting(-items.count, -items.failed)

    def commit_beside(self, **what: Any) -> CheckpointId:
        """A commit of its own, without the items, state and outputs of this moment: a value, a status, the result of a
        step inside an item, where an output begins. `what` is named as in Draft."""
        self.behind.settle()
        return self._commit_beside(**what)

    def _commit_beside(self, **what: Any) -> CheckpointId:
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
        self.behind.settle()
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
        is_model = isinstance(self.state, Tracked) and request.kind == STATE_KIND
        return CheckpointDraft(
            kind=MODEL_KIND if is_model else request.kind,
            encoded=encoded,
            role=request.role,
            iteration=self._iteration(request),
            tags=request.tags,
            description=request.description,
            metadata=self._facts(request),
            expires=expires,
            reason=request.reason,
            outputs=self._lengths(),
            **self._compression(),
        )

    def _lengths(self) -> Mapping[str, int]:
        """Of all output files of the run: those that this entry has not opened yet are as long as they were committed."""
        if self._unopened is None:
            self._unopened = {path: output.length for path, output in self.store.catalog.outputs(self.run).items()}
        if not self.outputs and not self._unopened:
            return {}
        return {**self._unopened, **{path: output.length for path, output in self.outputs.items()}}

    def _compression(self) -> dict[str, Any]:
        if not isinstance(self.state, Tracked) or self.state.compress is None:
            return {}
        before = (
            self.store.catalog.latest_checkpoint(self.run, role="state") if self.state.compress == "delta" else None
        )
        return {"compress": self.state.compress, "base": before and before.checkpoint.stored}

    def _iteration(self, request: Request) -> int | None:
        if request.iteration is None and isinstance(self.state, Tracked):
            return self.state.iteration
        return request.iteration

    def _facts(self, request: Request) -> Mapping[str, Any]:
        phases = self.phases.now()
        facts = {**request.metadata, PHASES: phases} if phases else request.metadata
        if not isinstance(self.state, Tracked):
            return facts
        metrics = {METRICS: dict(self.journal.latest)} if self.journal.latest else {}
        return {**metrics, **facts, PARTS: self.state.names}

    def _outputs_now(self) -> list[OutputLength]:
        """Those that grew or shrank since the last cut."""
        lengths = ((path, output.length, output.committed) for path, output in self.outputs.items())
        return [OutputLength(path=path, length=length) for path, length, committed in lengths if length != committed]

    def _is_unchanged(self, encoded: Encoded) -> bool:
        """Only told for states without buffers: comparing those would cost as much as hashing them again."""
        last = self._committed_state
        return last is not None and not encoded.buffers and self._has_state and encoded.document == last.document

    def _replaced(self, checkpoint: CheckpointDraft | None) -> Sequence[int]:
        if checkpoint is None or not self._is_automatic(checkpoint):
            return ()
        return self.keeping.replaced_by(self.sequence + 1, checkpoint.metadata.get(METRICS))

    def _is_automatic(self, checkpoint: CheckpointDraft) -> bool:
        return is_automatic(checkpoint.reason, all_reasons=isinstance(self.state, Tracked))

    def _note_committed(self, draft: Draft, encoded: Encoded | None) -> None:
        for output in draft.outputs:
            self.outputs[output.path].note_committed(output.length)
        if draft.checkpoint is None:
            return
        if encoded is not None:
            self._has_state = True
            self._committed_state = None if encoded.buffers else encoded
        if self._is_automatic(draft.checkpoint):
            self.keeping.committed(self.sequence, draft.checkpoint.metadata.get(METRICS), draft.drop)

    # -- restoring -----------------------------------------------------------------------------------------------

    def note_baseline(self, encoded: Encoded) -> None:
        """The state before its first change: what an item that is left undone goes back to."""
        if encoded.buffers:
            self.take(Request(reason="start"))  # too large to keep a copy of in memory
        else:
            self._committed_state = encoded

    def keep_beginning(self) -> None:
        """Items begin beside what is tracked: one that is left undone goes back to a checkpoint, so there has to be one."""
        if isinstance(self.state, Tracked) and not self._has_state:
            self.take(Request(reason="start"))

    def note_restored(self, record: CheckpointRecord) -> None:
        """The state stands as it was committed there."""
        assert self.state is not None
        sequence = record.sequence
        self.restored = record
        self._has_state = True
        # Of what is tracked no copy is kept in memory: it may be large, and lie on devices.
        encoded = None if isinstance(self.state, Tracked) else self.state.encode()
        self._committed_state = None if encoded is None or encoded.buffers else encoded
        self.guard.note_restored(sequence)
        self.keeping.learn(self.store.catalog, record, all_reasons=isinstance(self.state, Tracked))


def _sweep_if_due(store: StoreCore) -> None:
    from waycairn.upkeep.sweep_due import sweep_if_due  # 40 ms, which jobs that keep all need not spend

    sweep_if_due(store)
