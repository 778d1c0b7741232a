"""Where pack files lie."""

from __future__ import annotations

from waycairn.blobs.local import LocalBlobs
from waycairn.blobs.places import PlacedBlobs

__all__ = ["LocalBlobs", "PlacedBlobs"]
