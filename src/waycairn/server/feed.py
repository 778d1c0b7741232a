"""The feed: one thread that looks at the runs while somebody listens, and tells what changed, once for all of them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from waycairn.documents.runs import live_run_facts
from waycairn.errors import StoreError
from waycairn.model.ids import RunId
from waycairn.server.hub import Hub
from waycairn.store import StoreCore
from waycairn.upkeep.changes import Changed, Changes
from waycairn.upkeep.speed import Pace

__all__ = ["Feed"]

log = logging.getLogger("waycairn.server")

_EVERY = 1.0
"""Seconds between two looks: also the most that lies between what happens and that it is told."""
_AFTER_ERROR = 5.0
_PATIENCE = 5.0
"""Seconds that a look which is on its way gets at the end: it only reads."""


class Feed:
    """`begin` and `end` are called once; all else by any thread."""

    def __init__(self, core: StoreCore, hub: Hub, every: float = _EVERY) -> None:
        self._hub, self._every = hub, every
        self._changes = Changes(core)
        self._awake, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._go, name="waycairn-feed", daemon=True)

    def begin(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._awake.set()
        self._thread.join(_PATIENCE)

    def wake(self) -> None:
        """Something was done: it is looked at once."""
        self._awake.set()

    def pace_of(self, run: RunId) -> Pace:
        """How fast a run goes, if somebody has listened for a while."""
        return self._changes.pace_of(run)

    def _go(self) -> None:
        pause = self._every
        while not self._ended.is_set():
            self._awake.wait(pause)
            self._awake.clear()
            pause = self._every
            if not self._hub.has_listeners or self._ended.is_set():
                continue
            try:
                self._tell(self._changes.look())
            except StoreError as error:
                log.warning("what changed could not be looked at, it is tried again: %s", error)
                pause = _AFTER_ERROR
            except Exception:
                log.exception("what changed could not be looked at, it is tried again")
                pause = _AFTER_ERROR

    def _tell(self, changed: Changed) -> None:
        publish: Callable[..., None] = self._hub.publish
        if changed.is_much:
            publish("hello", {})
        elif changed.roots:
            publish("runs", {"runs": [live_run_facts(one, self.pace_of(one.run.id)) for one in changed.roots]})
        for root, phases in changed.phases.items():
            publish(
                "phases", {"run": root, "phases": [live_run_facts(one, self.pace_of(one.run.id)) for one in phases]}
            )
        if changed.gone:
            publish("gone", {"runs": list(changed.gone)})
        if changed.counts is not None:
            publish("counts", {"counts": changed.counts})
