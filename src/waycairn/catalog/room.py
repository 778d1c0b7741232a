"""The room that the catalog takes."""

from __future__ import annotations

from waycairn.catalog.parts import Part


class RoomPart(Part):
    """Implements `ports.RoomRows`."""

    def is_awaited(self) -> bool:
        return self._database.is_awaited()

    def settle_log(self) -> bool:
        return self._database.settle_log()

    def write_back(self) -> None:
        self._database.write_back()

    def shrink(self, *, spare: float = 0.0, rewrite: bool = False) -> int:
        return self._database.shrink(spare, rewrite)
