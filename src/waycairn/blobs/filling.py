"""Parts that are made where they are written."""

from __future__ import annotations

from waycairn.ports import Buffer, Part


def made(part: Part) -> Buffer:
    """Its bytes, in memory of their own where they have to be made."""
    if isinstance(part, bytes | bytearray | memoryview):
        return part
    data = bytearray(len(part))
    part.fill(memoryview(data))
    return data
