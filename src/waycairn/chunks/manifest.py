"""The list of what makes up one state, and the hash that proves it.

Version 1, every number a varint (see `varint`) unless said:

    byte 0    version, 1
    byte 1    0: the body follows as it is; 1: as one zstd frame; 2: no body and no checksum, but the document itself,
              to the end: a state without chunks and buffers (all of it stands under the root)
    4 bytes   CRC-32 of what follows, little-endian: damage is told before a damaged count asks for all memory
    body      length of the document
              number of document segments, then each segment:
                  2 * n      a run of n chunks, consecutive numbers; then the first number minus the number behind
                             the previous run (zigzag)
                  2 * n + 1  a literal of n bytes, which follow
              number of buffers; if there are any:
                  own_chunk and chunk (see `layout`), the size of each buffer,
                  number of runs over all chunks of buffers, then each run as above (numbers go on from the document)

A list that grew by one element, whose new chunk has the next number, has the same manifest with one number changed.

The root is BLAKE3-256, keyed for roots, over, all integers 8 bytes little-endian:

    length of the document, number of chunks (of document and buffers), number of literals, number of buffers,
    own_chunk, chunk (both 0 without buffers)
    ids of all chunks, 32 bytes each; lengths of all chunks
    sizes of all buffers
    each literal: number of document chunks before it, its length, its bytes
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence

import msgspec
from msgspec import Struct

from waycairn.chunks.hashing import keyed_hash
from waycairn.chunks.sealing import compressed, decompressed
from waycairn.chunks.varint import Cursor, put, put_signed
from waycairn.errors import Damaged

VERSION = 1
_PLAIN, _ZSTD, _WHOLE = 0, 1, 2
_COMPRESS_FROM = 256
"""Shorter bodies gain less than a frame costs (11 µs)."""
_LARGEST_BODY = 1 << 31
"""A manifest is never larger than this once decompressed."""
_WHAT = "a manifest"
_HEADER = struct.Struct("<BBI")
WHOLE_HEADER = bytes((VERSION, _WHOLE))
"""How a manifest begins that holds the document itself, and names no chunk."""
_WHOLE_ROOT = struct.Struct("<8Q")


class Run(msgspec.Struct, frozen=True, gc=False):
    """Chunks with consecutive numbers."""

    first: int
    count: int


Segment = Run | bytes
"""A part of a document: chunks, or a literal."""


class Manifest(Struct, frozen=True, kw_only=True):
    document_length: int
    segments: Sequence[Segment]
    sizes: Sequence[int]
    """Of the buffers, in order."""
    own_chunk: int
    chunk: int
    buffer_runs: Sequence[Run]

    @property
    def whole(self) -> bytes | None:
        """The document, if it is all there is and one literal."""
        if len(self.segments) != 1 or self.sizes:
            return None
        only = self.segments[0]
        return only if isinstance(only, bytes) else None

    def document_numbers(self) -> list[int]:
        return _numbers(segment for segment in self.segments if isinstance(segment, Run))

    def buffer_numbers(self) -> list[int]:
        return _numbers(self.buffer_runs)

    def literals(self) -> Iterator[tuple[int, bytes]]:
        """Each literal with the number of document chunks before it."""
        before = 0
        for segment in self.segments:
            if isinstance(segment, Run):
                before += segment.count
            else:
                yield before, segment


def _numbers(runs: Iterable[Run]) -> list[int]:
    return [number for run in runs for number in range(run.first, run.first + run.count)]


def runs_of(parts: Iterable[int | bytes]) -> list[Segment]:
    """Join consecutive numbers to runs and neighbouring literals to one."""
    segments: list[Segment] = []
    first = count = 0
    for part in parts:
        if isinstance(part, int):
            if count and part == first + count:
                count += 1
                continue
            if count:
                segments.append(Run(first, count))
            first, count = part, 1
            continue
        if count:
            segments.append(Run(first, count))
            count = 0
        if segments and isinstance(segments[-1], bytes):
            segments[-1] += part
        else:
            segments.append(part)
    if count:
        segments.append(Run(first, count))
    return segments


def encode(manifest: Manifest) -> bytes:
    body = bytearray()
    put(body, manifest.document_length)
    put(body, len(manifest.segments))
    behind = 0
    for segment in manifest.segments:
        if isinstance(segment, Run):
            behind = _put_run(body, segment, behind)
        else:
            put(body, len(segment) << 1 | 1)
            body += segment
    put(body, len(manifest.sizes))
    if manifest.sizes:
        put(body, manifest.own_chunk)
        put(body, manifest.chunk)
        for size in manifest.sizes:
            put(body, size)
        put(body, len(manifest.buffer_runs))
        for run in manifest.buffer_runs:
            behind = _put_run(body, run, behind)
    return _wrapped(body)


def encode_whole(document: bytes) -> bytes:
    """A document without buffers in place of its manifest. As it is: compressing 10 KB of text halves them, for a
    quarter of the time of their save."""
    return WHOLE_HEADER + document


def _put_run(body: bytearray, run: Run, behind: int) -> int:
    put(body, run.count << 1)
    put_signed(body, run.first - behind)
    return run.first + run.count


def _wrapped(body: bytearray) -> bytes:
    if len(body) >= _COMPRESS_FROM:
        frame = compressed(body)
        if len(frame) < len(body):
            return _HEADER.pack(VERSION, _ZSTD, zlib.crc32(frame)) + frame
    return _HEADER.pack(VERSION, _PLAIN, zlib.crc32(body)) + body


def decode(data: bytes) -> Manifest:
    """Raises Damaged if no writer can have made this; whether it is the right one is told by the root."""
    if data[: len(WHOLE_HEADER)] == WHOLE_HEADER:
        return _whole(data[len(WHOLE_HEADER) :])
    if len(data) < _HEADER.size:
        raise Damaged(f"a manifest is damaged: it is {len(data)} bytes short. It is not used. See `waycairn doctor`.")
    version, form, checksum = _HEADER.unpack_from(data)
    body = data[_HEADER.size :]
    if version != VERSION or form not in (_PLAIN, _ZSTD):
        raise Damaged(
            f"a manifest has version {version}, form {form}, and this waycairn reads version {VERSION}: it is damaged, "
            "or newer. It is not used. Upgrade waycairn, or see `waycairn doctor`."
        )
    if zlib.crc32(body) != checksum:
        raise Damaged("a manifest is damaged: its checksum differs. It is not used. See `waycairn doctor`.")
    return _decode_v1(decompressed(body, _LARGEST_BODY, _WHAT) if form == _ZSTD else body)


def _whole(document: bytes) -> Manifest:
    return Manifest(document_length=len(document), segments=(document,), sizes=(), own_chunk=0, chunk=0, buffer_runs=())


def _decode_v1(body: bytes) -> Manifest:
    cursor = Cursor(body, _WHAT)
    length = cursor.varint()
    segments: list[Segment] = []
    behind = 0
    for _ in range(cursor.varint()):
        head = cursor.varint()
        if head & 1:
            segments.append(cursor.take(head >> 1))
            continue
        run = _take_run(cursor, head, behind)
        behind = run.first + run.count
        segments.append(run)
    sizes, own_chunk, chunk, runs = _decode_buffers(cursor, behind)
    cursor.end()
    return Manifest(
        document_length=length,
        segments=segments,
        sizes=sizes,
        own_chunk=own_chunk,
        chunk=chunk,
        buffer_runs=runs,
    )


def _decode_buffers(cursor: Cursor, behind: int) -> tuple[list[int], int, int, list[Run]]:
    count = cursor.varint()
    if not count:
        return [], 0, 0, []
    own_chunk, chunk = cursor.varint(), cursor.varint()
    if not chunk or not own_chunk:
        raise cursor.damaged("buffers are cut every 0 bytes")
    sizes = [cursor.varint() for _ in range(count)]
    runs = []
    for _ in range(cursor.varint()):
        run = _take_run(cursor, cursor.varint(), behind)
        behind = run.first + run.count
        runs.append(run)
    return sizes, own_chunk, chunk, runs


def _take_run(cursor: Cursor, head: int, behind: int) -> Run:
    count, first = head >> 1, behind + cursor.signed()
    if head & 1 or not count or first < 0:
        raise cursor.damaged(f"a run of {count} chunks from number {first}")
    return Run(first, count)


def root_of(manifest: Manifest, ids: Sequence[bytes], lengths: Sequence[int], key: bytes) -> bytes:
    """32 bytes over everything the manifest resolves to; ids (also several joined) and lengths of document chunks, then of
    buffers."""
    if (document := manifest.whole) is not None:
        return root_of_whole(document, key)
    literals = list(manifest.literals())
    parts: list[bytes] = [
        struct.pack(
            "<6Q",
            manifest.document_length,
            len(lengths),
            len(literals),
            len(manifest.sizes),
            manifest.own_chunk,
            manifest.chunk,
        ),
        *ids,
        struct.pack(f"<{len(lengths)}Q", *lengths),
        struct.pack(f"<{len(manifest.sizes)}Q", *manifest.sizes),
    ]
    for before, literal in literals:
        parts += (struct.pack("<2Q", before, len(literal)), literal)
    return keyed_hash(b"".join(parts), key)


def root_of_whole(document: bytes, key: bytes) -> bytes:
    """The root of what `encode_whole` writes."""
    size = len(document)
    return keyed_hash(_WHOLE_ROOT.pack(size, 0, 1, 0, 0, 0, 0, size) + document, key)
