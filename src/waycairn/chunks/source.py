"""Reads chunks: few large reads, everything verified, several threads where it is much."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext

import msgspec
from msgspec import Struct

from waycairn.chunks.hashing import keyed_hash
from waycairn.chunks.memory import PAGE, allocate
from waycairn.chunks.pack_keys import PackKeys
from waycairn.chunks.scratch import OpenBlocks, Scratch
from waycairn.chunks.sealing import DELTA, RAW, ZSTD, decompress_into, unseal
from waycairn.chunks.segments import context_of_block, opened_length, unseal_segments
from waycairn.chunks.tuning import KIB, MIB
from waycairn.errors import Damaged, StoreUnreachable
from waycairn.model.records import ChunkPlace, NewBlock, StoreInfo
from waycairn.model.vault import PackKey
from waycairn.ports import Blobs, Buffer, ChunkRows
from waycairn.world.ahead import map_ahead
from waycairn.world.processors import processors

_READ = 16 * MIB
"""Neighbouring blocks are read together up to this size."""
_READ_TO_UNSEAL = 4 * MIB
"""And up to this one if they must be copied or decompressed: so that every thread gets some of them."""
_GAP = 64 * KIB
"""Reading so many bytes too much is cheaper than another read."""
_THREADS = 4
"""Two that read while two verify. No more than there are processors where blocks are opened: each of their many small chunks
takes the interpreter for a moment, and threads that wait for it cost a tenth of the time (2 processors, chunks of 22 KB)."""
_EXAMINED_AHEAD = 6
"""Batches under way while chunks are examined: neither thread waits for the other, in some 24 MiB."""
_PARALLEL_FROM = 1 * MIB
_DEEPEST = 64
"""Differences in a row. Writers stop much earlier; a damaged index may go round in circles."""

_LARGEST_BLOCK = 64 * MIB
"""No writer makes larger ones; a damaged index may claim any size."""
_MOVES = 8
"""Times that the same chunks may be moved while they are being read."""

Take = Callable[[ChunkPlace, Buffer], None]
"""Gets a verified chunk; the buffer may be a view of something larger that is freed with it."""


class Want(msgspec.Struct, frozen=True, gc=False):
    """A chunk to be read, and where its bytes shall go if that is known: memory[start : start + length]."""

    place: ChunkPlace
    memory: memoryview | None = None
    start: int = 0
    opened: OpenBlocks | None = None
    """Where its block is kept for others who want another part of it, and perhaps is."""


class Examined(Struct, frozen=True):
    """Some chunks that were read back."""

    chunks: int
    raw_bytes: int
    stored_bytes: int
    bad: Sequence[tuple[ChunkPlace, str]]
    """Those that are damaged, and how."""


class _Batch(Struct, frozen=True):
    """Blocks that one read brings, and what is wanted of each."""

    direct: bool
    """All of it is read straight to where it belongs."""
    wants: list[list[Want]]

    @property
    def first(self) -> NewBlock:
        return self.wants[0][0].place.block

    @property
    def end(self) -> int:
        block = self.wants[-1][0].place.block
        return block.offset + block.stored_length

    def accepts(self, wants: Sequence[Want], *, is_direct: bool) -> bool:
        """Whether the blocks stay neighbours, in the pack and, if read straight into place, in memory too."""
        block, last = wants[0].place.block, self.wants[-1][0]
        if block.pack is None or block.pack != self.first.pack or self.direct != is_direct:
            return False
        gap = block.offset - self.end
        most = _READ if self.direct else _READ_TO_UNSEAL
        if block.offset + block.stored_length - self.first.offset > most or not 0 <= gap <= _GAP:
            return False
        # A gap smaller than a page is padding, in the pack and in memory: nothing else can lie there.
        return not self.direct or (
            gap < PAGE and wants[0].memory is last.memory and wants[0].start - last.start - last.place.length == gap
        )


class ChunkSource:
    """Reads and verifies chunks of one store. Thread-safe."""

    def __init__(self, index: ChunkRows, blobs: Blobs, info: StoreInfo) -> None:
        self._index = index
        self._blobs = blobs
        self._secret = info.secret
        self._keys = PackKeys(blobs, info.id, info.vault) if info.vault else None
        self._alignment = blobs.capabilities.alignment
        self._scratch = Scratch()
        self._opened = Scratch()
        self._raw = Scratch()

    def read(self, wants: Iterable[Want], take: Take | None = None, *, alone: bool = False) -> None:
        """Bring every wanted chunk into its memory, or to `take` (called by several threads at once, unless `alone`: then
        this thread does all of it). Raises Damaged naming the chunk, the pack and the place; chunks already brought are right."""
        batches = list(_batches(self._unopened(wants), may_be_direct=self._keys is None))
        if alone or sum(batch.end - batch.first.offset for batch in batches) < _PARALLEL_FROM or len(batches) == 1:
            for batch in batches:
                self._bring(batch, take, 0)
            return
        many = _THREADS if any(batch.direct for batch in batches) else min(_THREADS, processors())
        with ThreadPoolExecutor(many, thread_name_prefix="waycairn-read") as threads:
            for done in [threads.submit(self._bring, batch, take, 0) for batch in batches]:
                done.result()

    def _unopened(self, wants: Iterable[Want]) -> Iterator[Want]:
        """Without those whose block is kept open: they are handed out."""
        for want in wants:
            raw = None if want.opened is None else want.opened.find(want.place.block)
            if raw is None:
                yield want
            else:
                self._give([want], memoryview(raw), None, is_there=False)

    def _bring(self, batch: _Batch, take: Take | None, depth: int, moves: int = 0) -> None:
        """What lies elsewhere by now than where it was located is looked for again: an optimizer moved it, and took its
        old pack away."""
        try:
            self._bring_from(batch, take, depth)
        except (Damaged, StoreUnreachable):
            wants = self._moved(batch) if moves < _MOVES else None
            if wants is None:
                raise
            for other in _batches(wants, may_be_direct=self._keys is None):
                self._bring(other, take, depth, moves + 1)

    def _moved(self, batch: _Batch) -> list[Want] | None:
        """The same chunks where they lie now; None if that is where they were."""
        wants = [want for block in batch.wants for want in block]
        places = self._index.locate_chunks(list({want.place.number for want in wants}))
        if not all(want.place.number in places for want in wants):
            return None
        if all(places[want.place.number] == want.place for want in wants):
            return None
        return [Want(places[want.place.number], want.memory, want.start, want.opened) for want in wants]

    def examine(self, pages: Iterable[Sequence[ChunkPlace]]) -> Iterator[Examined]:
        """Read chunks and keep nothing of them, in the order in which they lie in each page, each block once, by two threads.
        Damage is told and does not end it."""
        may_be_direct = self._keys is None
        batches = (batch for page in pages for batch in _batches(map(Want, page), may_be_direct=may_be_direct))
        return map_ahead(self._examine, batches, ahead=_EXAMINED_AHEAD)

    def _examine(self, batch: _Batch) -> Examined:
        """The whole batch, and only if that fails block by block, and chunk by chunk."""
        bad: list[tuple[ChunkPlace, str]] = []
        if self._damage_of(batch) is not None:
            for block in batch.wants:
                if self._damage_of(_Batch(direct=False, wants=[block])) is not None:
                    bad += (
                        (want.place, damage)
                        for want in block
                        if (damage := self._damage_of(_Batch(direct=False, wants=[[want]]))) is not None
                    )
        blocks = [block[0].place.block for block in batch.wants]
        return Examined(
            chunks=sum(map(len, batch.wants)),
            raw_bytes=sum(block.raw_length for block in blocks),
            stored_bytes=sum(block.stored_length for block in blocks),
            bad=bad,
        )

    def _damage_of(self, batch: _Batch) -> str | None:
        try:
            self._bring(batch, None, 0)
        except Damaged as error:
            return str(error)
        return None

    def _bring_from(self, batch: _Batch, take: Take | None, depth: int) -> None:
        first = batch.first
        if batch.direct:
            self._read_direct(batch)
            return
        if first.pack is None:
            assert first.inline is not None
            self._open_block(batch.wants[0], first.inline, take, depth)
            return
        self._check_end(batch)
        if self._keys is not None:
            self._bring_sealed(batch, self._keys.of(first.pack), take, depth)
            return
        length = batch.end - first.offset
        # What `take` gets may be a view of it.
        with self._scratch.lend(length) if take is None else nullcontext(allocate(length)) as stored:
            self._blobs.read_into(first.pack, first.offset, stored)
            for wants in batch.wants:
                block = wants[0].place.block
                start = block.offset - first.offset
                self._open_block(wants, stored[start : start + block.stored_length], take, depth)

    def _bring_sealed(self, batch: _Batch, key: PackKey, take: Take | None, depth: int) -> None:
        """Decrypted from memory that is used again straight to where it belongs."""
        first = batch.first
        assert first.pack is not None
        # To the end of the sector, so that all of it can be read around the page cache: the footer lies behind it.
        length = -(-(batch.end - first.offset) // self._alignment) * self._alignment
        with self._scratch.lend(length) as stored:
            self._blobs.read_into(first.pack, first.offset, stored)
            for wants in batch.wants:
                block = wants[0].place.block
                start = block.offset - first.offset
                self._open_sealed(wants, stored[start : start + block.stored_length], key, take, depth)

    def _open_sealed(
        self, wants: Sequence[Want], sealed: memoryview, key: PackKey, take: Take | None, depth: int
    ) -> None:
        block = wants[0].place.block
        length = opened_length(block.stored_length)
        context = context_of_block(block.codec, block.raw_length, block.stored_length, block.base)
        if length < 0:
            raise _no_length(block)
        if block.codec == RAW and block.raw_length == length:
            with self._room(wants, take) as raw:
                unseal_segments(key, sealed, block.offset, context, raw)
                self._hand_out(wants, raw, take, is_there=_is_whole(wants))
            return
        with self._opened.lend(length) as opened:
            unseal_segments(key, sealed, block.offset, context, opened)
            self._open_block(wants, opened, take, depth)

    def _check_end(self, batch: _Batch) -> None:
        """A damaged index may claim any length, also one for which there is no memory."""
        first = batch.first
        if first.pack is None or batch.end - first.offset <= _READ_TO_UNSEAL:
            return
        found = self._blobs.head(first.pack)
        if found is None or found.size < batch.end:
            raise Damaged(
                f"pack {first.pack} ends before byte {batch.end}, where the chunk index says that block {first.number} "
                "does: one of them is damaged. Checkpoints that need it cannot be read. See `waycairn doctor`.",
                pack=first.pack,
                offset=first.offset,
            )

    def _read_direct(self, batch: _Batch) -> None:
        first, last = batch.wants[0][0], batch.wants[-1][0]
        memory = first.memory
        assert memory is not None and first.place.block.pack is not None  # noqa: PT018 - one condition
        self._blobs.read_into(
            first.place.block.pack, first.place.block.offset, memory[first.start : last.start + last.place.length]
        )
        for (want,) in batch.wants:
            self._verify(want.place, memory[want.start : want.start + want.place.length])

    def _open_block(self, wants: Sequence[Want], stored: Buffer, take: Take | None, depth: int) -> None:
        block = wants[0].place.block
        if block.codec == ZSTD and block.raw_length <= _LARGEST_BLOCK:
            with self._room(wants, take) as raw:
                decompress_into(stored, raw, _describe_block(block))
                self._hand_out(wants, raw, take, is_there=_is_whole(wants))
            return
        base = self._read_base(wants[0].place, depth) if block.codec == DELTA else None
        raw = memoryview(unseal(block.codec, stored, block.raw_length, _describe_block(block), base))
        self._hand_out(wants, raw, take, is_there=False)

    @contextmanager
    def _room(self, wants: Sequence[Want], take: Take | None) -> Iterator[memoryview]:
        """Memory for a block: where all of it is wanted, or what is used again, or what `take` may keep."""
        first, length = wants[0], wants[0].place.block.raw_length
        if _is_whole(wants):
            assert first.memory is not None
            yield first.memory[first.start : first.start + length]
        elif take is not None:
            yield allocate(length)
        else:
            with self._raw.lend(length) as raw:
                yield raw

    def _hand_out(self, wants: Sequence[Want], raw: memoryview, take: Take | None, *, is_there: bool) -> None:
        if (opened := wants[0].opened) is not None and not is_there:
            opened.keep(wants[0].place.block, raw, len(wants))
        self._give(wants, raw, take, is_there=is_there)

    def _give(self, wants: Sequence[Want], raw: memoryview, take: Take | None, *, is_there: bool) -> None:
        """Verified; and copied, unless the block was brought to where it belongs."""
        for want in wants:
            place, memory = want.place, want.memory
            data = raw[place.start : place.start + place.length]
            self._verify(place, data)
            if memory is not None and not is_there:
                memory[want.start : want.start + place.length] = data
            if take:
                take(place, data)

    def _read_base(self, place: ChunkPlace, depth: int) -> memoryview:
        """What a chunk is the difference to, verified by the id of its own."""
        number = place.block.base
        base = None if number is None else self._index.locate_chunks([number]).get(number)
        if base is None or depth == _DEEPEST:
            raise _without_base(
                place, number, "which the chunk index does not have" if base is None else "round in a circle"
            )
        memory = allocate(base.length)
        try:
            want = Want(base, memory)
            self._bring(_Batch(self._keys is None and _is_direct([want]), [[want]]), None, depth + 1)
        except Damaged as error:
            raise _without_base(place, number, f"which cannot be read: {error}") from None
        return memory

    def _verify(self, place: ChunkPlace, data: Buffer) -> None:
        if len(data) == place.length and keyed_hash(data, self._secret) == place.id:
            return
        block = place.block
        raise Damaged(
            f"chunk {place.number} is damaged: its {place.length} bytes from {place.start} in {_describe_block(block)} "
            "do not match their hash. Nothing of it is used; every checkpoint that needs it is lost unless another "
            "copy of the store has it. See `waycairn doctor`.",
            chunk=place.number,
            pack=block.pack,
            offset=block.offset,
        )


def _without_base(place: ChunkPlace, base: int | None, why: str) -> Damaged:
    return Damaged(
        f"chunk {place.number} in {_describe_block(place.block)} is stored as the difference to chunk {base}, {why}. "
        "Every checkpoint that needs it is lost unless another copy of the store has it. See `waycairn doctor`.",
        chunk=base,
        pack=place.block.pack,
        offset=place.block.offset,
    )


def _describe_block(block: NewBlock) -> str:
    where = "inline in the catalog" if block.pack is None else f"pack {block.pack} at byte {block.offset}"
    return f"block {block.number} ({block.stored_length} bytes {where})"


def _no_length(block: NewBlock) -> Damaged:
    return Damaged(
        f"{_describe_block(block)} cannot be what it should be: nothing that is encrypted is so short. See "
        "`waycairn doctor`.",
        pack=block.pack,
        offset=block.offset,
    )


def _is_straight(wants: Sequence[Want]) -> bool:
    """A raw block, wanted in one place."""
    return len(wants) == 1 and wants[0].memory is not None and wants[0].place.block.codec == RAW


def _is_whole(wants: Sequence[Want]) -> bool:
    """All of a block, wanted in one place in the order in which it is stored."""
    first, last = wants[0], wants[-1]
    if (
        first.memory is None
        or first.place.start
        or last.place.start + last.place.length != first.place.block.raw_length
    ):
        return False
    start, behind = first.start, 0
    for want in wants:
        if want.memory is not first.memory or want.start - start != want.place.start or want.place.start != behind:
            return False
        behind += want.place.length
    return True


def _is_direct(wants: Sequence[Want]) -> bool:
    """A raw block that is one chunk, wanted in one place, needs no copy."""
    place = wants[0].place
    block = place.block
    return _is_straight(wants) and block.pack is not None and block.raw_length == place.length == block.stored_length


def _batches(wants: Iterable[Want], *, may_be_direct: bool) -> Iterator[_Batch]:
    batch: _Batch | None = None
    for block in _by_block(wants):
        is_direct = may_be_direct and _is_direct(block)
        if batch and batch.accepts(block, is_direct=is_direct):
            batch.wants.append(block)
            continue
        if batch:
            yield batch
        batch = _Batch(is_direct, [block])
    if batch:
        yield batch


def _by_block(wants: Iterable[Want]) -> list[list[Want]]:
    """The wanted chunks of each block, in the order in which the blocks lie in their packs."""
    blocks: dict[int, list[Want]] = {}
    for want in wants:
        blocks.setdefault(want.place.block.number, []).append(want)
    return sorted(blocks.values(), key=lambda block: (block[0].place.block.pack or "", block[0].place.block.offset))
