"""Memory that arrays and tensors show, each byte stored once.

Two views that overlap show the same memory and must do so after decoding. So the regions of one root (the array or
storage that owns the memory) are merged where they overlap, and each merged region is one buffer. Memory that
nothing in the state shows is not stored, however large the root is.
"""

from __future__ import annotations

from collections.abc import Iterable

from waycairn.codec.codes import ALIGNMENT, INLINE
from waycairn.codec.contract import Region
from waycairn.codec.staging import is_on_its_way


def place(regions: Iterable[Region]) -> tuple[list[memoryview], list[int]]:
    """Tell each region where its bytes lie, and return the buffers and the width of the elements of each."""
    by_root: dict[int, list[Region]] = {}
    for region in regions:
        by_root.setdefault(id(region.root), []).append(region)
    buffers: list[memoryview] = []
    widths: list[int] = []
    for members in by_root.values():
        for group in _overlapping(members):
            _place_group(group, buffers, widths)
    return buffers, widths


def _place_group(group: list[Region], buffers: list[memoryview], widths: list[int]) -> None:
    if len(group) == 1:
        view = group[0].alone()
        if view.nbytes <= INLINE and not is_on_its_way(view):
            group[0].place(view.tobytes())
            return
    else:
        low, high = min(region.low for region in group), max(region.high for region in group)
        low -= low % ALIGNMENT
        view = group[0].root_bytes(low, high)
        for region in group:
            region.begin(low)
    for region in group:
        region.place(len(buffers))
    buffers.append(view)
    width = group[0].width
    widths.append(width if all(region.width == width for region in group) else 0)


def _overlapping(members: list[Region]) -> list[list[Region]]:
    """Groups of regions that show common bytes, by address within their root (so the order is the same each time)."""
    if len(members) == 1:
        return [members]
    groups: list[list[Region]] = []
    high = -1
    for region in sorted(members, key=lambda region: (region.low, region.high)):
        if region.low < high and groups:
            groups[-1].append(region)
            high = max(high, region.high)
        else:
            groups.append([region])
            high = region.high
    return groups
