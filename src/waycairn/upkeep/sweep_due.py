"""A sweep now and then beside a job that replaces its checkpoints, for whoever writes them in the background."""

from __future__ import annotations

import logging
import threading
from weakref import WeakKeyDictionary

from waycairn.errors import WaycairnError
from waycairn.model.sweeping import SweepReport
from waycairn.store import StoreCore
from waycairn.upkeep.sweep import GRACE, sweep

log = logging.getLogger("waycairn")

PAUSE = 10.0
"""Seconds between two sweeps of one store, whichever processes make them."""
SHARE = 0.02
"""Of its time that a process spends on sweeping, at most: after one that took 1 s comes a pause of 50 s."""

_due: WeakKeyDictionary[StoreCore, float] = WeakKeyDictionary()
"""When each store is looked at again, on the monotonic clock."""
_lock = threading.Lock()


def sweep_if_due(core: StoreCore, *, pause: float = PAUSE, grace: float = GRACE) -> SweepReport | None:
    """Sweep, unless this process or another one did so lately; None if it did not. To be called after a commit that
    dropped checkpoints: costs a microsecond until the pause is over, then a look at the catalog.

    What goes wrong is logged and told to nobody else: no save is worse off for it, the bytes stay until the next sweep,
    and `waycairn sweep` says what is the matter.
    """
    now = core.clock.monotonic()
    with _lock:
        if now < _due.get(core, now):
            return None
        _due[core] = now + pause  # for other threads, while this one sweeps
    try:
        report = sweep(core, grace=grace, is_asked=False) if _claimed(core, pause) else None
    except (WaycairnError, OSError) as error:
        log.warning("a sweep was given up: %s", error)
        report = None
    took = core.clock.monotonic() - now
    with _lock:
        _due[core] = now + took + max(pause, took / SHARE)
    return report


def _claimed(core: StoreCore, pause: float) -> bool:
    """Of all processes at one store one sweeps. Asked first, because asking needs no lock."""
    now = core.clock.now() + core.catalog.clock_offset()
    last = core.catalog.last_sweep()
    if last is not None and last <= now < last + pause:
        return False
    return core.catalog.claim_sweep(now, pause)
