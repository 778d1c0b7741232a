"""Where packs lie, for upkeep, which works at one place at a time."""

from __future__ import annotations

from pathlib import Path

from waycairn.blobs import PlacedBlobs
from waycairn.model.ids import PackId
from waycairn.store import StoreCore


def places(core: StoreCore) -> PlacedBlobs:
    """The blobs, as what they are in every store that is opened by its address."""
    assert isinstance(core.blobs, PlacedBlobs)
    return core.blobs


def away_packs(core: StoreCore) -> frozenset[PackId]:
    """Packs in archives that are not there now."""
    away = {place for place in core.catalog.places() if not places(core).is_reachable(place)}
    if not away:
        return frozenset()
    return frozenset(name for name, one in core.catalog.pack_facts().items() if one.place in away)


def pack_folders(core: StoreCore) -> list[Path]:
    """Where packs of this store lie on this host, archives among them; whatever the catalog is."""
    return places(core).folders(core.catalog.places())
