"""The StorageReader."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Callable
from typing import Any, NamedTuple

from torch.distributed.checkpoint.metadata import Metadata, MetadataIndex
from torch.distributed.checkpoint.planner import LoadPlan, LoadPlanner
from torch.distributed.checkpoint.storage import StorageReader
from torch.futures import Future

from waycairn.errors import CheckpointNotFound, Damaged, StoreNotFound
from waycairn.integrations.torch_dcp.metadata import Place, unpack_metadata
from waycairn.integrations.torch_dcp.parts import OpenPart
from waycairn.integrations.torch_dcp.saves import Finished, finished
from waycairn.integrations.torch_dcp.where import Where, is_name, name_of
from waycairn.store import StoreCore
from waycairn.work.restoring import note_damage
from waycairn.work.store import Store
from waycairn.world.randomness import new_nonce

log = logging.getLogger("waycairn")


class _Agreed(NamedTuple):
    """What a plan carries between ranks."""

    checkpoint: str
    is_alone: bool = False
    """No other rank reads beside this one."""


class _Opened:
    """One checkpoint, chosen for reading."""

    def __init__(self, core: StoreCore, save: Finished) -> None:
        """Raises Damaged."""
        self._core = core
        self.save = save
        content = self._core.load(save.record.checkpoint.stored)
        self.metadata = unpack_metadata(content)
        self._roots: dict[int, bytes] = content["parts"]
        self._parts: dict[int, OpenPart] = {}

    @property
    def id(self) -> str:
        return self.save.record.id

    def place(self, index: MetadataIndex) -> Place:
        found: Place = self.metadata.storage_data[index]
        return found

    def find(self, plan: LoadPlan) -> None:
        """Look whether the parts that the plan needs are there, by their rows."""
        for sequence in self._by_part(plan):
            self._part(sequence)

    def hand_over(self, plan: LoadPlan, planner: LoadPlanner) -> None:
        for sequence, items in self._by_part(plan).items():
            self._part(sequence).hand_over(items, planner)
            del self._parts[sequence]  # and the memory that was needed on the way

    def suits(self, plan: LoadPlan, metadata: Metadata) -> bool:
        """A plan that was made for other metadata can be read from here: the same names, in the same shapes."""
        ours, theirs = self.metadata.state_dict_metadata, metadata.state_dict_metadata
        return all(
            item.storage_index in self.metadata.storage_data
            and ours.get(item.storage_index.fqn) == theirs.get(item.storage_index.fqn)
            for item in plan.items
        )

    def _by_part(self, plan: LoadPlan) -> dict[int, list[tuple[Any, Place]]]:
        found: dict[int, list[tuple[Any, Place]]] = {}
        for item in plan.items:
            place = self.place(item.storage_index)
            found.setdefault(place.part, []).append((item, place))
        return found

    def _part(self, sequence: int) -> OpenPart:
        if sequence not in self._parts:
            stored = self.save.part(self._core, sequence, self._roots[sequence])
            self._parts[sequence] = OpenPart(self._core.open(stored))
        return self._parts[sequence]


class WaycairnReader(StorageReader):  # type: ignore[misc]  # torch publishes no types that mypy is shown
    """Reads what a WaycairnWriter saved: the newest finished checkpoint of a name, every byte verified.

    `path`, `packs` and `thread_count` as for the writer; `checkpoint_id` names the checkpoint. One that is damaged is
    marked so, reported in the log, and the newest intact one before it is read instead; with `fallback=False` Damaged
    is raised. DCP wraps what a rank raises in its CheckpointException: look into `failures`. After an error the tensors
    that were loaded into hold anything.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | Store,
        *,
        thread_count: int = 1,
        fallback: bool = True,
        packs: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__()
        self.thread_count = thread_count
        self.fallback = fallback
        self.load_id = new_nonce()
        self._where = Where(path, packs, "power", create=False)
        self._id: str | os.PathLike[str] | None = None
        self._name = name_of(None)
        self._opened: _Opened | None = None
        self._problem: Exception | None = None

    # -- what DCP calls, in this order ---------------------------------------------------------------------------

    def reset(self, checkpoint_id: str | os.PathLike[str] | None = None) -> None:
        """A new load begins."""
        if checkpoint_id is not None:
            self._id = checkpoint_id
        self._opened = self._problem = None
        self.load_id = new_nonce()

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        """Of the newest intact checkpoint, which is the one that is read from then on. With `rank=` of what that rank
        saved without the others. Raises CheckpointNotFound, StoreNotFound, Damaged."""
        del args
        rank = kwargs.get("rank")
        self._name = name_of(self._id, rank)
        try:
            return self._choose()
        except (CheckpointNotFound, StoreNotFound, Damaged) as error:
            if rank is None:
                self._problem = error
                raise
            # DCP asks a second time, for this rank alone, and would turn an error here into an AssertionError: it learns
            # of the first one where errors go through as they are.
            self._problem = self._problem or error
            return Metadata(state_dict_metadata={})

    def set_up_storage_reader(self, metadata: Metadata, is_coordinator: bool, *args: Any, **kwargs: Any) -> None:
        del metadata, is_coordinator, args, kwargs
        if self._opened is None:
            raise self._problem or RuntimeError("read_metadata comes before set_up_storage_reader")

    def prepare_local_plan(self, plan: LoadPlan) -> LoadPlan:
        """What can be told without reading data is told here, where ranks can still agree on another checkpoint."""
        if self.fallback:
            self._reading(plan, lambda opened: opened.find(plan))
        return dataclasses.replace(plan, storage_data=_Agreed(self._chosen.id))

    def prepare_global_plan(self, plans: list[LoadPlan]) -> list[LoadPlan]:
        """All ranks read the same checkpoint: the oldest of those that they chose."""
        chosen = {plan.storage_data.checkpoint for plan in plans}
        agreed = chosen.pop()
        if chosen:
            log.warning("ranks found different checkpoints of %r intact; all read the oldest of them", self._name)
            agreed = self._oldest({agreed, *chosen})
        return [dataclasses.replace(plan, storage_data=_Agreed(agreed, len(plans) == 1)) for plan in plans]

    def read_data(self, plan: LoadPlan, planner: LoadPlanner) -> Future[None]:
        """Load every item of the plan. Raises Damaged, ValueError for a tensor of another shape."""
        agreed: _Agreed = plan.storage_data or _Agreed(self._chosen.id)  # some planners drop it
        if agreed.checkpoint != self._chosen.id:
            self._open_another(plan, agreed.checkpoint)
        if self.fallback and agreed.is_alone:
            self._reading(plan, lambda opened: opened.hand_over(plan, planner))
        else:
            self._read_once(lambda opened: opened.hand_over(plan, planner))
        done: Future[None] = Future()
        done.set_result(None)
        return done

    # -- the rest of the interface -------------------------------------------------------------------------------

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: str | os.PathLike[str]) -> bool:
        """Any text of up to 1,000 characters is a name."""
        return is_name(checkpoint_id)

    @property
    def checkpoint_id(self) -> str:
        return name_of(self._id)

    def close(self) -> None:
        """Close the store, if this reader opened it. A later load opens it again."""
        self._opened = None
        self._where.close()

    # -- inside ----------------------------------------------------------------------------------------------------

    @property
    def _chosen(self) -> _Opened:
        assert self._opened is not None, "read_metadata comes first"
        return self._opened

    def _choose(self, wanted: str | None = None) -> Metadata:
        """Open that checkpoint, or the newest one whose metadata is intact."""
        store = self._where.store()
        damage: Damaged | None = None
        for save in finished(store.core, self._name):
            if wanted not in {None, save.record.id}:
                continue
            try:
                self._opened = _Opened(store.core, save)
            except Damaged as error:
                note_damage(store.core, save.record, error)
                if not self.fallback:
                    raise
                damage = error
                continue
            metadata = self._opened.metadata
            metadata.storage_meta.load_id = self.load_id
            return metadata
        raise damage or CheckpointNotFound(
            f"there is no finished and intact DCP checkpoint {wanted or self._name!r} in the store at {store.url}. "
            "Nothing was loaded. See `waycairn checkpoints`.",
            checkpoint=wanted or self._name,
        )

    def _oldest(self, checkpoints: set[str]) -> str:
        listed = [save.record.id for save in finished(self._where.store().core, self._name)]
        found = [checkpoint for checkpoint in listed if checkpoint in checkpoints]
        return found[-1] if found else checkpoints.pop()  # deleted meanwhile: the ranks will say so

    def _reading(self, plan: LoadPlan, read: Callable[[_Opened], None]) -> None:
        """Read from the chosen checkpoint; where it is damaged, from the newest one before it that is not."""
        while True:
            try:
                return self._read_once(read)
            except (Damaged, CheckpointNotFound) as error:
                self._open_another(plan, None, error)

    def _read_once(self, read: Callable[[_Opened], None]) -> None:
        try:
            read(self._chosen)
        except Damaged as error:
            note_damage(self._where.store().core, self._chosen.save.record, error)
            raise

    def _open_another(self, plan: LoadPlan, wanted: str | None, reason: Exception | None = None) -> None:
        """Go to that checkpoint, or to the newest intact one, with a plan that was made for another."""
        planned_for = self._chosen.metadata
        try:
            self._choose(wanted)
        except CheckpointNotFound as error:
            raise reason or error from None
        if not self._chosen.suits(plan, planned_for):
            raise Damaged(
                f"the newest DCP checkpoint {self._name!r} cannot be read, and the one before it, {self._chosen.id}, has "
                "other names or shapes than this load was planned for. The tensors to load into hold anything. Load "
                "again: that plans for the older one."
            ) from reason
        log.warning(
            "reads the DCP checkpoint %s instead of a newer one: %s", self._chosen.id, reason or "so ranks agreed"
        )
