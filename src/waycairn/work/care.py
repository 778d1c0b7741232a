"""The part of `Store` that cares for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from waycairn.model.sweeping import SweepReport
    from waycairn.store import StoreCore


class Care:
    """What keeps a store small."""

    core: StoreCore

    def sweep(self, *, dry_run: bool = False, grace: float | str | None = None) -> SweepReport:
        """Remove the checkpoints that policies let go (settings `retention`), give back the bytes of what is deleted and
        replaced, and what saves that died left behind if it is older than `grace` (by default `upkeep.grace`, 1 h). Safe
        beside running jobs and other sweeps, and it can be interrupted at any point. With `dry_run` nothing is changed, and
        `decisions` says of every checkpoint what becomes of it and why. Raises Damaged if a manifest cannot be read: then no
        chunk and no pack was removed."""
        from waycairn.model.units import seconds
        from waycairn.upkeep.sweep import sweep

        return sweep(self.core, dry_run=dry_run, grace=None if grace is None else seconds("grace", grace))
