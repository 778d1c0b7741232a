"""Where sealed blocks go: inline while they are few, else into a pack."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from waycairn.chunks import pack_file
from waycairn.chunks.hashing import plain_hash
from waycairn.chunks.layout import aligned
from waycairn.chunks.pack_file import PackedBlock
from waycairn.chunks.sealing import RAW, Sealed
from waycairn.chunks.segments import context_of_block, context_of_footer, sealed_length, sealed_parts
from waycairn.chunks.tuning import Tuning
from waycairn.model.records import NewBlock, NewPack, StoreInfo
from waycairn.ports import Blobs, BlobWriter, Filling, Part
from waycairn.world.randomness import new_pack_id

_OWN_EXTENT = 64 * 1024
"""A raw block from this size up begins at an aligned offset, so that it can be read straight into place or mapped."""


class Placing:
    """The new blocks of one save. Nothing refers to the user's memory any more once `finish` or `abort` returned."""

    def __init__(self, blobs: Blobs, info: StoreInfo, tuning: Tuning, size_hint: int) -> None:
        self._blobs = blobs
        self._info = info
        self._tuning = tuning
        self._hint = size_hint
        self._waiting: list[Sealed] = []
        self._waiting_size = 0
        self._pack: _OpenPack | None = None
        self._packs: list[NewPack] = []
        self._blocks: list[NewBlock] = []

    def add(self, sealed: Sealed) -> None:
        """Take one block. It may be written at once, so its parts must not change."""
        self._waiting.append(sealed)
        self._waiting_size += sealed.stored_length
        if self._waiting_size > (self._tuning.block if self._pack else self._tuning.inline):
            self._flush()

    def finish(self) -> tuple[list[NewPack], list[NewBlock]]:
        """Make everything durable that does not ride inline. Raises StoreFull, WriteFailed; then nothing is left."""
        if self._pack or self._waiting_size > self._tuning.inline:
            self._flush()
            self._close_pack()
        self._blocks += (_inline(sealed) for sealed in self._waiting)
        self._waiting = []
        return self._packs, self._blocks

    def abort(self) -> None:
        if self._pack:
            self._pack.abort()
        self._waiting = []

    def _flush(self) -> None:
        extent: list[Sealed] = []
        for sealed in self._waiting:
            if sealed.codec == RAW and sealed.stored_length >= _OWN_EXTENT:
                self._write(extent)
                self._write([sealed])
                extent = []
            else:
                extent.append(sealed)
        self._write(extent)
        self._waiting = []
        self._waiting_size = 0

    def _write(self, extent: list[Sealed]) -> None:
        if not extent:
            return
        if self._pack and self._pack.size >= self._tuning.pack:
            self._close_pack()
        if not self._pack:
            self._pack = _OpenPack(self._blobs, self._info, min(self._hint, self._tuning.pack))
        self._blocks += self._pack.write(extent)

    def _close_pack(self) -> None:
        assert self._pack
        pack, self._pack = self._pack, None
        self._packs.append(pack.close())


def _inline(sealed: Sealed) -> NewBlock:
    data = b"".join(sealed.parts)
    return NewBlock(sealed.members[0].number, sealed.codec, sealed.raw_length, len(data), None, 0, data, _base(sealed))


def _base(sealed: Sealed) -> int | None:
    return None if sealed.base is None else sealed.base.number


class _OpenPack:
    """A pack file being written, see `pack_file` for its bytes."""

    def __init__(self, blobs: Blobs, info: StoreInfo, size_hint: int) -> None:
        self._id = new_pack_id()
        self._key = info.vault.pack_key(self._id) if info.vault else None
        self._alignment = blobs.capabilities.alignment
        generation = self._key.generation if self._key else None
        self._header = pack_file.header(info.id, self._id, self._alignment, generation)
        self._writer: BlobWriter = blobs.create(self._id, size_hint)
        self._listed: list[PackedBlock] = []
        self.size = 0

    def write(self, extent: Sequence[Sealed]) -> list[NewBlock]:
        if self.size == 0 and extent[0].codec == RAW and extent[0].stored_length >= _OWN_EXTENT:
            self._append([self._header])
        parts: list[Part] = [] if self.size else [self._header]
        offset = aligned(self.size, self._alignment) + sum(map(len, parts))
        blocks = []
        for sealed in extent:
            block = self._list(sealed, offset)
            parts += self._stored(sealed, block)
            blocks.append(block)
            offset += block.stored_length
        self._append(parts)
        return blocks

    def _list(self, sealed: Sealed, offset: int) -> NewBlock:
        is_hashed = sealed.codec != RAW and not self._key
        listed = PackedBlock(
            codec=sealed.codec,
            offset=offset,
            raw_length=sealed.raw_length,
            stored_length=sealed_length(sealed.stored_length) if self._key else sealed.stored_length,
            stored_hash=plain_hash(sealed.parts[0]) if is_hashed else None,
            members=sealed.members,
            base=None if sealed.base is None else (sealed.base.number, sealed.base.id),
        )
        self._listed.append(listed)
        number, base = sealed.members[0].number, _base(sealed)
        return NewBlock(number, sealed.codec, sealed.raw_length, listed.stored_length, self._id, offset, None, base)

    def _stored(self, sealed: Sealed, block: NewBlock) -> Iterable[Part]:
        if self._key is None:
            return sealed.parts
        context = context_of_block(block.codec, block.raw_length, block.stored_length, block.base)
        return sealed_parts(self._key, sealed.parts, block.offset, context)

    def _append(self, parts: Sequence[Part]) -> None:
        offset = self._writer.append(parts)
        # What is encrypted is bound to its place, so the place is known before.
        assert offset == aligned(self.size, self._alignment)
        self.size = offset + sum(map(len, parts))

    def close(self) -> NewPack:
        offset = aligned(self.size, self._alignment)
        footer = self._footer(offset)
        digest = pack_file.digest_of(self._header, footer)
        try:
            self._append([footer, pack_file.trailer(offset, footer, digest)])
            return NewPack(self._id, self._writer.finish(), digest)
        except BaseException:
            self.abort()
            raise

    def _footer(self, offset: int) -> bytes:
        plain = pack_file.footer(self._listed)
        if self._key is None:
            return plain
        parts = sealed_parts(self._key, [plain], offset, context_of_footer(self._header))
        return b"".join(map(_filled, parts))

    def abort(self) -> None:
        self._writer.abort()


def _filled(part: Filling) -> bytearray:
    data = bytearray(len(part))
    part.fill(memoryview(data))
    return data
