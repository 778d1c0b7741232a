"""How long acts take and what comes of them, measured where they happen and written down now and then."""

from __future__ import annotations

from waycairn.measuring.none import NoMeter
from waycairn.measuring.recorder import Recorder

__all__ = ["NoMeter", "Recorder"]
