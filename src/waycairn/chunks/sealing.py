"""Blocks: consecutive new chunks, sealed together. The two hot functions of the store, `seal` and `unseal`."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from waycairn.errors import Damaged
from waycairn.model.ids import ChunkId
from waycairn.ports import Buffer

if TYPE_CHECKING or sys.version_info < (3, 14):
    from backports import zstd
else:
    from compression import zstd

RAW, ZSTD = 0, 1
LEVEL = 1
"""Level 3 is slower on everything and larger on JSON lines (measured 0.171 against 0.146)."""
_WORTH_IT = 0.97
"""A document block that saves less than 3 % stays raw: reading it is then free."""
_SAMPLE = 4 * 1024
_SAMPLE_WORTH_IT = 0.85
"""A disk writes faster than a core compresses: buffers are compressed only where a sample saves 15 %."""


@dataclass(frozen=True, slots=True)
class Member:
    """A chunk of a block that is being written."""

    number: int
    id: ChunkId
    length: int


@dataclass(frozen=True, slots=True)
class Sealed:
    """A block ready to be placed. `parts` may still be views of the user's memory."""

    members: Sequence[Member]
    codec: int
    parts: Sequence[Buffer]
    raw_length: int
    stored_length: int


_threads = threading.local()


def compressed(data: Buffer) -> bytes:
    """One frame. Each thread keeps its compressor: making one costs more than compressing 10 KB (62 against 34 µs)."""
    compressor: zstd.ZstdCompressor | None = getattr(_threads, "compressor", None)
    if compressor is None:
        compressor = _threads.compressor = zstd.ZstdCompressor(LEVEL)
    try:
        return compressor.compress(data, zstd.ZstdCompressor.FLUSH_FRAME)
    except BaseException:
        del _threads.compressor  # half-way through a frame
        raise


def decompressed(frame: Buffer, most: int, what: str) -> bytes:
    """Raises Damaged if it is no whole frame, or holds more than `most` bytes."""
    try:
        decompressor = zstd.ZstdDecompressor()
        data = decompressor.decompress(frame, max_length=most + 1)
        whole = decompressor.eof and not decompressor.unused_data
    except (zstd.ZstdError, MemoryError) as error:
        raise Damaged(f"{what} is damaged: {error}. It is not used. See `waycairn doctor`.") from None
    if not whole or len(data) > most:
        raise Damaged(f"{what} is damaged: its compressed data is no whole frame. See `waycairn doctor`.")
    return data


def seal_document(members: Sequence[Member], pieces: Sequence[Buffer]) -> Sealed:
    """Chunks of a document as one frame, or as they are where that saves nothing."""
    raw = b"".join(pieces)
    frame = compressed(raw)
    if len(frame) <= len(raw) * _WORTH_IT:
        return Sealed(members, ZSTD, (frame,), len(raw), len(frame))
    return Sealed(members, RAW, (raw,), len(raw), len(raw))


def seal_buffer(member: Member, parts: Sequence[Buffer], *, pays: bool) -> Sealed:
    """A chunk of buffers, uncopied unless a sample of it promised that compression pays."""
    if pays:
        frame = compressed(parts[0] if len(parts) == 1 else b"".join(parts))
        if len(frame) <= member.length * _SAMPLE_WORTH_IT:
            return Sealed((member,), ZSTD, (frame,), member.length, len(frame))
    return Sealed((member,), RAW, parts, member.length, member.length)


def sample_pays(data: Buffer) -> bool:
    """Whether a small sample from the middle saves enough to compress all of it."""
    view = memoryview(data)
    middle = max(0, (len(view) - _SAMPLE) // 2)
    sample = view[middle : middle + _SAMPLE]
    return len(compressed(sample)) <= len(sample) * _SAMPLE_WORTH_IT


def unseal(codec: int, stored: Buffer, raw_length: int, what: str) -> Buffer:
    """The bytes of a block. Raises Damaged; the ids of its chunks are still to be compared."""
    if codec == RAW:
        data = stored
    elif codec == ZSTD:
        data = decompressed(stored, raw_length, what)
    else:
        raise Damaged(f"{what} has codec {codec}, which this waycairn does not know: it is damaged, or newer.")
    if len(data) != raw_length:
        raise Damaged(f"{what} is damaged: it holds {len(data)} bytes instead of {raw_length}. See `waycairn doctor`.")
    return data
