"""The saves of one checkpoint id, as rows: each save is a run of that name, its parts and its end are checkpoints of it.

    begin   the coordinator claims a new run and adds it: from here on everybody sees that the save is in flight
    part    each rank adds a checkpoint with the role "part" to that run
    finish  ONE commit: the checkpoint of kind "dcp" that holds the Metadata and names the parts with their root hashes

A run without that last checkpoint is no checkpoint to anybody. It is in flight while its coordinator lives, and else
garbage, which the next finished save removes. The commit at the end is fenced: it fails if the run is gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from waycairn.codec import encode
from waycairn.errors import CheckpointNotFound, Damaged, RunIsHeld, RunNotFound
from waycairn.model.encoded import Encoded
from waycairn.model.ids import RunId, split_checkpoint_id
from waycairn.model.records import CheckpointFilter, CheckpointRecord, NewRun, Progress, RunFilter, RunRecord, Stored
from waycairn.model.states import CheckpointStatus, RunStatus
from waycairn.process import new_root
from waycairn.store import CheckpointDraft, Draft, StoreCore
from waycairn.work.store import Store
from waycairn.world.crashpoints import crashpoint
from waycairn.world.randomness import new_operation_id, new_run_id

TASK = "torch.distributed.checkpoint"
KIND, PART_KIND = "dcp", "dcp_part"
PART_ROLE = "part"


class OpenSave:
    """A save in flight, in the hands of its coordinator."""

    def __init__(self, core: StoreCore, name: str) -> None:
        crashpoint("dcp.begin")
        self._core = core
        self.name = name
        self.run = new_run_id()
        hold = core.ownership.claim(self.run, 1)
        assert hold is not None, "nobody else knows the id of this run"
        self._hold = hold
        try:
            core.catalog.add_run(_new_run(self.run, name, self.run, owner=hold.owner), core.clock.now())
            crashpoint("dcp.begun")
        except BaseException:
            hold.release()
            raise

    def parts(self) -> dict[int, bytes]:
        """Sequence and root hash of every part that was added."""
        listed = self._core.catalog.list_checkpoints(CheckpointFilter(run=self.run, role=PART_ROLE))
        return {record.sequence: record.checkpoint.stored.root for record in listed}

    def finish(self, content: Mapping[str, Any]) -> None:
        """The commit point: when this returns the checkpoint is the newest, durable. Raises RunNotFound if somebody
        removed the save, OwnershipLost if somebody took it over; then the checkpoint before is the newest still."""
        found = self._core.catalog.get_run(self.run)
        if found is None:
            raise removed(self.name)
        draft = Draft(
            run=self.run,
            epoch=1,
            sequence=found.sequence + 1,
            operation=new_operation_id(),
            progress=Progress(),
            status=RunStatus.COMPLETED,
            checkpoint=CheckpointDraft(kind=KIND, role="value", encoded=encode(content)),
        )
        crashpoint("dcp.finish")
        self._core.commit(draft)
        crashpoint("dcp.finished")
        self.abandon()

    def abandon(self) -> None:
        """Nobody works on it any more. Idempotent."""
        self._hold.release()


def add_part(core: StoreCore, name: str, run: str, encoded: Encoded, metadata: Mapping[str, Any]) -> int:
    """Make one rank's data durable below a save; the sequence of its checkpoint. Raises RunNotFound if the save is gone."""
    crashpoint("dcp.part")
    draft = CheckpointDraft(kind=PART_KIND, role=PART_ROLE, encoded=encoded, metadata=metadata)
    found, sequence = split_checkpoint_id(core.save_value(_new_run(new_run_id(), name, run), draft))
    crashpoint("dcp.part.added")
    if found != run:
        core.catalog.delete_run(found)  # the plain save began it anew: nobody will ever finish that
        raise removed(name)
    return sequence


def removed(name: str) -> RunNotFound:
    return RunNotFound(
        f"a save of the DCP checkpoint {name!r} was removed while it was made: its coordinator was taken for dead, or it "
        "was deleted by hand. The checkpoint before it is the newest still. Save again."
    )


@dataclass(frozen=True)
class Finished:
    """A save with its commit."""

    run: RunRecord
    record: CheckpointRecord

    def part(self, core: StoreCore, sequence: int, root: bytes) -> Stored:
        """Where a part lies. Raises Damaged if it is not the part that the commit named, CheckpointNotFound if the
        whole save was deleted meanwhile."""
        found = core.catalog.get_checkpoint(self.run.id, sequence)
        if found is not None and found.checkpoint.stored.root == root:
            return found.checkpoint.stored
        if core.catalog.get_checkpoint(self.run.id, self.record.sequence) is None:
            raise CheckpointNotFound(
                f"the DCP checkpoint {self.record.id} was deleted while it was read. Load again: a newer one is there.",
                checkpoint=self.record.id,
            )
        raise Damaged(
            f"part {sequence} of the DCP checkpoint {self.record.id} is {'missing' if found is None else 'another one'}. "
            "It is not used; an older checkpoint may be intact. See `waycairn doctor`."
        )


def finished(core: StoreCore, name: str) -> Iterator[Finished]:
    """The valid checkpoints of an id, newest first: in the order in which their saves began."""
    for run in _runs(core, name):
        record = core.catalog.latest_checkpoint(run.id, kind=KIND)
        if record is not None:
            yield Finished(run, record)


def in_flight(core: StoreCore, name: str, run: str) -> str:
    """The save `run` if it is in flight, else the newest one that is. Raises RunNotFound if none is."""
    flying = [found.id for found in _runs(core, name) if _is_in_flight(core, found)]
    if not flying:
        raise removed(name)
    return run if run in flying else flying[0]


def _is_in_flight(core: StoreCore, run: RunRecord) -> bool:
    return core.ownership.holder(run) is not None and core.catalog.latest_checkpoint(run.id, kind=KIND) is None


def remove_superseded(store: Store, name: str, keep: int) -> None:
    """Delete what newer checkpoints replaced, but the `keep` newest valid ones and pinned ones, and what saves that died
    left behind. Only to be called behind the commit of a newer one."""
    core = store.core
    valid = 0
    for run in _runs(core, name):
        # In this order: a save whose holder is gone has either committed by now, or never will.
        is_held = core.ownership.holder(run) is not None
        ends = core.catalog.list_checkpoints(CheckpointFilter(run=run.id, kind=KIND))
        if ends:
            is_kept = valid < keep or any(end.pinned for end in ends)
            valid += any(end.status is CheckpointStatus.VALID for end in ends)
        else:
            is_kept = is_held
        if not is_kept:
            crashpoint("dcp.remove")
            with suppress(RunIsHeld, RunNotFound):  # held still: removed by the next save; not found: by another one
                store.remove(run.id)
            crashpoint("dcp.removed")


def _runs(core: StoreCore, name: str) -> list[RunRecord]:
    return [run for run in core.catalog.list_runs(RunFilter(name=name, task=TASK)) if run.key is not None]


def _new_run(run: RunId, name: str, key: str, owner: Any = None) -> NewRun:
    return new_root(run, name, key, owner, task=TASK)
