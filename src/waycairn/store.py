"""The commit order: chunks, then pack, then one catalog transaction. Reading goes the other way, verified.

This is the whole of what makes a save durable; pace, retries, signals and progress are other modules' business.
What every commit makes anew are msgspec Structs: frozen dataclasses of as many fields took a tenth of a small save.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from waycairn.codec import Packed, Types, decode, unbundle
from waycairn.errors import SweptMeanwhile
from waycairn.model.encoded import Encoded
from waycairn.model.ids import CheckpointId, OperationId, RunId
from waycairn.model.records import (
    Commit,
    ComputedItem,
    DoneItems,
    FailedItem,
    NewCheckpoint,
    NewData,
    NewRun,
    OutputLength,
    Progress,
    StepResult,
    Stored,
)
from waycairn.model.states import RunStatus
from waycairn.ports import Blobs, Catalog, Clock, Ownership
from waycairn.world import history
from waycairn.world.crashpoints import crashpoint
from waycairn.world.randomness import new_operation_id

if TYPE_CHECKING:
    from waycairn.chunks import ChunkReader, ChunkWriter, OpenState


class CheckpointDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint before its bytes have a place in the store."""

    kind: str
    encoded: Encoded
    role: str = "state"
    iteration: int | None = None
    tags: Sequence[str] = ()
    description: str | None = None
    metadata: Mapping[str, Any] = msgspec.field(default_factory=dict)
    expires: float | None = None
    reason: str | None = None
    outputs: Mapping[str, int] = msgspec.field(default_factory=dict)


class StepDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A step result before its bytes have a place in the store."""

    scope: str
    name: str
    arguments: bytes | None
    encoded: Encoded
    took: float


class ComputedDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A result that waits for its fold, before its bytes have a place in the store."""

    loop: str
    digest: bytes
    key: bytes
    encoded: Encoded


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """One cut, encoded on the caller's thread: nothing in it changes when the user's objects do."""

    run: RunId
    epoch: int
    sequence: int
    operation: OperationId
    """Names this draft, so that one that was interrupted can ask whether it is there."""
    progress: Progress
    status: RunStatus | None = None
    error: Mapping[str, Any] | None = None
    items: Sequence[DoneItems] = ()
    results: Mapping[str, Encoded] = msgspec.field(default_factory=dict)
    """Loop to what its items gave, see `codec.bundles`."""
    failures: Sequence[FailedItem] = ()
    settled: Sequence[tuple[str, bytes]] = ()
    computed: Sequence[ComputedDraft] = ()
    folded: Sequence[tuple[str, bytes]] = ()
    queued: Mapping[str, Encoded] = msgspec.field(default_factory=dict)
    """Queue to what was added to it, see `codec.bundles`."""
    steps: Sequence[StepDraft] = ()
    outputs: Sequence[OutputLength] = ()
    checkpoint: CheckpointDraft | None = None
    drop: Sequence[int] = ()


class StoreCore:
    """A catalog and the blobs beside it. Thread-safe; not usable in a forked child (open it again there)."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        blobs: Blobs,
        writer: ChunkWriter,
        reader: ChunkReader,
        ownership: Ownership,
        clock: Clock,
        url: str,
        scratch: Path | None = None,
        ledgers: str = "",
    ) -> None:
        """`scratch` is a directory of this host for what only its next process needs to know; `ledgers` the database
        (as SQLAlchemy names it) for streams whose sink is none."""
        self.catalog = catalog
        self.blobs = blobs
        self.ownership = ownership
        self.clock = clock
        self.url = url
        self.scratch = scratch
        self.ledgers = ledgers
        self._writer = writer
        self._reader = reader

    def commit(self, draft: Draft) -> None:
        """Make one cut durable. When this returns it survives what the store's durability promises.

        Raises OwnershipLost if a newer epoch owns the run, StoreError if it could not be done; then nothing of
        the cut is visible, and the draft can be committed again.
        """
        try:
            self._commit_once(draft)
        except SweptMeanwhile:
            # Chunks that were found again are gone: remembered numbers are worthless, the bytes are still here.
            self._writer.forget()
            self._commit_once(draft)

    def _commit_once(self, draft: Draft) -> None:
        crashpoint("store.begin")
        # 1. New chunks become durable in a pack, or stay in memory to ride inline.
        written: list[NewData] = []
        items = self._place_results(draft, written) if draft.results else draft.items
        computed = [self._place_computed(item, written) for item in draft.computed] if draft.computed else ()
        queued = {queue: self._write(added, written) for queue, added in draft.queued.items()} if draft.queued else {}
        steps = [self._place_step(step, written) for step in draft.steps] if draft.steps else ()
        checkpoint = self._place_checkpoint(draft.checkpoint, written) if draft.checkpoint else None
        crashpoint("store.chunks")
        # 2. One transaction: fence, chunk index, items, steps, outputs, checkpoint, progress.
        commit = Commit(
            run=draft.run,
            epoch=draft.epoch,
            sequence=draft.sequence,
            operation=draft.operation,
            now=self.clock.now(),
            progress=draft.progress,
            status=draft.status,
            error=draft.error,
            items=items,
            failures=draft.failures,
            settled=draft.settled,
            computed=computed,
            folded=draft.folded,
            queued=queued,
            steps=steps,
            outputs=draft.outputs,
            checkpoint=checkpoint,
            drop=draft.drop,
            data=written,
        )
        self.catalog.commit(commit)
        crashpoint("store.committed")
        # 3. Only now may later saves refer to these chunks.
        for data in written:
            self._writer.committed(data)
        if history.is_on():
            history.note(history.Committed.of(commit))

    def save_value(self, run: NewRun, draft: CheckpointDraft) -> CheckpointId:
        """Commit a plain value under a name, last commit wins. Durable when it returns."""
        try:
            return self._save_value_once(run, draft)
        except SweptMeanwhile:
            self._writer.forget()
            return self._save_value_once(run, draft)

    def _save_value_once(self, run: NewRun, draft: CheckpointDraft) -> CheckpointId:
        crashpoint("store.value.begin")
        written: list[NewData] = []
        checkpoint = self._place_checkpoint(draft, written)
        commit = Commit(
            run=run.id,
            epoch=1,
            sequence=0,
            operation=new_operation_id(),
            now=self.clock.now(),
            progress=Progress(),
            status=RunStatus.COMPLETED,  # nobody works on a plain value: it is no run to be resumed
            checkpoint=checkpoint,
            data=written,
        )
        saved = self.catalog.save_value(commit, run)
        crashpoint("store.value.committed")
        for data in written:
            self._writer.committed(data)
        if history.is_on():
            history.note(history.Saved(checkpoint=saved, root=checkpoint.stored.root))
        return saved

    def _place_results(self, draft: Draft, written: list[NewData]) -> list[DoneItems]:
        stored = {loop: self._write(encoded, written) for loop, encoded in draft.results.items()}
        return [replace(done, results=stored.get(done.loop)) for done in draft.items]

    def _place_computed(self, item: ComputedDraft, written: list[NewData]) -> ComputedItem:
        return ComputedItem(loop=item.loop, digest=item.digest, key=item.key, result=self._write(item.encoded, written))

    def _place_step(self, step: StepDraft, written: list[NewData]) -> StepResult:
        return StepResult(
            scope=step.scope,
            name=step.name,
            arguments=step.arguments,
            result=self._write(step.encoded, written),
            took=step.took,
        )

    def _place_checkpoint(self, draft: CheckpointDraft, written: list[NewData]) -> NewCheckpoint:
        return NewCheckpoint(
            kind=draft.kind,
            stored=self._write(draft.encoded, written),
            role=draft.role,
            iteration=draft.iteration,
            tags=draft.tags,
            description=draft.description,
            metadata=draft.metadata,
            expires=draft.expires,
            reason=draft.reason,
            outputs=draft.outputs,
        )

    def _write(self, encoded: Encoded, written: list[NewData]) -> Stored:
        stored, data = self._writer.write(encoded)
        if data is not None:
            written.append(data)
        return stored

    def load(self, stored: Stored, *, types: Types | None = None, only: str | None = None, strict: bool = True) -> Any:
        """Read, verify and decode. Raises Damaged if any byte that is needed differs from what was saved."""
        state = self._reader.open(stored)
        if only is None:
            state.prefetch()
        return decode(state.document, state.fetch, types=types, only=only, strict=strict)

    def load_encoded(self, stored: Stored) -> Encoded:
        """Read and verify, as it was before it was saved. Raises Damaged."""
        state = self._reader.open(stored)
        state.prefetch()
        return Encoded(state.document, [state.fetch(number) for number in range(state.buffer_count)])

    def load_results(self, stored: Stored) -> list[Packed | None]:
        """The parts of a bundle (what the items of one cut gave, in the order of their keys); each is decoded by its own
        call. Raises Damaged."""
        state = self._reader.open(stored)
        return unbundle(state.document, state.fetch)

    def open(self, stored: Stored) -> OpenState:
        """What lies in the store, for a caller who decides which buffers are read and where to. Raises Damaged."""
        return self._reader.open(stored)

    def verify(self, stored: Stored) -> None:
        """Read everything and compare it with its hashes. Raises Damaged naming what differs."""
        self._reader.verify(stored)

    def close(self) -> None:
        self.catalog.close()
