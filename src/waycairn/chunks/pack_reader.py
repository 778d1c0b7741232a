"""Packs read without the catalog: to check every byte of one, and to build the chunk index again."""

from __future__ import annotations

from waycairn.chunks import pack_file
from waycairn.chunks.hashing import chunk_id, plain_hash
from waycairn.chunks.pack_file import HEADER_SIZE, TRAILER_SIZE, PackedBlock
from waycairn.chunks.sealing import DELTA, unseal
from waycairn.chunks.segments import context_of_block, context_of_footer, opened_length, unseal_segments
from waycairn.errors import Damaged
from waycairn.model.ids import PackId
from waycairn.model.records import NewBlock, NewChunk, NewData, NewPack, StoreInfo
from waycairn.model.vault import PackKey
from waycairn.ports import Blobs, Buffer


def list_pack(blobs: Blobs, info: StoreInfo, pack: PackId) -> NewData:
    """The rows that the commit of this pack added: what the index needs to find its chunks again, by the same
    numbers. Verifies header, footer and trailer, and reads no block. Raises Damaged."""
    size, digest, blocks, _ = _read_ends(blobs, info, pack)
    chunks: list[NewChunk] = []
    for block in blocks:
        start = 0
        for member in block.members:
            chunks.append(NewChunk(member.number, member.id, block.members[0].number, start, member.length))
            start += member.length
    return NewData(
        packs=[NewPack(pack, size, digest)],
        blocks=[
            NewBlock(
                block.members[0].number,
                block.codec,
                block.raw_length,
                block.stored_length,
                pack,
                block.offset,
                None,
                None if block.base is None else block.base[0],
            )
            for block in blocks
        ],
        chunks=chunks,
    )


def check_pack(blobs: Blobs, info: StoreInfo, pack: PackId) -> int:
    """Read every byte of a pack, also those that nobody needs any more, and verify it; its size. Raises Damaged
    naming the place. `ChunkReader.verify` checks what one checkpoint needs instead. A block that is a difference is
    verified by its own hash and its form: what it is the difference to lies elsewhere."""
    size, _, blocks, key = _read_ends(blobs, info, pack)
    end = HEADER_SIZE
    for block in sorted(blocks, key=lambda block: block.offset):
        _check_padding(blobs, pack, end, block.offset)
        _check_block(blobs, info, pack, block, key)
        end = block.offset + block.stored_length
    footer_at, _, _ = pack_file.read_trailer(_read(blobs, pack, size - TRAILER_SIZE, TRAILER_SIZE), size, pack)
    _check_padding(blobs, pack, end, footer_at)
    return size


def _read_ends(blobs: Blobs, info: StoreInfo, pack: PackId) -> tuple[int, bytes, list[PackedBlock], PackKey | None]:
    found = blobs.head(pack)
    if found is None or found.size < HEADER_SIZE + TRAILER_SIZE:
        raise pack_file.damaged(pack, "it is missing" if found is None else f"only {found.size} bytes of it are there")
    header = _read(blobs, pack, 0, HEADER_SIZE)
    generation = pack_file.read_header(header, info.id, pack, is_encrypted=info.is_encrypted).generation
    end = _read(blobs, pack, found.size - TRAILER_SIZE, TRAILER_SIZE)
    offset, length, digest = pack_file.read_trailer(end, found.size, pack)
    footer = _read(blobs, pack, offset, length)
    if pack_file.digest_of(header, footer) != digest:
        raise pack_file.damaged(pack, "its footer does not match its hash")
    if info.vault is None:
        return found.size, digest, pack_file.read_footer(footer, pack), None
    key = info.vault.pack_key(pack, generation)
    opened = _opened(key, footer, offset, context_of_footer(header), pack)
    return found.size, digest, pack_file.read_footer(bytes(opened), pack, is_sealed=True), key


def _opened(key: PackKey, sealed: bytes, offset: int, context: bytes, pack: PackId) -> bytearray:
    length = opened_length(len(sealed))
    if length < 0:
        raise pack_file.damaged(pack, f"{len(sealed)} bytes at byte {offset} cannot be encrypted ones")
    opened = bytearray(length)
    unseal_segments(key, memoryview(sealed), offset, context, memoryview(opened))
    return opened


def _check_padding(blobs: Blobs, pack: PackId, start: int, end: int) -> None:
    if start > end:
        raise pack_file.damaged(pack, f"two blocks overlap at byte {end}")
    if any(_read(blobs, pack, start, end - start)):
        raise pack_file.damaged(pack, f"the padding from byte {start} to {end} is not empty (no data is lost)")


def _check_block(blobs: Blobs, info: StoreInfo, pack: PackId, block: PackedBlock, key: PackKey | None) -> None:
    where = f"block {block.members[0].number} of pack {pack} at byte {block.offset}"
    stored: Buffer = _read(blobs, pack, block.offset, block.stored_length)
    if key is not None:
        base = None if block.base is None else block.base[0]
        context = context_of_block(block.codec, block.raw_length, block.stored_length, base)
        stored = _opened(key, bytes(stored), block.offset, context, pack)
    if block.stored_hash is not None and plain_hash(stored) != block.stored_hash:
        raise Damaged(
            f"{where} is damaged: its bytes do not match their hash. See `waycairn doctor`.",
            pack=pack,
            offset=block.offset,
        )
    if block.codec == DELTA:
        unseal(DELTA, stored, block.raw_length, where, base=bytes(block.raw_length))
        return
    raw = memoryview(unseal(block.codec, stored, block.raw_length, where))
    start = 0
    for member in block.members:
        if chunk_id((raw[start : start + member.length],), info.secret) != member.id:
            raise Damaged(
                f"chunk {member.number} in {where} is damaged: its bytes do not match their hash. See `waycairn doctor`.",
                chunk=member.number,
                pack=pack,
                offset=block.offset,
            )
        start += member.length
    if start != block.raw_length:
        raise pack_file.damaged(pack, f"{where} holds {block.raw_length} bytes and its chunks have {start}")


def _read(blobs: Blobs, pack: PackId, offset: int, length: int) -> bytes:
    target = bytearray(length)
    blobs.read_into(pack, offset, memoryview(target))
    return bytes(target)
