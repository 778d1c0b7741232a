"""The part of `Store` that cares for it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import waycairn.backups.upkeep  # noqa: F401 - registers its task
from waycairn.world.forking import undivided

if TYPE_CHECKING:
    from waycairn.model.sweeping import SweepReport
    from waycairn.store import StoreCore
    from waycairn.upkeep.background import Upkeep

_lock = threading.Lock()


class Care:
    """What keeps a store small."""

    core: StoreCore
    _upkeep: Upkeep | None = None

    def sweep(self, *, dry_run: bool = False, grace: float | str | None = None) -> SweepReport:
        """Remove the checkpoints that policies let go (settings `retention`), give back the bytes of what is deleted and
        replaced, and what saves that died left behind if it is older than `grace` (by default `upkeep.grace`, 1 h); and the
        payload of backups whose time is over. Safe
        beside running jobs and other sweeps, and it can be interrupted at any point. With `dry_run` nothing is changed, and
        `decisions` says of every checkpoint what becomes of it and why. Raises Damaged if a manifest cannot be read: then no
        chunk and no pack was removed."""
        from waycairn.model.units import seconds
        from waycairn.upkeep.sweep import sweep

        if not dry_run:
            from waycairn.backups.keeping import prune

            prune(self.core)
        return sweep(self.core, dry_run=dry_run, grace=None if grace is None else seconds("grace", grace))

    def start_upkeep(self) -> Upkeep:
        """Care for the store in a thread of this process from now on (settings `upkeep`): for a process that lives long, such
        as a server. Idempotent. Of several processes that do so each task is done by one. `ended` of what this returns has
        what came of each task, also its error; errors are logged, too, and disturb nobody. `close` stops it."""
        from waycairn.upkeep.background import Upkeep

        with undivided, _lock:
            if self._upkeep is None or not self._upkeep.is_running:
                self._upkeep = Upkeep(self.core)
                self._upkeep.start()
            return self._upkeep

    def stop_upkeep(self) -> None:
        """Returns when the task at hand has come to a safe point; then nothing is left running. Idempotent."""
        with undivided, _lock:
            upkeep, self._upkeep = self._upkeep, None
        if upkeep is not None:
            upkeep.stop()
