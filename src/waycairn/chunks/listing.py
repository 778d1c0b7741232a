"""What a pack says that it holds, also where its own list is damaged: as much of it as proves itself by the data.

A footer that matches its digest is believed. Else its entries are read one by one, wherever one can begin, and each is
believed only if the block lies where it says and every chunk of it has the id that it says: ids are keyed by the secret of
the store, so that nothing else passes for one. Blocks have no heads of their own; where the footer is cut off, a pack says
nothing. The list of an encrypted pack is sealed as a whole: where a byte of it differs it says nothing either.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from waycairn.chunks import pack_file
from waycairn.chunks.hashing import chunk_id, plain_hash
from waycairn.chunks.pack_file import HEADER_SIZE, TRAILER_SIZE, PackedBlock
from waycairn.chunks.pack_reader import read_at, read_ends, rows_of
from waycairn.chunks.sealing import DELTA, RAW, unseal
from waycairn.chunks.tuning import MIB
from waycairn.chunks.varint import Cursor
from waycairn.errors import Damaged
from waycairn.model.ids import PackId
from waycairn.model.records import NewData, StoreInfo
from waycairn.ports import Blobs

_LARGEST_BLOCK = 64 * MIB
"""No writer makes larger ones; nonsense may claim any size."""
_LARGEST_FOOTER = 256 * MIB
_ALIGNMENT = 4096
_LONGEST_NUMBER = 9
"""Bytes."""
_SHORTEST_ENTRY = 39
"""Bytes of the entry of a raw block with one chunk, at the least."""


class Listing(Struct, frozen=True):
    data: NewData
    damage: str | None
    """None if the pack's own list is intact; else what is wrong with it, and `data` is what could be proven all the same."""


def list_what_is_proven(blobs: Blobs, info: StoreInfo, pack: PackId) -> Listing:
    """Reads no block if the footer is intact, and every block if it is not. Raises Damaged if the pack is missing."""
    try:
        size, digest, blocks, _ = read_ends(blobs, info, pack)
        return Listing(rows_of(pack, size, digest, blocks), None)
    except Damaged as error:
        damage = str(error)
    found = blobs.head(pack)
    if found is None:
        raise Damaged(damage, pack=pack)
    if info.is_encrypted:
        damage += (
            " Its list is encrypted, so nothing of it can be told: what the catalog has of this pack is all there is."
        )
        return Listing(rows_of(pack, found.size, b"", ()), damage)
    proven = list(_Proof(blobs, info, pack, found.size).blocks())
    return Listing(rows_of(pack, found.size, b"", proven), damage)


class _Place(Struct, frozen=True):
    """What is known of an entry before it is read."""

    at: int
    """Where in the footer it begins."""
    end: int
    """Its block lies behind this byte of the pack."""
    number: int
    """Of the first chunk of the block before: as a rule it has a higher one."""

    def moved(self, at: int) -> _Place:
        return _Place(at, self.end, self.number)


class _Proof:
    def __init__(self, blobs: Blobs, info: StoreInfo, pack: PackId, size: int) -> None:
        self._blobs = blobs
        self._secret = info.secret
        self._pack = pack
        self._size = size

    def blocks(self) -> Iterator[PackedBlock]:
        footer_at = self._footer_at()
        if footer_at is None:
            return
        footer = read_at(self._blobs, self._pack, footer_at, self._size - TRAILER_SIZE - footer_at)
        entry = self._next(footer, _Place(0, HEADER_SIZE, -1), footer_at)
        while entry is not None:
            block, place = entry
            yield block
            entry = self._next(footer, place, footer_at)

    def _next(self, footer: bytes, place: _Place, footer_at: int) -> tuple[PackedBlock, _Place] | None:
        """The next entry that proves itself, and what is known behind it."""
        entry = self._entry(footer, place, footer_at)
        if entry is not None:
            if self._is_proven(entry[0]):
                return entry
            # A wrong hash or id moves nothing: the next entry begins where this one ends.
            behind = self._entry(footer, entry[1], footer_at)
            if behind is not None and self._is_proven(behind[0]):
                return behind
        for at in range(place.at + 1, len(footer) - _SHORTEST_ENTRY):
            entry = self._entry(footer, place.moved(at), footer_at)
            if entry is not None and self._is_proven(entry[0]):
                return self._likeliest(footer, place.moved(at), footer_at)
        return None

    def _likeliest(self, footer: bytes, place: _Place, footer_at: int) -> tuple[PackedBlock, _Place] | None:
        """Where an entry begins with its number, nothing proves the first byte of that. Numbers grow, by little."""
        tried = [self._entry(footer, place.moved(place.at + more), footer_at) for more in range(_LONGEST_NUMBER)]
        first = next(entry for entry in tried if entry is not None)
        same = [entry for entry in tried if entry is not None and entry[1].at == first[1].at]
        return min(same, key=lambda entry: (entry[0].members[0].number <= place.number, entry[0].members[0].number))

    def _footer_at(self) -> int | None:
        """As the trailer says; if that is damaged, the highest aligned place at which a first entry proves itself."""
        if self._size < HEADER_SIZE + TRAILER_SIZE:
            return None
        end = self._size - TRAILER_SIZE
        try:
            return pack_file.read_trailer(read_at(self._blobs, self._pack, end, TRAILER_SIZE), self._size, self._pack)[
                0
            ]
        except Damaged:
            pass
        lowest = max(HEADER_SIZE, self._size - _LARGEST_FOOTER)
        for offset in range(end - end % _ALIGNMENT, lowest - 1, -_ALIGNMENT):
            head = read_at(self._blobs, self._pack, offset, min(_ALIGNMENT, end - offset))
            if any(
                (entry := self._entry(head, _Place(at, HEADER_SIZE, -1), offset)) and self._is_proven(entry[0])
                for at in range(min(10, len(head)))  # behind the number of blocks
            ):
                return offset
        return None

    def _entry(self, footer: bytes, place: _Place, footer_at: int) -> tuple[PackedBlock, _Place] | None:
        """One that may begin here, and what is known behind it."""
        cursor = Cursor(memoryview(footer)[place.at :], f"the footer of pack {self._pack}")
        try:
            block = pack_file.read_block(cursor)
        except Damaged:
            return None
        is_one = (
            block.codec <= DELTA
            and bool(block.members)
            and 0 < block.raw_length == sum(member.length for member in block.members) <= _LARGEST_BLOCK
            and (block.codec != RAW or block.stored_length == block.raw_length)
            and place.end <= block.offset
            and block.offset + block.stored_length <= footer_at
        )
        end = block.offset + block.stored_length
        return (block, _Place(place.at + cursor.position, end, block.members[0].number)) if is_one else None

    def _is_proven(self, block: PackedBlock) -> bool:
        stored = read_at(self._blobs, self._pack, block.offset, block.stored_length)
        if block.codec == DELTA:
            # What it is the difference to lies elsewhere: its own hash stands for it.
            return block.stored_hash == plain_hash(stored)
        try:
            raw = memoryview(unseal(block.codec, stored, block.raw_length, "a block"))
        except Damaged:
            return False
        return _ids(raw, block, self._secret) == [member.id for member in block.members]


def _ids(raw: memoryview, block: PackedBlock, secret: bytes) -> Sequence[bytes]:
    ids, start = [], 0
    for member in block.members:
        ids.append(chunk_id((raw[start : start + member.length],), secret))
        start += member.length
    return ids
