"""Live blocks copied into new packs: verified while they are copied, durable when they are handed out.

How they are sealed anew is one function (`Seal`): as they are, compressed better, or under another key. Nothing that is
there is touched, and no row is changed: that is for one transaction afterwards (`catalog.repacking`), so whoever dies in
between leaves a pack that no row names, which a sweep removes in its time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from waycairn.chunks.hashing import chunk_id
from waycairn.chunks.memory import allocate
from waycairn.chunks.pack_keys import PackKeys
from waycairn.chunks.pack_reader import list_pack
from waycairn.chunks.placing import Placing
from waycairn.chunks.sealing import DELTA, RAW, Base, Member, Sealed, seal_document, unseal
from waycairn.chunks.segments import context_of_block, opened_length, unseal_segments
from waycairn.chunks.source import ChunkSource, Want
from waycairn.chunks.tuning import KIB, MIB, Tuning
from waycairn.errors import Damaged
from waycairn.model.ids import PackId
from waycairn.model.records import ChunkPlace, NewBlock, StoreInfo
from waycairn.model.repacking import Copied, Move, NewPlace, StoredBlock
from waycairn.ports import Blobs, Buffer, ChunkRows
from waycairn.world.crashpoints import crashpoint

PACK = 256 * MIB
"""A new pack is closed above this: what one transaction switches, and what is copied in vain if it is refused."""
_MOST_CHUNKS = 50_000
"""Or with so many chunks: about 25 MB of rows to keep in memory."""
_READ = 4 * MIB
_GAP = 64 * KIB
_LOCATED = 4096
"""Chunks that are looked up at once."""
_INTO_PACKS = -1
"""Nothing rides inline here."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A block that was read and verified."""

    stored: StoredBlock
    frame: Buffer
    """Its bytes as they are stored."""
    raw: memoryview
    """Those of its chunks that live, one behind the other."""
    base: Base | None

    @property
    def members(self) -> list[Member]:
        return [Member(chunk.number, chunk.id, chunk.length) for chunk in self.stored.chunks]


Sealing = tuple[Sequence[Opened], Sequence[Sealed]]
"""Blocks, and what becomes of them: of all of their chunks together."""
Seal = Callable[[Iterable[Opened]], Iterator[Sealing]]
"""Makes new blocks of opened ones, in their order: one of one, one of several, several of one."""
Unreadable = Callable[[NewBlock, Damaged], None]


def as_they_are(blocks: Iterable[Opened]) -> Iterator[Sealing]:
    """The same bytes, but that chunks which are gone are left out."""
    for opened in blocks:
        yield (opened,), (sealed_as_it_is(opened),)


def split(is_apart: Callable[[int], bool]) -> Seal:
    """Chunks of these numbers in blocks of their own, apart from the others that they lay with."""

    def seal(blocks: Iterable[Opened]) -> Iterator[Sealing]:
        for opened in blocks:
            parts = [part for apart in (True, False) if (part := _part(opened, is_apart, apart=apart)) is not None]
            yield (opened,), parts if len(parts) > 1 else (sealed_as_it_is(opened),)

    return seal


def _part(opened: Opened, is_apart: Callable[[int], bool], *, apart: bool) -> Sealed | None:
    members: list[Member] = []
    pieces: list[Buffer] = []
    start = 0
    for member in opened.members:
        if is_apart(member.number) is apart:
            members.append(member)
            pieces.append(opened.raw[start : start + member.length])
        start += member.length
    return seal_document(members, pieces) if members else None


def sealed_as_it_is(opened: Opened) -> Sealed:
    block, members = opened.stored.block, opened.members
    if opened.stored.is_whole:
        return Sealed(members, block.codec, (opened.frame,), block.raw_length, len(opened.frame), opened.base)
    if block.codec == RAW:
        return Sealed(members, RAW, (opened.raw,), len(opened.raw), len(opened.raw))
    # Blocks of several chunks are of documents: the others have one chunk, and are whole or gone.
    return seal_document(members, [opened.raw])


class Repacking:
    """Copies blocks of one store. Used by one thread."""

    def __init__(
        self,
        index: ChunkRows,
        blobs: Blobs,
        info: StoreInfo,
        *,
        target: Blobs | None = None,
        seal: Seal = as_they_are,
        pack: int = PACK,
        unreadable: Unreadable | None = None,
        into: StoreInfo | None = None,
    ) -> None:
        """`target` is where new packs go, with the others by default; `into` the store that they belong to, by default this
        one. Blocks that cannot be read stay where they are, and `unreadable` is told; without it Damaged is raised."""
        self._index = index
        self._blobs = blobs
        self._info = info
        self._target = target or blobs
        self._seal = seal
        self._pack = pack
        self._unreadable = unreadable
        self._into = into or info
        self._source = ChunkSource(index, blobs, info)
        self._keys = PackKeys(blobs, info.id, info.vault) if info.vault else None

    def live_blocks(self, pack: PackId) -> list[StoredBlock]:
        """The blocks that lie in a pack, in their order: its own list says which might, the catalog which do. Raises
        Damaged."""
        try:
            numbers = [chunk.number for chunk in list_pack(self._blobs, self._info, pack).chunks]
        except Damaged:
            if pack in self._index.pack_ends():
                raise
            return []  # swept meanwhile
        found: defaultdict[int, list[ChunkPlace]] = defaultdict(list)
        for at in range(0, len(numbers), _LOCATED):
            for place in self._index.locate_chunks(numbers[at : at + _LOCATED]).values():
                if place.block.pack == pack:
                    found[place.block.number].append(place)
        return sorted(map(as_stored, found.values()), key=lambda one: one.block.offset)

    def copy(self, blocks: Iterable[StoredBlock]) -> Iterator[Copied]:
        """New packs, each durable when it is handed out. Raises StoreFull, WriteFailed; then nothing is left of the pack
        that was being written."""
        sealed = self._seal(self.open(blocks))
        while (first := next(sealed, None)) is not None:
            yield self._fill(first, sealed)

    def _fill(self, first: Sealing, more: Iterator[Sealing]) -> Copied:
        """One pack, with as many blocks as fit."""
        # Before the first byte: a sweep that takes the pack for what a dead save left has moved the epoch by then.
        epoch = self._index.sweep_epoch()
        placing = Placing(self._target, self._into, Tuning(inline=_INTO_PACKS, pack=1 << 62), self._pack)
        done: list[tuple[list[StoredBlock], list[list[int]]]] = []
        size = chunks = 0
        next_: Sealing | None = first
        try:
            while next_ is not None:
                opened, sealed = next_
                for one in sealed:
                    placing.add(one)
                    size += one.stored_length
                    chunks += len(one.members)
                numbers = [[member.number for member in one.members] for one in sealed]
                done.append(([one.stored for one in opened], numbers))
                full = size >= self._pack or chunks >= _MOST_CHUNKS
                next_ = None if full else next(more, None)
            crashpoint("optimize.copied")
            packs, blocks = placing.finish()
        except BaseException:
            placing.abort()
            raise
        crashpoint("optimize.durable")
        new = iter(blocks)
        moves = [Move(was, [NewPlace(next(new), of) for of in numbers]) for was, numbers in done]
        return Copied(epoch=epoch, packs=packs, moves=moves)

    # -- reading -------------------------------------------------------------------------------------------------

    def open(self, blocks: Iterable[StoredBlock]) -> Iterator[Opened]:
        """Read and verified, one after the other."""
        for together in _neighbours(blocks):
            frames = self._read(together)
            for stored in together:
                try:
                    frame = next(frames, None)
                    yield self._opened(stored, self._alone(stored) if frame is None else frame)
                except Damaged as error:
                    self._refuse(stored, error)

    def _read(self, together: Sequence[StoredBlock]) -> Iterator[Buffer]:
        """What these blocks store, by one read; nothing if they must be read one by one to see which is damaged."""
        first, last = together[0].block, together[-1].block
        if first.pack is None:
            assert first.inline is not None
            return iter([first.inline])
        target = allocate(last.offset + last.stored_length - first.offset)
        try:
            self._blobs.read_into(first.pack, first.offset, target)
        except Damaged:
            return iter(())
        starts = (one.block.offset - first.offset for one in together)
        return (target[start : start + one.block.stored_length] for start, one in zip(starts, together, strict=True))

    def _alone(self, stored: StoredBlock) -> Buffer:
        block = stored.block
        assert block.pack is not None
        target = allocate(block.stored_length)
        self._blobs.read_into(block.pack, block.offset, target)
        return target

    def _unsealed(self, block: NewBlock, frame: Buffer) -> Buffer:
        """As it was before it was encrypted."""
        if self._keys is None or block.pack is None:
            return frame
        length = opened_length(block.stored_length)
        if length < 0:
            raise Damaged(f"block {block.number} of pack {block.pack} has no length that an encrypted one can have.")
        context = context_of_block(block.codec, block.raw_length, block.stored_length, block.base)
        target = allocate(length)
        unseal_segments(self._keys.of(block.pack), memoryview(frame), block.offset, context, target)
        return target

    def _opened(self, stored: StoredBlock, frame: Buffer) -> Opened:
        block = stored.block
        frame = self._unsealed(block, frame)
        base = self._base(stored) if block.codec == DELTA else None
        where = f"block {block.number} of pack {block.pack} at byte {block.offset}"
        raw = memoryview(unseal(block.codec, frame, block.raw_length, where, base.data if base else None))
        parts = [raw[chunk.start : chunk.start + chunk.length] for chunk in stored.chunks]
        for chunk, part in zip(stored.chunks, parts, strict=True):
            if len(part) != chunk.length or chunk_id((part,), self._info.secret) != chunk.id:
                raise Damaged(
                    f"chunk {chunk.number} in {where} is damaged: its bytes do not match their hash. It was left where "
                    "it is. See `waycairn verify`.",
                    chunk=chunk.number,
                    pack=block.pack,
                    offset=block.offset,
                )
        return Opened(stored, frame, raw if stored.is_whole else memoryview(b"".join(parts)), base)

    def _base(self, stored: StoredBlock) -> Base:
        number = stored.block.base
        place = None if number is None else self._index.locate_chunks([number]).get(number)
        if place is None:
            raise Damaged(f"block {stored.block.number} is the difference to chunk {number}, which is gone.")
        memory = allocate(place.length)
        self._source.read([Want(place, memory)])
        return Base(place.number, place.id, memory)

    def _refuse(self, stored: StoredBlock, error: Damaged) -> None:
        """Told of it, unless it was moved or swept since it was listed: then it is nothing of ours any more."""
        now = self._index.locate_chunks([chunk.number for chunk in stored.chunks])
        if any(now.get(chunk.number) != chunk for chunk in stored.chunks):
            return
        if self._unreadable is None:
            raise error
        self._unreadable(stored.block, error)


def as_stored(places: Iterable[ChunkPlace]) -> StoredBlock:
    """The chunks of one block."""
    in_order = sorted(places, key=lambda place: (place.start, place.number))
    return StoredBlock(in_order[0].block, in_order)


def _neighbours(blocks: Iterable[StoredBlock]) -> Iterator[list[StoredBlock]]:
    """Blocks that lie near each other in one pack, so that one read brings them."""
    together: list[StoredBlock] = []
    for stored in blocks:
        if together and not _is_near(together, stored.block):
            yield together
            together = []
        together.append(stored)
    if together:
        yield together


def _is_near(together: Sequence[StoredBlock], block: NewBlock) -> bool:
    first, last = together[0].block, together[-1].block
    if block.pack is None or block.pack != first.pack:
        return False
    gap = block.offset - last.offset - last.stored_length
    return 0 <= gap <= _GAP and block.offset + block.stored_length - first.offset <= _READ
