"""The part of `Store` that says how well it is, and tells who asks for it what happens."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from waycairn.store import StoreCore

if TYPE_CHECKING:
    from waycairn.model.health import Health
    from waycairn.upkeep.events import Event, Kind


class Healthy:
    """Health and events."""

    core: StoreCore

    def health(self) -> Health:
        """Status, score, issues, recommendations and trends, from what was measured and what lies in the store as of now.
        Reads rows, never states: some milliseconds for a store of thousands of checkpoints. Raises nothing for a store
        that cannot be looked at: its status is unknown then."""
        from waycairn.upkeep.health import health_of

        return health_of(self.core)

    def on(self, kind: Kind, callback: Callable[[Event], Any]) -> Callable[[], None]:
        """Call `callback(event)` when something of that kind happens to this opened store: "created" (a checkpoint),
        "completed" and "failed" (a run that this process leaves), "expired" (checkpoints that its sweep removed),
        "health_changed", "backup_ready" and "backup_failed" (made, or given up, by this process). Returns the function that ends it.

        It is called once the thing is durable, on a thread of its own, in order; it may use the store. No save waits for
        it; closing the store, and the end of the program, do. What it raises is logged and changes nothing. ValueError for
        another kind."""
        from waycairn.upkeep.events import events_of

        return events_of(self.core).on(kind, callback)
