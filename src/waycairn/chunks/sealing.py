"""Blocks: consecutive new chunks, sealed together. The two hot functions of the store, `seal` and `unseal`.

The stored bytes of a block, by its codec:

    0  raw     the bytes of its chunks, one behind the other
    1  zstd    the same as one zstd frame
    2  planes  one byte, the width of the elements; then one zstd frame over the planes (see `planes`) of the one chunk
    3  delta   one byte, the width; then one zstd frame over the planes of the exclusive or of the one chunk and its
               base: another chunk of the same length, which the row of the block and the footer of the pack name
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from waycairn.chunks.planes import WIDEST, difference, join, split
from waycairn.errors import Damaged
from waycairn.model.ids import ChunkId
from waycairn.ports import Buffer

if TYPE_CHECKING or sys.version_info < (3, 14):
    from backports import zstd
else:
    from compression import zstd

RAW, ZSTD, PLANES, DELTA = 0, 1, 2, 3
_STEP = 128 * 1024
"""What one block of a frame holds at most."""
LEVEL = 1
"""Level 3 is slower on everything and larger on JSON lines (measured 0.171 against 0.146)."""
_WORTH_IT = 0.97
"""A document block that saves less than 3 % stays raw: reading it is then free."""
_SAMPLE = 4 * 1024
_SAMPLE_WORTH_IT = 0.85
"""A disk writes faster than a core compresses: buffers are compressed only where a sample saves 15 %."""


class Member(Struct, frozen=True):
    """A chunk of a block that is being written."""

    number: int
    id: ChunkId
    length: int


class Base(Struct, frozen=True):
    """A chunk that the store has, for another to be stored as the difference to it."""

    number: int
    id: ChunkId
    data: Buffer


class Sealed(Struct, frozen=True):
    """A block ready to be placed. `parts` may still be views of the user's memory."""

    members: Sequence[Member]
    codec: int
    parts: Sequence[Buffer]
    raw_length: int
    stored_length: int
    base: Base | None = None
    """Of a delta block."""


_FEW_MATCHES: dict[int, int] = {
    zstd.CompressionParameter.compression_level: LEVEL,
    zstd.CompressionParameter.min_match: 7,
    zstd.CompressionParameter.hash_log: 6,
}

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


def compressed_planes(planes: Buffer, width: int) -> bytes:
    """One frame; a block of it never holds parts of two planes, which would share a code. Nearly without a search for repetitions, which cost time in noise and gain nothing: bfloat16 weights
    1.49x at 770 MB/s, against 1.46x at 400 with the usual tables of level 1. Runs of equal bytes are found all the same."""
    compressor: zstd.ZstdCompressor | None = getattr(_threads, "planes", None)
    if compressor is None:
        compressor = _threads.planes = zstd.ZstdCompressor(options=_FEW_MATCHES)
    try:
        each, view = len(planes) // width, memoryview(planes)
        parts = [
            compressor.compress(view[at * each : (at + 1) * each], zstd.ZstdCompressor.FLUSH_BLOCK)
            for at in range(width - 1)
        ]
        parts.append(compressor.compress(view[(width - 1) * each :], zstd.ZstdCompressor.FLUSH_FRAME))
        return b"".join(parts)
    except BaseException:
        del _threads.planes
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


def decompress_into(frame: Buffer, target: memoryview, what: str) -> None:
    """The same to memory that is there, which it has to fill. In steps that stay in the cache of a core: whole, each frame
    is put together from pieces of fresh memory, which costs more than decompressing it (1 MiB of JSON lines: 2.5 against
    0.9 ms). Raises Damaged; part of the target may then be overwritten."""
    end, data = 0, frame
    try:
        decompressor = zstd.ZstdDecompressor()
        while not decompressor.eof and end <= len(target):
            piece = decompressor.decompress(data, _STEP)
            if not piece and (not data or decompressor.needs_input):
                break  # cut off
            data = b""
            target[end : end + len(piece)] = piece
            end += len(piece)
        whole = decompressor.eof and not decompressor.unused_data
    except (zstd.ZstdError, MemoryError) as error:
        raise Damaged(f"{what} is damaged: {error}. It is not used. See `waycairn doctor`.") from None
    except ValueError:  # more than there is room for
        end, whole = len(target) + 1, False
    if not whole or end > len(target):
        raise Damaged(f"{what} is damaged: its compressed data is no whole frame. See `waycairn doctor`.")
    if end != len(target):
        raise _other_length(what, end, len(target))


def seal_document(members: Sequence[Member], pieces: Sequence[Buffer]) -> Sealed:
    """Chunks of a document as one frame, or as they are where that saves nothing. Each piece holds one chunk or several;
    one piece that holds all is not copied."""
    raw = pieces[0] if len(pieces) == 1 else b"".join(pieces)
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


def seal_planes(member: Member, data: Buffer, width: int) -> Sealed | None:
    """None if it saves less than 15 %."""
    frame = bytes((width,)) + compressed_planes(split(data, width), width)
    if len(frame) > member.length * _SAMPLE_WORTH_IT:
        return None
    return Sealed((member,), PLANES, (frame,), member.length, len(frame))


def seal_delta(member: Member, data: Buffer, width: int, base: Base) -> Sealed | None:
    """None if it saves less than 15 %."""
    frame = bytes((width,)) + compressed_planes(split(difference(data, base.data), width), width)
    if len(frame) > member.length * _SAMPLE_WORTH_IT:
        return None
    return Sealed((member,), DELTA, (frame,), member.length, len(frame), base)


def unseal(codec: int, stored: Buffer, raw_length: int, what: str, base: Buffer | None = None) -> Buffer:
    """The bytes of a block; `base` is what its base holds, where it has one. Raises Damaged; the ids of its chunks are
    still to be compared."""
    if codec == RAW:
        data = stored
    elif codec == ZSTD:
        data = decompressed(stored, raw_length, what)
    elif codec == PLANES:
        data = _joined(stored, raw_length, what)
    elif codec == DELTA:
        data = _joined(stored, raw_length, what)
        if base is None or len(base) != len(data):
            raise Damaged(
                f"{what} is damaged: it is the difference to a chunk of another length. See `waycairn doctor`."
            )
        data = difference(data, base)
    else:
        raise Damaged(f"{what} has codec {codec}, which this waycairn does not know: it is damaged, or newer.")
    if len(data) != raw_length:
        raise _other_length(what, len(data), raw_length)
    return data


def _other_length(what: str, length: int, wanted: int) -> Damaged:
    return Damaged(f"{what} is damaged: it holds {length} bytes instead of {wanted}. See `waycairn doctor`.")


def _joined(stored: Buffer, raw_length: int, what: str) -> Buffer:
    view = memoryview(stored)
    if not view or not 1 <= view[0] <= WIDEST:
        raise Damaged(f"{what} is damaged: it has no elements of a width that is split. See `waycairn doctor`.")
    return join(decompressed(view[1:], raw_length, what), view[0])
