"""The StorageWriter."""

from __future__ import annotations

import dataclasses
import gc
import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch.distributed.checkpoint.metadata import Metadata, StorageMeta
from torch.distributed.checkpoint.planner import SavePlan, SavePlanner
from torch.distributed.checkpoint.storage import StorageWriter, WriteResult
from torch.futures import Future

from waycairn.codec import encode
from waycairn.integrations.torch_dcp.metadata import Place, pack_metadata
from waycairn.integrations.torch_dcp.parts import NewPart
from waycairn.integrations.torch_dcp.saves import OpenSave, add_part, in_flight, remove_superseded, removed
from waycairn.integrations.torch_dcp.where import Where, is_name, name_of
from waycairn.model.policy import Durability
from waycairn.work.store import Store

_VERSION = "1.0.0"
"""What DCP's own writer says of its Metadata."""


class WaycairnWriter(StorageWriter):  # type: ignore[misc]  # torch publishes no types that mypy is shown
    """Keeps the checkpoints of torch.distributed.checkpoint in a waycairn store.

    `path` is the directory of a store (made with the first save), `postgresql://...` or an open Store. One writer may
    save many times; `checkpoint_id` names a checkpoint in the store, and a save replaces the one before of that name
    when it is whole and durable, never earlier. The `keep` newest of a name stay. `durability` and `packs` as in
    `waycairn.open`. `thread_count` is taken for DCP's sake: waycairn writes with threads of its own.

    Save from one thread at a time, as DCP does; every rank has a writer of its own.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | Store,
        *,
        thread_count: int = 1,
        keep: int = 1,
        durability: Durability | None = None,
        packs: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__()
        if keep < 1:
            raise ValueError(f"keep={keep}: at least the newest checkpoint is kept")
        self.thread_count = thread_count
        self.keep = keep
        self._where = Where(path, packs, durability)
        self._name = name_of(None)
        self._rank: int | None = None
        self._is_alone = False
        self._save: OpenSave | None = None
        self._at_end: Any = None

    # -- what DCP calls, in this order ---------------------------------------------------------------------------

    def reset(self, checkpoint_id: str | os.PathLike[str] | None = None) -> None:
        """A new save begins. One of this writer that was not finished is given up."""
        self._abandon()
        if checkpoint_id is not None:
            self._name = name_of(checkpoint_id)

    def set_up_storage_writer(self, is_coordinator: bool, *args: Any, **kwargs: Any) -> None:
        del is_coordinator, args
        self._rank = kwargs.get("rank")
        self._is_alone = not kwargs.get("use_collectives", True)

    def prepare_local_plan(self, plan: SavePlan) -> SavePlan:
        return plan

    def prepare_global_plan(self, plans: list[SavePlan]) -> list[SavePlan]:
        """The coordinator begins the save and tells every rank which it is."""
        self._abandon()
        self._save = save = OpenSave(self._where.store().core, self._save_name)
        self._at_end = weakref.finalize(self, save.abandon)
        return [dataclasses.replace(plan, storage_data=save.run) for plan in plans]

    def write_data(self, plan: SavePlan, planner: SavePlanner) -> Future[list[WriteResult]]:
        """Store all that this rank has to write, as one state. It is durable when this returns, and nobody's checkpoint
        before `finish`."""
        done: Future[list[WriteResult]] = Future()
        with _no_collection():
            done.set_result(self._write(plan, planner) if plan.items else [])
        return done

    def finish(self, metadata: Metadata, results: list[list[WriteResult]]) -> None:
        """The commit point, on the coordinator. Superseded checkpoints are deleted behind it."""
        save = self._save
        if save is None:
            raise removed(self._save_name)
        written = [one for of_rank in results for one in of_rank]
        if any(one.storage_data[0] != save.run for one in written):
            raise removed(self._save_name)
        metadata.version = metadata.version or _VERSION
        metadata.storage_data = {one.index: Place(*one.storage_data[1]) for one in written}
        metadata.storage_meta = StorageMeta(checkpoint_id=self._save_name, save_id=save.run)
        with _no_collection():
            save.finish({**pack_metadata(metadata), "parts": save.parts()})
        self._abandon()
        remove_superseded(self._where.store(), self._save_name, self.keep)

    # -- the rest of the interface -------------------------------------------------------------------------------

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: str | os.PathLike[str]) -> bool:
        """Any text of up to 1,000 characters is a name."""
        return is_name(checkpoint_id)

    def storage_meta(self) -> StorageMeta:
        return StorageMeta(checkpoint_id=self._save_name, save_id=self._save.run if self._save else None)

    @property
    def checkpoint_id(self) -> str:
        return self._save_name

    def close(self) -> None:
        """Give up an unfinished save and close the store, if this writer opened it. A later save opens it again."""
        self._abandon()
        self._where.close()

    # -- inside ----------------------------------------------------------------------------------------------------

    @property
    def _save_name(self) -> str:
        return name_of(self._name, self._rank if self._is_alone else None)

    def _write(self, plan: SavePlan, planner: SavePlanner) -> list[WriteResult]:
        part = NewPart()
        for item in plan.items:
            part.add(item, planner)
        core = self._where.store().core
        # DCP's cache of plans hands a rank the plan of an earlier save, which ended since.
        run = in_flight(core, self._save_name, plan.storage_data) if self._save is None else self._save.run
        sequence = add_part(core, self._save_name, run, encode(part.state), {"rank": self._rank})
        return [
            WriteResult(index=item.index, size_in_bytes=size, storage_data=(run, tuple(Place(sequence, group, number))))
            for item, group, number, size in part.where
        ]

    def _abandon(self) -> None:
        if self._at_end is not None:
            self._at_end()
        self._save = self._at_end = None

    def __getstate__(self) -> dict[str, Any]:
        """For another process, as async_save does it: what is in flight stays here."""
        return {**self.__dict__, "_save": None, "_at_end": None}


@contextmanager
def _no_collection() -> Iterator[None]:
    """All that a save makes lives to its end: the collector would look at every object of torch, 0.2 s each time, and
    find nothing. A third of a save of 3,000 small tensors."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
