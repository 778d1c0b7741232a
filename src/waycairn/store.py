"""The commit order: chunks, then pack, then one catalog transaction. Reading goes the other way, verified.

This is the whole of what makes a save durable; pace, retries, signals and progress are other modules' business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import structs

from waycairn.codec import Packed, Types, load, read_apart, unbundle
from waycairn.errors import StoreError, SweptMeanwhile
from waycairn.measuring import NoMeter
from waycairn.model.drafts import CheckpointDraft, ComputedDraft, Draft, StepDraft
from waycairn.model.encoded import Encoded, Streamed
from waycairn.model.files import Files
from waycairn.model.ids import CheckpointId, RunId, checkpoint_id
from waycairn.model.records import (
    ChunkPlace,
    Commit,
    ComputedItem,
    DoneItems,
    NewCheckpoint,
    NewData,
    NewRun,
    Progress,
    StepResult,
    Stored,
)
from waycairn.model.settings import Settings
from waycairn.model.states import RunStatus
from waycairn.model.sweeping import names_of
from waycairn.ports import Blobs, Catalog, Clock, Listener, Meter, Ownership
from waycairn.world import history
from waycairn.world.crashpoints import crashpoint
from waycairn.world.randomness import new_operation_id

if TYPE_CHECKING:
    from waycairn.chunks import ChunkReader, ChunkWriter, Examined, IndexTable, OpenState, Roots, StateStream
    from waycairn.crypto.locksmith import Locksmith

__all__ = ["CheckpointDraft", "ComputedDraft", "Draft", "StepDraft", "StoreCore"]

T = TypeVar("T")
_WRITTEN_AGAIN = 2
"""Times that a commit is placed on top of what is there; then everything is written anew."""
_SWEPT_IN_A_ROW = 8
"""Sweeps that may come between a look at what is there and the commit, one after the other: the two lie within a
millisecond."""


class _Written(list[NewData]):
    """What one commit adds to the chunk index."""

    def __init__(self, anew: bool) -> None:
        super().__init__()
        self.anew = anew
        """Chunks that the store has are written again."""


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
        settings: Settings | None = None,
        locksmith: Locksmith | None = None,
        meter: Meter | None = None,
    ) -> None:
        """`locksmith` opens the keys again, if it is encrypted. `scratch` is a directory of this host for what only its next process needs to know; `ledgers` the database
        (as SQLAlchemy names it) for streams whose sink is none."""
        self.catalog = catalog
        self.blobs = blobs
        self.ownership = ownership
        self.clock = clock
        self.url = url
        self.scratch = scratch
        self.ledgers = ledgers
        self.settings = settings or Settings()
        self.locksmith = locksmith
        self.meter: Meter = meter or NoMeter()
        self.listener: Listener | None = None
        """Told of what was committed; None until somebody asked for it (see `upkeep.events`)."""
        self._writer = writer
        self._reader = reader

    @property
    def is_encrypted(self) -> bool:
        return self.catalog.info.is_encrypted

    def commit(self, draft: Draft) -> None:
        """Make one cut durable. When this returns it survives what the store's durability promises.

        Raises OwnershipLost if a newer epoch owns the run, StoreError if it could not be done; then nothing of
        the cut is visible, and the draft can be committed again.
        """
        self.meter.timed("commit" if draft.checkpoint is None else "save", self._commit, draft, run=draft.run)

    def _commit(self, draft: Draft) -> None:
        if draft.drop and history.is_on():
            history.note(history.Replacing(run=draft.run, sequence=draft.sequence, what=draft.drop))
        commit, _ = self._fenced(lambda anew: self._place(draft, anew), self.catalog.commit)
        crashpoint("store.committed")
        # 3. Only now may later saves refer to these chunks.
        for data in commit.data:
            self._writer.committed(data)
        if history.is_on():
            history.note(history.Committed.of(commit))
        self._tell(commit, None if commit.checkpoint is None else checkpoint_id(commit.run, commit.sequence))

    def carry_steps(self, draft: Draft, source: RunId, steps: Sequence[StepResult]) -> bool:
        """Make a cut durable whose steps are the same as steps of another run, without reading them. False, and nothing
        changed, if one of them is not there any more."""
        commit = structs.replace(self._place(draft, anew=False), steps=steps)
        if not self.catalog.carry_steps(commit, source):
            return False
        if history.is_on():
            history.note(history.Committed.of(commit))
        self._tell(commit, None)
        return True

    def _tell(self, commit: Commit, saved: CheckpointId | None) -> None:
        """Who measures, and who asked to be told: behind everything that makes it durable."""
        if commit.checkpoint is not None:
            self.meter.record("save.bytes", commit.checkpoint.stored.new_bytes)
            self.meter.record("save.raw", commit.checkpoint.stored.raw_bytes)
        if self.listener is not None:
            self.listener.committed(commit, saved)

    def _fenced(self, place: Callable[[bool], Commit], apply: Callable[[Commit], T]) -> tuple[Commit, T]:
        """Place a commit and apply it. Where a sweep came between and took what it leans on, write it again, and at last
        without leaning on anything: the bytes are still here."""
        for _ in range(_WRITTEN_AGAIN):
            commit = place(False)
            try:
                return commit, self._apply(commit, apply)
            except SweptMeanwhile:
                for pack in names_of(commit.data):
                    with suppress(StoreError):  # certainly not committed: else a sweep removes it
                        self.blobs.delete(pack)
        commit = place(True)
        return commit, self._apply(commit, apply)

    def _apply(self, commit: Commit, apply: Callable[[Commit], T]) -> T:
        """A sweep that came between took as a rule nothing that this commit leans on: then it stands as it is."""
        for _ in range(_SWEPT_IN_A_ROW):
            try:
                return apply(commit)
            except SweptMeanwhile:
                from waycairn.chunks.referring import epoch_to_commit_under

                self._writer.forget()
                epoch = epoch_to_commit_under(self.catalog, self.blobs, _manifests_of(commit), commit.data)
                if epoch is None:
                    raise
                commit = structs.replace(commit, data=[structs.replace(one, sweep_epoch=epoch) for one in commit.data])
        return apply(commit)

    def forget_chunks(self) -> None:
        """This process has swept: what it remembers of chunks may be gone."""
        self._writer.forget()

    def _place(self, draft: Draft, anew: bool) -> Commit:
        crashpoint("store.begin")
        # 1. New chunks become durable in a pack, or stay in memory to ride inline.
        written = _Written(anew)
        items = self._place_results(draft, written) if draft.results else draft.items
        computed = [self._place_computed(item, written) for item in draft.computed] if draft.computed else ()
        queued = {queue: self._write(added, written) for queue, added in draft.queued.items()} if draft.queued else {}
        steps = [self._place_step(step, written) for step in draft.steps] if draft.steps else ()
        checkpoint = self._place_checkpoint(draft.checkpoint, written) if draft.checkpoint else None
        crashpoint("store.chunks")
        # 2. One transaction: fence, chunk index, items, steps, outputs, checkpoint, progress.
        return Commit(
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
            journal=draft.journal,
        )

    def save_value(self, run: NewRun, draft: CheckpointDraft, keep: int | None = None) -> CheckpointId:
        """Commit a plain value under a name, last commit wins. Durable when it returns. With `keep` older values than the
        newest so many are removed in the same transaction."""
        return self.meter.timed("save", self._save_value, run, draft, keep, name=run.name)

    def _save_value(self, run: NewRun, draft: CheckpointDraft, keep: int | None) -> CheckpointId:
        if keep is not None and history.is_on():
            history.note(history.Keeping(name=run.name, keep=keep))
        commit, saved = self._fenced(
            lambda anew: self._place_value(run, draft, anew), lambda commit: self.catalog.save_value(commit, run, keep)
        )
        crashpoint("store.value.committed")
        for data in commit.data:
            self._writer.committed(data)
        if history.is_on():
            assert commit.checkpoint is not None
            history.note(history.Saved(checkpoint=saved, root=commit.checkpoint.stored.root))
        self._tell(commit, saved)
        return saved

    def _place_value(self, run: NewRun, draft: CheckpointDraft, anew: bool) -> Commit:
        crashpoint("store.value.begin")
        written = _Written(anew)
        checkpoint = self._place_checkpoint(draft, written)
        return Commit(
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

    def _place_results(self, draft: Draft, written: _Written) -> list[DoneItems]:
        stored = {loop: self._write(encoded, written) for loop, encoded in draft.results.items()}
        return [structs.replace(done, results=stored.get(done.loop)) for done in draft.items]

    def _place_computed(self, item: ComputedDraft, written: _Written) -> ComputedItem:
        return ComputedItem(loop=item.loop, digest=item.digest, key=item.key, result=self._write(item.encoded, written))

    def _place_step(self, step: StepDraft, written: _Written) -> StepResult:
        return StepResult(
            scope=step.scope,
            name=step.name,
            arguments=step.arguments,
            result=self._write(step.encoded, written),
            took=step.took,
        )

    def _place_checkpoint(self, draft: CheckpointDraft, written: _Written) -> NewCheckpoint:
        return NewCheckpoint(
            kind=draft.kind,
            stored=self._write(draft.encoded, written, draft.compress, draft.base),
            role=draft.role,
            iteration=draft.iteration,
            tags=draft.tags,
            description=draft.description,
            metadata=draft.metadata,
            expires=draft.expires,
            reason=draft.reason,
            outputs=draft.outputs,
        )

    def _write(
        self, encoded: Encoded | Streamed, written: _Written, compress: str | None = None, base: Stored | None = None
    ) -> Stored:
        stored, data = self._writer.write(encoded, compress=compress, base=base, anew=written.anew)
        if data is not None:
            written.append(data)
        return stored

    def load(
        self,
        stored: Stored,
        *,
        into: Any = None,
        types: Types | None = None,
        only: str | Sequence[str] | None = None,
        strict: bool = True,
        map_location: Any = None,
    ) -> Any:
        """Read, verify and decode, anew or `into` arrays and tensors that are there (see `codec.load`), or into Files. Raises
        Damaged if any byte that is needed differs from what was saved."""
        if isinstance(into, Files):
            if only is not None:
                raise ValueError("files are loaded all together: only= says which part, and into= that they are files.")
            return self.meter.timed("load", self._load_files, stored, into)

        def read() -> Any:
            state = self._reader.open(stored)
            large = state.large_document
            document, apart = (state.document, ()) if large is None else read_apart(large)
            found = load(
                document,
                state,
                into=into,
                types=types,
                only=only,
                strict=strict,
                map_location=map_location,
                apart=apart,
            )
            if only is None:
                self.meter.record("load.bytes", stored.raw_bytes)
            return found

        return self.meter.timed("load", read)

    def _load_files(self, stored: Stored, into: Files) -> Files:
        from waycairn.codec.writing_files import writing_files  # few need it

        with writing_files(into) as writer:
            for data in self._reader.stream(stored).lent():
                writer.take(data)
        self.meter.record("load.bytes", stored.raw_bytes)
        return into

    def load_encoded(self, stored: Stored) -> Encoded:
        """Read and verify, as it was before it was saved. Raises Damaged."""
        return self.meter.timed("load", self._load_encoded, stored)

    def _load_encoded(self, stored: Stored) -> Encoded:
        state = self._reader.open(stored)
        state.prefetch()
        return Encoded(bytes(state.document), [state.fetch(number) for number in range(state.buffer_count)])

    def load_results(self, stored: Stored) -> list[Packed | None]:
        """The parts of a bundle (what the items of one cut gave, in the order of their keys); each is decoded by its own
        call. Raises Damaged."""
        state = self._reader.open(stored)
        return unbundle(state.document, state.fetch)

    def open(self, stored: Stored) -> OpenState:
        """What lies in the store, for a caller who decides which buffers are read and where to. Raises Damaged."""
        return self._reader.open(stored)

    def stream(self, stored: Stored) -> StateStream:
        """To read all of it as it lies in chunks, verified, in little memory. Raises Damaged."""
        return self._reader.stream(stored)

    def keep(self, encoded: Encoded) -> Stored:
        """Make the chunks of a state durable ahead of the transaction that will name it. A sweep that comes before that takes
        them: it has to look whether they are there, see `ports.MovingRows.put_run`."""
        for _ in range(_WRITTEN_AGAIN):
            try:
                return self._keep(encoded, anew=False)
            except SweptMeanwhile:
                self._writer.forget()
        return self._keep(encoded, anew=True)

    def _keep(self, encoded: Encoded, *, anew: bool) -> Stored:
        stored, data = self._writer.write(encoded, anew=anew)
        if data is not None:
            self.catalog.add_chunks(data, self.clock.now())
            crashpoint("store.kept")
            self._writer.committed(data)
        return stored

    def verify(self, stored: Stored) -> None:
        """Read everything and compare it with its hashes. Raises Damaged naming what differs."""
        self.meter.timed("verify", self._reader.verify, stored)

    def examine(self, pages: Iterable[Sequence[ChunkPlace]]) -> Iterator[Examined]:
        """Read chunks back, whatever needs them, and tell which are damaged."""
        return self._reader.examine(pages)

    def roots(self, table: IndexTable) -> Roots:
        """To compare many states with their root hashes, by one look at the index."""
        return self._reader.roots(table)

    def close(self) -> None:
        if self.listener is not None:
            self.listener.drain()
        self.meter.close()
        self.catalog.close()


def _manifests_of(commit: Commit) -> Iterator[bytes]:
    """Of everything that is stored with it."""
    stored = [done.results for done in commit.items]
    stored += [item.result for item in commit.computed]
    stored += commit.queued.values()
    stored += [step.result for step in commit.steps]
    stored += [commit.checkpoint.stored] if commit.checkpoint else []
    return (one.manifest for one in stored if one is not None)
