"""Where pack files lie."""

from __future__ import annotations

from waycairn.blobs.local import LocalBlobs

__all__ = ["LocalBlobs"]
