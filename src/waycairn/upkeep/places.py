"""Where packs lie, for upkeep, which works at one place at a time."""

from __future__ import annotations

from waycairn.blobs import PlacedBlobs
from waycairn.store import StoreCore


def places(core: StoreCore) -> PlacedBlobs:
    """The blobs, as what they are in every store that is opened by its address."""
    assert isinstance(core.blobs, PlacedBlobs)
    return core.blobs
