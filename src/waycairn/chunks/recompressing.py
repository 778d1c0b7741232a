"""Blocks compressed again, slower and better than a save has time for; small neighbours together, in one frame."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from waycairn.chunks.repacking import Opened, Seal, Sealing, sealed_as_it_is
from waycairn.chunks.sealing import DELTA, PLANES, RAW, ZSTD, Sealed
from waycairn.chunks.tuning import KIB, MIB
from waycairn.ports import Buffer
from waycairn.world.ahead import map_ahead

if TYPE_CHECKING or sys.version_info < (3, 14):
    from backports import zstd
else:
    from compression import zstd

_TOGETHER = 1 * MIB
"""Blocks are joined up to this size before compression, like those of a save: reading one chunk unseals so much."""
_BUFFER = 64 * KIB
"""A raw block from this size up is of numbers, and can be read straight into place as it is."""
_SAMPLE = 64 * KIB
_NUMBERS_WORTH_IT = 0.85
_WORTH_IT = 0.97


def compressed_again(level: int) -> Seal:
    """At a level of zstd; numbers (raw blocks) only where a sample of them saves 15 %, planes and differences as they
    are."""

    def seal(blocks: Iterable[Opened]) -> Iterator[Sealing]:
        return map_ahead(lambda together: (together, (_seal(together, level),)), _together(blocks))

    return seal


def promises(blocks: Sequence[Opened], level: int) -> float:
    """How much smaller some blocks get, as a share: 0.25 for a quarter."""
    before = sum(len(opened.frame) for opened in blocks)
    after = sum(_seal(together, level).stored_length for together in _together(blocks))
    return 1 - after / before if before else 0.0


def _together(blocks: Iterable[Opened]) -> Iterator[list[Opened]]:
    """Small ones joined, all others alone."""
    together: list[Opened] = []
    size = 0
    for opened in blocks:
        if together and (_is_alone(opened) or size + len(opened.raw) > _TOGETHER):
            yield together
            together, size = [], 0
        if _is_alone(opened):
            yield [opened]
            continue
        together.append(opened)
        size += len(opened.raw)
    if together:
        yield together


def _is_alone(opened: Opened) -> bool:
    codec = opened.stored.block.codec
    return codec in (PLANES, DELTA) or len(opened.raw) >= _TOGETHER or (codec == RAW and len(opened.raw) >= _BUFFER)


def _seal(together: Sequence[Opened], level: int) -> Sealed:
    first = together[0]
    codec = first.stored.block.codec
    if codec in (PLANES, DELTA):
        return sealed_as_it_is(first)
    raw = first.raw if len(together) == 1 else b"".join(opened.raw for opened in together)
    is_numbers = codec == RAW and len(raw) >= _BUFFER and len(together) == 1
    worth_it = _NUMBERS_WORTH_IT if is_numbers else _WORTH_IT
    if is_numbers and len(zstd.compress(_middle(raw), level)) > _SAMPLE * worth_it:
        return sealed_as_it_is(first)
    members = [member for opened in together for member in opened.members]
    frame = zstd.compress(raw, level)
    if len(frame) > len(raw) * worth_it:
        return Sealed(members, RAW, (raw,), len(raw), len(raw))
    before = sealed_as_it_is(first) if len(together) == 1 else None
    if before is not None and before.stored_length <= len(frame):
        return before
    return Sealed(members, ZSTD, (frame,), len(raw), len(frame))


def _middle(data: Buffer) -> memoryview:
    view = memoryview(data)
    start = max(0, (len(view) - _SAMPLE) // 2)
    return view[start : start + _SAMPLE]
