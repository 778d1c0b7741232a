"""What a store does about its room, as users call it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from waycairn.store import StoreCore

if TYPE_CHECKING:
    from waycairn.model.optimizing import OptimizeReport


class Optimizing:
    """Mixed into `Store`."""

    core: StoreCore

    def optimize(
        self, *, dry_run: bool = False, max_bytes: int | None = None, recompress: bool | None = None
    ) -> OptimizeReport:
        """Sweep, then write packs anew that hold much of what is gone, join small ones, and compress cold ones better; safe
        beside everything else that works in the store. At most `max_bytes` are copied, the next call goes on. `recompress`
        compresses everything again now (True), or nothing (False)."""
        from waycairn.upkeep.optimize import optimize

        return optimize(self.core, dry_run=dry_run, max_bytes=max_bytes, recompress=recompress)
