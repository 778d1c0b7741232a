"""A pack, byte by byte. Version 2; integers little-endian, varints as in `varint`.

    header, 64 bytes
        0   8   magic, 89 57 43 50 41 43 4B 0A ("\\x89WCPACK\\n")
        8   2   version, 2
       10   2   0
       12   4   alignment: each extent begins at a multiple of it
       16  16   first 16 bytes of BLAKE3 of the id of the store
       32  16   id of the pack (its file name in binary)
       48  16   first 16 bytes of BLAKE3 of the 48 bytes before
    extents, each filled up with zeros to the alignment
        the first begins behind the header; small blocks lie back to back in one extent, a block of a buffer begins
        an extent of its own
    footer, in an extent of its own
        number of blocks, then each block:
            number of its first chunk, codec (0 raw, 1 zstd, 2 planes, 3 delta), offset in the pack, raw length, stored
            length,
            32 bytes BLAKE3 of the stored bytes if the codec is not raw,
            number and 32 bytes id of its base if the codec is delta,
            number of chunks, then each chunk: number minus the number behind the previous one, length, 32 bytes id
    trailer, 64 bytes, directly behind the footer, at the end of the file
        0   8   offset of the footer
        8   8   length of the footer
       16  32   BLAKE3-256 of the header and the footer: the digest of the pack
       48   8   0
       56   8   magic, 89 57 43 45 4E 44 53 0A ("\\x89WCENDS\\n")

The digest covers every byte that means something: header and footer directly, raw blocks by the ids of their chunks
(keyed by the secret of the store), compressed blocks by their own hash. The chunk index can be built again from
packs alone, with the same numbers, so that manifests stay readable.

Version 1 had no blocks of codec 2 and 3, and was the same otherwise; it is read, and never written.

Version 3 is the pack of an encrypted store, and the only one that such a store writes and reads. It differs in this:

    header   10   2   generation of the data key that the key of the pack follows from
    blocks   encrypted (see `segments`); offset and stored length are those of the encrypted bytes, tags included
    footer   encrypted as a block is; it holds no hashes of stored bytes, since each segment has its tag

The digest is that of the header and the footer as they are stored, so that it can be checked without a key.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from msgspec import Struct

from waycairn.chunks.hashing import plain_hash
from waycairn.chunks.sealing import DELTA, RAW, Member
from waycairn.chunks.varint import Cursor, put, put_signed
from waycairn.errors import Damaged
from waycairn.model.ids import ChunkId, PackId

VERSION = 2
SEALED_VERSION = 3
_READS = (1, 2)
MAGIC = b"\x89WCPACK\n"
END_MAGIC = b"\x89WCENDS\n"
_HEADER = struct.Struct("<8sHHI16s16s")
_TRAILER = struct.Struct("<QQ32sQ8s")
HEADER_SIZE = 64
TRAILER_SIZE = 64


class PackedBlock(Struct, frozen=True):
    """A block as the footer lists it."""

    codec: int
    offset: int
    raw_length: int
    stored_length: int
    stored_hash: bytes | None
    """None if raw: then the ids of its chunks say what its bytes must be; and if encrypted: then its tags do."""
    members: Sequence[Member]
    base: tuple[int, ChunkId] | None = None
    """Number and id of the chunk that it is the difference to."""


class Header(Struct, frozen=True):
    alignment: int
    generation: int | None
    """Of the data key; None: the pack is a plain one."""


def header(store: str, pack: PackId, alignment: int, generation: int | None = None) -> bytes:
    """`generation` of the data key, if it is a pack of an encrypted store."""
    kind = (VERSION, 0) if generation is None else (SEALED_VERSION, generation)
    first = _HEADER.pack(MAGIC, *kind, alignment, plain_hash(store.encode())[:16], bytes.fromhex(pack))
    return first + plain_hash(first)[:16]


def read_header(data: bytes, store: str, pack: PackId, *, is_encrypted: bool = False) -> Header:
    """Raises Damaged unless it is the header of this pack of this store, and encrypted just if the store is."""
    if len(data) < HEADER_SIZE or data[:8] != MAGIC or plain_hash(data[:48])[:16] != data[48:HEADER_SIZE]:
        raise damaged(pack, "its header is broken")
    _, version, generation, alignment, store_hash, pack_id = _HEADER.unpack_from(data)
    if version not in (*_READS, SEALED_VERSION):
        raise damaged(pack, f"it has version {version} and this waycairn reads versions up to {SEALED_VERSION}")
    if store_hash != plain_hash(store.encode())[:16]:
        raise damaged(pack, "it belongs to another store")
    if pack_id != bytes.fromhex(pack):
        raise damaged(pack, f"it is pack {pack_id.hex()} under a wrong name")
    if is_encrypted and version != SEALED_VERSION:
        raise damaged(pack, "it is not encrypted, and its store is: it was put there by something else than waycairn")
    if not is_encrypted and version == SEALED_VERSION:
        raise damaged(pack, "it is encrypted, and its store is not")
    return Header(alignment, generation if version == SEALED_VERSION else None)


def footer(blocks: Sequence[PackedBlock]) -> bytes:
    out = bytearray()
    put(out, len(blocks))
    for block in blocks:
        behind = block.members[0].number
        for value in (behind, block.codec, block.offset, block.raw_length, block.stored_length):
            put(out, value)
        out += block.stored_hash or b""
        if block.base is not None:
            put(out, block.base[0])
            out += block.base[1]
        put(out, len(block.members))
        for member in block.members:
            put_signed(out, member.number - behind)
            put(out, member.length)
            out += member.id
            behind = member.number + 1
    return bytes(out)


def trailer(offset: int, footer_bytes: bytes, digest: bytes) -> bytes:
    return _TRAILER.pack(offset, len(footer_bytes), digest, 0, END_MAGIC)


def digest_of(header_bytes: bytes, footer_bytes: bytes) -> bytes:
    return plain_hash(header_bytes + footer_bytes)


def read_trailer(data: bytes, size: int, pack: PackId) -> tuple[int, int, bytes]:
    """Offset and length of the footer, and the digest; `size` is the size of the whole pack."""
    if len(data) != TRAILER_SIZE or data[56:] != END_MAGIC:
        raise damaged(pack, "its end is missing or broken")
    offset, length, digest, zero, _ = _TRAILER.unpack(data)
    if zero or offset < HEADER_SIZE or offset + length + TRAILER_SIZE != size:
        raise damaged(pack, "its trailer is broken")
    return offset, length, digest


def read_footer(data: bytes, pack: PackId, *, is_sealed: bool = False) -> list[PackedBlock]:
    cursor = Cursor(data, f"the footer of pack {pack}")
    blocks = [read_block(cursor, is_sealed=is_sealed) for _ in range(cursor.varint())]
    cursor.end()
    return blocks


def read_block(cursor: Cursor, *, is_sealed: bool = False) -> PackedBlock:
    """The next entry of a footer. Raises Damaged if there can be none."""
    behind, codec, offset, raw_length, stored_length = (cursor.varint() for _ in range(5))
    stored_hash = None if codec == RAW or is_sealed else cursor.take(32)
    base = (cursor.varint(), ChunkId(cursor.take(32))) if codec == DELTA else None
    members = []
    for _ in range(cursor.varint()):
        number, length = behind + cursor.signed(), cursor.varint()
        members.append(Member(number, ChunkId(cursor.take(32)), length))
        behind = number + 1
    return PackedBlock(codec, offset, raw_length, stored_length, stored_hash, members, base)


def damaged(pack: PackId, detail: str) -> Damaged:
    return Damaged(
        f"pack {pack} is damaged: {detail}. Checkpoints that need it cannot be read. See `waycairn doctor`.", pack=pack
    )
