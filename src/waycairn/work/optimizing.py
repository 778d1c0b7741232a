"""What a store does about its room, as users call it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from waycairn.store import StoreCore

if TYPE_CHECKING:
    from waycairn.model.archiving import ArchiveReport
    from waycairn.model.optimizing import OptimizeReport
    from waycairn.model.records import CheckpointRecord, RunRecord
    from waycairn.upkeep.analysis import Analysis


_EMPTY = 0.25
"""The share of the catalog that may be empty pages before they are given back."""


class Optimizing:
    """Mixed into `Store`."""

    core: StoreCore

    def optimize(
        self, *, dry_run: bool = False, max_bytes: int | None = None, recompress: bool | None = None
    ) -> OptimizeReport:
        """Sweep, then write packs anew that hold much of what is gone, join small ones, and compress cold ones better; safe
        beside everything else that works in the store. At most `max_bytes` are copied, the next call goes on. `recompress`
        compresses everything again now (True), or nothing (False); by default what is cold, see the settings."""
        from waycairn.upkeep.auditing import audited
        from waycairn.upkeep.optimize import optimize

        if dry_run:
            return optimize(self.core, dry_run=True, max_bytes=max_bytes, recompress=recompress)
        with audited(self.core, "optimize", max_bytes=max_bytes, recompress=recompress) as act:
            report = optimize(self.core, max_bytes=max_bytes, recompress=recompress)
            # A catalog that an older version made gives no pages back one by one: it is written anew, and commits wait.
            room = self.core.catalog.shrink(spare=_EMPTY, rewrite=True)
            report = replace(report, freed_bytes=report.freed_bytes + room)
            act.facts.update(copied_bytes=report.copied_bytes, freed_bytes=report.freed_bytes)
        return report

    def analyze(self) -> Analysis:
        """Where the bytes are, and what would make them fewer. Changes nothing."""
        from waycairn.upkeep.analysis import analyze

        return analyze(self.core)

    def archive(self, named: Iterable[RunRecord | CheckpointRecord], to: str | os.PathLike[str]) -> ArchiveReport:
        """Move the bytes that only these runs (with the phases below them) and checkpoints need to another directory. Their
        rows stay, and they are loaded as before as long as it is there; StoreUnreachable names it when it is not. ValueError
        for what an unfinished run goes on from. Durable and read back before anything is taken away here."""
        from waycairn.upkeep.archive import archive
        from waycairn.upkeep.auditing import audited
        from waycairn.upkeep.choosing import chosen

        which = chosen(self.core, named)
        with audited(self.core, "archive", os.fspath(to)) as act:
            act.facts.update(which.facts())
            report = archive(self.core, which, os.fspath(to))
            act.facts.update(packs=report.packs, moved_bytes=report.moved_bytes)
        return report

    def unarchive(self, named: Iterable[RunRecord | CheckpointRecord] | None = None) -> ArchiveReport:
        """Bring back what these need, or everything. Raises StoreUnreachable if an archive is not there."""
        from waycairn.upkeep.archive import restore
        from waycairn.upkeep.auditing import audited
        from waycairn.upkeep.choosing import chosen

        which = None if named is None else chosen(self.core, named, moving=False)
        with audited(self.core, "unarchive") as act:
            act.facts.update({} if which is None else which.facts())
            report = restore(self.core, which)
            act.facts.update(packs=report.packs, moved_bytes=report.moved_bytes)
        return report
