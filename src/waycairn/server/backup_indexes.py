"""Indexes of backups that were opened last: who turns pages, or fetches ranges, asks for the same one again and again, and to read
one of 50,000 members takes a second."""

from __future__ import annotations

import threading
from collections import OrderedDict

from waycairn.backups.catalogue import BackupContents, find_whole, open_contents
from waycairn.backups.payload import Index
from waycairn.model.ids import RunId
from waycairn.store import StoreCore

__all__ = ["BackupIndexes"]

_KEPT, _MEMBERS = 8, 200_000
"""Indexes, and members of all of them together; the newest stays, however large it is."""


class BackupIndexes:
    """An index never changes once its backup is whole. Thread-safe."""

    def __init__(self, core: StoreCore) -> None:
        self._core = core
        self._lock = threading.Lock()
        self._indexes: OrderedDict[RunId, Index] = OrderedDict()

    def open(self, backup: str) -> BackupContents:
        """Contents of one's own, whose state is looked at now. Raises BackupNotFound, BackupExpired, BackupError for one that is
        not whole, Damaged."""
        record = find_whole(self._core, backup)
        with self._lock:
            index = self._indexes.get(record.id)
        contents = open_contents(self._core, record, index)
        self._keep(record.id, contents.payload.index)
        return contents

    def _keep(self, id_: RunId, index: Index) -> None:
        with self._lock:
            self._indexes[id_] = index
            self._indexes.move_to_end(id_)
            while len(self._indexes) > 1 and self._are_many():
                self._indexes.popitem(last=False)

    def _are_many(self) -> bool:
        return len(self._indexes) > _KEPT or sum(len(index.members) for index in self._indexes.values()) > _MEMBERS
