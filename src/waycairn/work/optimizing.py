"""What a store does about its room, as users call it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from waycairn.store import StoreCore

if TYPE_CHECKING:
    from waycairn.model.archiving import ArchiveReport
    from waycairn.model.optimizing import OptimizeReport
    from waycairn.model.records import CheckpointRecord, RunRecord
    from waycairn.upkeep.analysis import Analysis


class Optimizing:
    """Mixed into `Store`."""

    core: StoreCore

    def optimize(
        self, *, dry_run: bool = False, max_bytes: int | None = None, recompress: bool | None = None
    ) -> OptimizeReport:
        """Sweep, then write packs anew that hold much of what is gone, join small ones, and compress cold ones better; safe
        beside everything else that works in the store. At most `max_bytes` are copied, the next call goes on. `recompress`
        compresses everything again now (True), or nothing (False); by default what is cold, see the settings."""
        from waycairn.upkeep.optimize import optimize

        return optimize(self.core, dry_run=dry_run, max_bytes=max_bytes, recompress=recompress)

    def analyze(self) -> Analysis:
        """Where the bytes are, and what would make them fewer. Changes nothing."""
        from waycairn.upkeep.analysis import analyze

        return analyze(self.core)

    def archive(self, named: Iterable[RunRecord | CheckpointRecord], to: str | os.PathLike[str]) -> ArchiveReport:
        """Move the bytes that only these runs (with the phases below them) and checkpoints need to another directory. Their
        rows stay, and they are loaded as before as long as it is there; StoreUnreachable names it when it is not. ValueError
        for what an unfinished run goes on from. Durable and read back before anything is taken away here."""
        from waycairn.upkeep.archive import archive
        from waycairn.upkeep.choosing import chosen

        return archive(self.core, chosen(self.core, named), os.fspath(to))

    def unarchive(self, named: Iterable[RunRecord | CheckpointRecord] | None = None) -> ArchiveReport:
        """Bring back what these need, or everything. Raises StoreUnreachable if an archive is not there."""
        from waycairn.upkeep.archive import restore
        from waycairn.upkeep.choosing import chosen

        return restore(self.core, None if named is None else chosen(self.core, named, moving=False))
