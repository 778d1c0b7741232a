"""A backup that is read for so long and no longer: who asks by HTTP waits for the answer."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from waycairn.backups.catalogue import BackupContents
from waycairn.model.backups import BackupRecord, Member

__all__ = ["Hasty"]


class Hasty:
    """Implements `source.Contents`. Raises TimeoutError when its time is over."""

    def __init__(self, contents: BackupContents, within: float = 15.0) -> None:
        self._contents = contents
        self._ends = time.monotonic() + within

    @property
    def record(self) -> BackupRecord:
        return self._contents.record

    @property
    def members(self) -> Mapping[str, Member]:
        return self._contents.members

    def read(self, name: str, start: int = 0) -> Iterator[bytes]:
        for piece in self._contents.read(name, start):
            if time.monotonic() > self._ends:
                raise TimeoutError(f"member {name!r} was not read to its end")
            yield piece
