"""Blocks moved to new packs: copied, then switched, pack by pack. Interruptible at any point, and safe beside everything
else that works in the store: see `chunks.repacking` and `catalog.repacking`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from waycairn.chunks.referring import epoch_to_commit_under
from waycairn.chunks.repacking import Repacking, Seal, as_they_are
from waycairn.errors import Damaged, StoreError, SweptMeanwhile
from waycairn.model.grouping import groups_of
from waycairn.model.records import NewData
from waycairn.model.repacking import Copied, Move, Needs, PackOrigin, StoredBlock, Switched
from waycairn.ports import Blobs
from waycairn.store import StoreCore
from waycairn.world.crashpoints import crashpoint

AT_ONCE = 5_000
"""Chunks that one transaction moves, so that commits wait some hundredths of a second for it."""
_SWEPT_IN_A_ROW = 8


@dataclass(slots=True)
class Repacked:
    """What came of it."""

    packs: int = 0
    """New ones."""
    pack_bytes: int = 0
    blocks: int = 0
    stored_bytes: int = 0
    """Of these blocks now."""
    freed_bytes: int = 0
    """Of the same blocks before, less that."""

    def add(self, part: Switched) -> None:
        self.blocks += part.blocks
        self.stored_bytes += part.stored_bytes
        self.freed_bytes += part.freed_bytes


class Mover:
    """Moves blocks of one store. Used by one thread."""

    def __init__(
        self,
        core: StoreCore,
        *,
        seal: Seal = as_they_are,
        origin: PackOrigin | None = None,
        target: Blobs | None = None,
        unless: Needs | None = None,
    ) -> None:
        """`origin` is written to the rows of new packs; `target` is where they go; `unless` keeps in place what commits
        need that came since."""
        self.core = core
        self._origin = origin or PackOrigin()
        self._target = target or core.blobs
        self._unless = unless
        self.is_away = self._origin.place is not None
        """New packs go to an archive."""
        self.unreadable: dict[str, str] = {}
        """What stays where it is because it is damaged, and how."""
        self.copying = Repacking(
            core.catalog,
            core.blobs,
            core.catalog.info,
            target=self._target,
            seal=seal,
            unreadable=lambda block, error: self.refuse(f"block {block.number} of pack {block.pack}", error),
        )

    def move(self, blocks: Iterable[StoredBlock]) -> Repacked:
        """All of them, but for those that cannot be read. Raises StoreFull, WriteFailed; what was moved before stays so."""
        done = Repacked()
        for copied in self.copying.copy(blocks):
            self._check(copied)
            self._switch(copied, done)
        return done

    def refuse(self, name: str, error: Damaged) -> None:
        """It stays where it is."""
        self.unreadable[name] = str(error)

    def told(self) -> list[str]:
        """What stayed, and why."""
        return [f"{name}: {why}" for name, why in self.unreadable.items()]

    def _check(self, copied: Copied) -> None:
        """For whom copies must be read back before the rows say that they are there."""

    def _switch(self, copied: Copied, done: Repacked) -> None:
        first, *rest = groups_of(copied.moves, AT_ONCE)
        try:
            switched = self._switch_first(copied, first)
        except SweptMeanwhile:
            for pack in copied.packs:
                with suppress(StoreError):  # no row names it: else a sweep removes it
                    self._target.delete(pack.id)
            return
        done.packs += len(copied.packs)
        done.pack_bytes += sum(pack.size for pack in copied.packs)
        done.add(switched)
        crashpoint("optimize.switched")
        for part in rest:
            done.add(self.core.catalog.switch(copied, part, None, self._unless))
            crashpoint("optimize.part")
        self.core.forget_chunks()

    def _switch_first(self, copied: Copied, part: Sequence[Move]) -> Switched:
        """A sweep that came between took as a rule none of these packs: then they stand as they are."""
        for _ in range(_SWEPT_IN_A_ROW):
            try:
                return self.core.catalog.switch(copied, part, self._origin, self._unless)
            except SweptMeanwhile:
                epoch = epoch_to_commit_under(self.core.catalog, self._target, (), [NewData(packs=copied.packs)])
                if epoch is None:
                    raise
                copied = Copied(epoch=epoch, packs=copied.packs, moves=copied.moves)
        return self.core.catalog.switch(copied, part, self._origin, self._unless)
