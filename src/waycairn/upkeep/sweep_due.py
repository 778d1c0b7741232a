"""A sweep now and then beside a job that replaces its checkpoints, for whoever writes them in the background."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from waycairn.errors import WaycairnError
from waycairn.model.sweeping import SweepReport, summary
from waycairn.store import StoreCore
from waycairn.upkeep.sweep import sweep
from waycairn.world.forking import undivided

SWEEP = "sweep"
"""The name of this work in the catalog."""
log = logging.getLogger("waycairn")

_due: WeakKeyDictionary[StoreCore, float] = WeakKeyDictionary()
"""When each store is looked at again, on the monotonic clock."""
_lock = threading.Lock()


def sweep_if_due(core: StoreCore, *, pause: float | None = None) -> SweepReport | None:
    """Sweep, unless this process or another one did so lately; None if it did not. To be called after a commit that
    dropped checkpoints: costs a microsecond until the pause is over, then a look at the catalog. See `UpkeepSettings`.

    What goes wrong is logged and told to nobody else: no save is worse off for it, the bytes stay until the next sweep,
    and `waycairn sweep` says what is the matter.
    """
    now = core.clock.monotonic()
    settings = core.settings.upkeep
    pause = settings.pause if pause is None else pause
    with undivided, _lock:
        if not settings.enabled or now < _due.get(core, now):
            return None
        _due[core] = now + pause  # for other threads, while this one sweeps
    try:
        report = sweep(core, is_asked=False) if may_begin(core, SWEEP, pause) else None
        if report is not None:
            note(core, SWEEP, summary(report))
    except (WaycairnError, OSError) as error:
        log.warning("a sweep was given up: %s", error)
        report = None
    took = core.clock.monotonic() - now
    with undivided, _lock:
        _due[core] = now + took + max(pause, took / settings.share)
    return report


def may_begin(core: StoreCore, name: str, pause: float, *, in_quiet_hours: bool = False) -> bool:
    """Of all processes at one store one does a work, once in a pause and, as a rule, in no quiet hours. Looked at first, because that
    needs no lock."""
    if not in_quiet_hours and core.settings.upkeep.is_quiet(core.clock.now()):
        return False
    now = core.clock.now() + core.catalog.clock_offset()
    last = core.catalog.upkeep_note(name)
    if last is not None and last.at - pause <= now < last.at + pause:
        return False
    return core.catalog.claim_upkeep(name, now, pause)


def note(core: StoreCore, name: str, facts: Mapping[str, Any], before: float = 0.0) -> None:
    """What came of a work; the pause until the next one counts from now, or from so many seconds before."""
    core.catalog.note_upkeep(name, core.clock.now() + core.catalog.clock_offset() - before, facts)
