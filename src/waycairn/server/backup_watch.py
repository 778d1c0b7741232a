"""Looks at the newest backups while somebody watches, and tells what changed: others make them, too, and who makes one can die."""

from __future__ import annotations

from waycairn.backups.listing import Listed, list_backups
from waycairn.documents.backups import backup_document
from waycairn.model.backups import BackupFilter
from waycairn.server.hub import Hub
from waycairn.server.watching import Watch
from waycairn.store import StoreCore

__all__ = ["BackupWatch"]

_NEWEST = 50
"""Older ones are told when this server changes them, and seen when the list is read."""
_A_MOMENT = 10.0


class BackupWatch(Watch):
    what, pause = "the backups", 2.0

    def __init__(self, core: StoreCore, hub: Hub) -> None:
        super().__init__(hub)
        self._core = core
        self._known: dict[str, tuple[float, str]] | None = None
        """When each was changed and what it was then, as those who listen know by themselves or were told."""

    def forget(self) -> None:
        self._known = None

    def look(self) -> None:
        found = list(list_backups(self._core, BackupFilter(limit=_NEWEST)))
        changed = [one for one in found if self._is_news(one)]
        self._known = {one.record.id: _standing(one) for one in found}
        if changed:
            self._hub.publish("backups", {"backups": [backup_document(one) for one in changed]})

    def _is_news(self, one: Listed) -> bool:
        if self._known is None:  # those who listen have read the list since, or did so a moment ago
            return one.record.updated >= self._core.clock.now() - _A_MOMENT
        return self._known.get(one.record.id) != _standing(one)


def _standing(one: Listed) -> tuple[float, str]:
    return one.record.updated, one.word
