"""Compression of large buffers that is asked for: byte planes, and the difference to the save before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

from waycairn.chunks.pieces import BufferPiece
from waycairn.chunks.planes import WIDEST, difference, numpy, split
from waycairn.chunks.sealing import (
    Base,
    Member,
    Sealed,
    compressed,
    compressed_planes,
    seal_buffer,
    seal_delta,
    seal_planes,
)
from waycairn.chunks.tuning import KIB
from waycairn.ports import Buffer

Kind = Literal["planes", "delta"]

_SAMPLE = 64 * KIB
_WORTH_IT = 0.85
_WORTH_A_BASE = 0.9
"""A difference needs its base to be read, and kept: it has to be so much smaller than what stands alone."""

FindBase = Callable[[BufferPiece], Base | None]


def check_compression(name: str | None) -> None:
    """Raises ValueError for what is no way to compress, UnknownType if numpy is missing."""
    if name is None:
        return
    if name not in get_args(Kind):
        raise ValueError(f"compress={name!r} is not one of {', '.join(map(repr, get_args(Kind)))}. Nothing was saved.")
    numpy()


class Compression:
    """What is done to the chunks of buffers of one save. Thread-safe."""

    def __init__(self, find_base: FindBase | None = None) -> None:
        """`find_base` gives the chunk at the same place in the save before, where there is one."""
        self._find_base = find_base

    def seal(self, piece: tuple[Member, BufferPiece]) -> Sealed:
        """The smallest of what a sample promises to be 15 % smaller than the chunk, else the chunk as it is."""
        member, found = piece
        data = found.parts[0] if len(found.parts) == 1 else b"".join(found.parts)
        width = found.width if 1 <= found.width <= WIDEST else 1
        base = self._find_base(found) if self._find_base else None
        alone = _alone(_middle(data), width)
        if base is not None and _delta(data, base, width) <= min(alone) * _WORTH_A_BASE:
            sealed = seal_delta(member, data, width, base)
            if sealed is not None:
                return sealed
        as_planes, as_it_is = alone
        if as_planes <= _WORTH_IT and as_planes < as_it_is:
            sealed = seal_planes(member, data, width)
            if sealed is not None:
                return sealed
        return seal_buffer(member, found.parts, pays=as_it_is <= _WORTH_IT)


def _alone(sample: Buffer, width: int) -> tuple[float, float]:
    """How small a sample gets as planes, and as it is."""
    size = len(sample)
    as_it_is = len(compressed(sample)) / size
    return (len(compressed_planes(split(sample, width), width)) / size if width > 1 else as_it_is), as_it_is


def _delta(data: Buffer, base: Base, width: int) -> float:
    sample = _middle(data)
    return len(compressed_planes(split(difference(sample, _middle(base.data)), width), width)) / len(sample)


def _middle(data: Buffer) -> memoryview:
    """A sample that begins with an element."""
    view = memoryview(data)
    start = max(0, (len(view) - _SAMPLE) // 2) // WIDEST * WIDEST
    return view[start : start + _SAMPLE]
