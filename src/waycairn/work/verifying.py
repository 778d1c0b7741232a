"""The part of `Store` that looks for damage and repairs it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from waycairn.model.records import CheckpointRecord, RunRecord
    from waycairn.model.repair import RepairReport
    from waycairn.store import StoreCore
    from waycairn.upkeep.verified import Verified


class Verifying:
    """What `waycairn verify` does, for a program."""

    core: StoreCore

    def verify(
        self, what: str | None = None, *, key: str | None = None, read_data: str | None = None, structure: bool = False
    ) -> Verified:
        """Read everything back and compare it with its hashes, or only a run (name or id) with its phases, or a checkpoint.

        Each block is read once, about 24 MiB of memory and 48 bytes a chunk are used; jobs may work in the store meanwhile.
        Damaged checkpoints are marked, so that they are never restored, and damaged chunks, so that a save of the same
        content writes it anew. `read_data` is how much of the data is read: "all", "2/7" (the second of seven parts), "/7"
        or "5%" (what was verified longest ago), by default the setting `verify.read_data`. With `structure` no data is
        read: only rows, and headers and footers of packs. Raises RunNotFound, CheckpointNotFound, ValueError.
        """
        from waycairn.upkeep.verifying import verify

        part = self.core.settings.verify.read_data if read_data is None else read_data
        only = None if what is None else self._named(what, key)
        return verify(self.core, only, level="structure" if structure else "data", part=part)

    def repair(self, *, dry_run: bool = False) -> RepairReport:
        """Verify, then put right what can be: rows of the chunk index from what the packs say, damaged chunks from intact ones
        of the same content, marks of what can be read again. What is sound is not touched and nothing is deleted; the catalog
        as it was is put aside first. With `dry_run` nothing is changed. Jobs may work in the store meanwhile."""
        from waycairn.upkeep.auditing import audited
        from waycairn.upkeep.repairing import repair

        if dry_run:
            return repair(self.core, dry_run=True)
        with audited(self.core, "repair") as act:
            report = repair(self.core)
            act.facts.update(
                chunks=report.chunks, replaced=report.replaced, healed=len(report.healed), lost=report.lost
            )
        return report

    def _named(self, what: str, key: str | None) -> RunRecord | CheckpointRecord:
        """A checkpoint if there is one of that id, else the run."""
        with suppress(ValueError):
            return self.checkpoint(what)
        return self.find(what, key)

    if TYPE_CHECKING:

        def find(self, run: str, key: str | None = None) -> RunRecord: ...

        def checkpoint(self, checkpoint: str) -> CheckpointRecord: ...
