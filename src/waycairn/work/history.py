"""Acts on what was remembered: reading it back, keeping it, letting it go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from waycairn.codec import Types
from waycairn.errors import CheckpointNotFound, CheckpointPinned, Damaged
from waycairn.model.records import CheckpointFilter, CheckpointRecord, RunRecord
from waycairn.upkeep.auditing import audited_commit
from waycairn.work.backing import refuse_backup
from waycairn.work.listing import Listing
from waycairn.work.restoring import note_damage
from waycairn.work.step import check_name
from waycairn.world import history

if TYPE_CHECKING:
    from waycairn.upkeep.differences import Difference


class History(Listing):
    """The part of `Store` for checkpoints."""

    def load(
        self,
        checkpoint: str,
        *,
        into: Any = None,
        only: str | Sequence[str] | None = None,
        map_location: Any = None,
        returns: Any = None,
        strict: bool = True,
    ) -> Any:
        """What a checkpoint holds, verified.

        `into`: a tree of dicts, lists and tuples, such as a state_dict(). Its arrays and tensors get the stored contents
        in place, large ones straight from the disk; the result is the stored state with these in it. ValueError names
        what does not fit, before anything is changed; Damaged may leave some of them overwritten.
        `only="model.layer1"` reads just that part, a list of paths a dict of parts. `map_location` is the device for
        tensors (a torch.device or its name); without it they come back on the CPU, wherever they were. `returns` gives
        the types; with strict=False unknown types come as readable records.
        Raises CheckpointNotFound, Damaged, UnknownType; KeyError if there is no such part.
        """
        found = self.checkpoint(checkpoint)
        types = None if returns is None else Types.of(returns)
        try:
            return self.core.load(
                found.checkpoint.stored, into=into, types=types, only=only, strict=strict, map_location=map_location
            )
        except Damaged as error:
            # What it means for `into` is the caller's business, and no fact about the checkpoint.
            damage = error.__cause__ if isinstance(error.__cause__, Damaged) else error
            note_damage(self.core, found, damage)
            raise

    def fork(self, run: str, checkpoint: str, name: str, *, key: str | None = None) -> RunRecord:
        """A new run that begins exactly at a checkpoint of a state: with all that was committed up to there, also in the phases
        below. It shares the bytes with its source and goes on by itself: enter it by its name and key. Of output files
        that grow it gets copies beside them, up to that cut; what it writes goes there: `out.jsonl` is `out.NAME.jsonl`.

        The source may be running. Raises CheckpointNotFound, RunError if there is a run of that name, Damaged if an output
        file is shorter than it was; ValueError for what is no cut, and for runs that follow files or are done in parts."""
        check_name("run", name)
        if key is not None:
            check_name("run's key", key)
        from waycairn.upkeep.forking import fork

        return fork(self.core, self.find(run), self.checkpoint(checkpoint), name, key)

    def diff(self, old: str, new: str) -> Iterator[Difference]:
        """What differs between the states of two checkpoints, or of the newest of runs: see `waycairn.upkeep.differences`.
        States are not loaded whole: large arrays are read in turn, while they are compared. Types that are not known here
        are compared by their fields. Raises CheckpointNotFound, RunNotFound, Damaged."""
        from waycairn.upkeep.comparing import compare

        def on_damage(record: CheckpointRecord, error: Damaged) -> None:
            note_damage(self.core, record, error)

        return compare(self.core, self._state_of(old), self._state_of(new), on_damage)

    def _state_of(self, name: str) -> CheckpointRecord:
        with suppress(ValueError, CheckpointNotFound):
            return self.checkpoint(name)
        run = self.find(name)
        newest = self.core.catalog.latest_checkpoint(run.id, role="state")
        newest = newest or self.core.catalog.latest_checkpoint(run.id, role="value")
        if newest is None:
            raise CheckpointNotFound(f"run {run.name!r} ({run.id}) has no intact state.", checkpoint=name)
        return newest

    def rewind(self, run: str, checkpoint: str) -> RunRecord:
        """Cut a run, and the phases below it, back to an earlier checkpoint of a state. What was done later is undone for good:
        items, steps, what was logged. Later checkpoints are set aside: they can be read, and nothing goes on from them.
        A completed run can be entered again; its output files are cut back then. To keep what is there now, fork it first.

        Raises RunIsHeld, CheckpointNotFound; ValueError as `fork`, and for a run that was given up."""
        from waycairn.upkeep.rewinding import rewind

        found = self.find(run)
        refuse_backup(self.core, found, "rewound")
        return rewind(self.core, found, self.checkpoint(checkpoint))

    def pin(self, checkpoint: str, pinned: bool = True) -> None:
        """Keep a checkpoint whatever policies say; or let it go again."""
        found = self.checkpoint(checkpoint)
        with audited_commit(self.core, "checkpoint.pin" if pinned else "checkpoint.unpin", found.id):
            self.core.catalog.pin_checkpoint(found.run, found.sequence, pinned)

    def delete(self, checkpoint: str) -> None:
        """Delete one checkpoint. Raises CheckpointPinned; ValueError for the one an unfinished run goes on from."""
        found = self.checkpoint(checkpoint)
        with audited_commit(self.core, "checkpoint.delete", found.id, kind=found.checkpoint.kind):
            if found.pinned:
                raise CheckpointPinned(
                    f"checkpoint {checkpoint} is pinned. Nothing was deleted. Unpin it first: waycairn unpin {checkpoint}",
                    checkpoint=checkpoint,
                )
            self._refuse_last(found)
            self._delete([found])

    def _refuse_last(self, found: CheckpointRecord) -> None:
        run = self.core.catalog.get_run(found.run)
        newest = self.core.catalog.latest_checkpoint(found.run, role="state")
        if run and not run.status.is_finished and newest and newest.sequence == found.sequence:
            raise ValueError(
                f"checkpoint {found.id} is the one the unfinished run {run.name!r} goes on from. Nothing was deleted. "
                "Finish the run, or give it up first: waycairn discard"
            )

    def clear(self, run: str, *, kind: str | None = None) -> int:
        """Delete the checkpoints of a run (of a kind), but pinned ones and the one an unfinished run goes on from.
        Returns how many."""
        found = self.find(run)
        listed = self.core.catalog.list_checkpoints(CheckpointFilter(run=found.id, kind=kind, pinned=False))
        newest = self.core.catalog.latest_checkpoint(found.id, role="state")
        keep = newest.sequence if newest and not found.status.is_finished else None
        gone = [record for record in listed if record.sequence != keep]
        with audited_commit(self.core, "run.clear", found.id, name=found.name, kind=kind, checkpoints=len(gone)):
            return self._delete(gone)

    def _delete(self, records: Sequence[CheckpointRecord]) -> int:
        """Checkpoints of one run."""
        if not records:
            return 0
        what = [record.id for record in records]
        history.note(history.Deleting(what=what))
        sequences = [record.sequence for record in records]
        deleted = self.core.catalog.delete_checkpoints(records[0].run, sequences)
        run = self.core.catalog.get_run(records[0].run)
        if run is not None:
            self._forget_copies(run, sequences)
        history.note(history.Deleted(what=what))
        return deleted

    def _forget_copies(self, run: RunRecord, sequences: Sequence[int] | None = None) -> None:
        from waycairn.upkeep.mirror_folder import forget_copies

        forget_copies(self.core, run, sequences)
