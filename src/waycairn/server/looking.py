"""Looks at the health of the store while somebody watches, and tells them when it changes."""

from __future__ import annotations

from typing import Any

from waycairn.server.hub import Hub
from waycairn.server.watching import Watch
from waycairn.work.store import Store

__all__ = ["HealthWatch"]


class HealthWatch(Watch):
    what, pause = "the health of the store", 30.0

    def __init__(self, store: Store, hub: Hub) -> None:
        super().__init__(hub)
        self._store = store
        self._told: dict[str, Any] | None = None
        """To those who listen now. The first one is told in any case: what they read before may have been another."""

    def forget(self) -> None:
        self._told = None

    def look(self) -> None:
        health = self._store.health()
        now = {"status": health.status.value, "score": health.score}
        if now != self._told:
            self._told = now
            self._hub.publish("health", now)
