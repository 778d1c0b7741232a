"""Files as a state that is saved and written piece by piece: see `Files`."""

from __future__ import annotations

from waycairn.model.files import Files

__all__ = ["Files"]
