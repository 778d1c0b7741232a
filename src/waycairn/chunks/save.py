"""One save, from pieces to rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from waycairn.chunks.compressing import Compression
from waycairn.chunks.cutting import PieceHeads, plan_pieces
from waycairn.chunks.hashing import Keys
from waycairn.chunks.known import FreshNumbers, KnownChunks
from waycairn.chunks.layout import plan_groups
from waycairn.chunks.manifest import Manifest, Run, Segment, encode, encode_whole, root_of, root_of_whole, runs_of
from waycairn.chunks.pieces import BufferPiece, hash_document, hash_windows
from waycairn.chunks.placing import Placing
from waycairn.chunks.sealing import Member, Sealed, seal_buffer, seal_document
from waycairn.chunks.tuning import MIB, Tuning
from waycairn.model.encoded import Encoded, Streamed
from waycairn.model.ids import ChunkId
from waycairn.model.records import NewChunk, NewData, Stored, StoreInfo
from waycairn.ports import Blobs
from waycairn.world.ahead import map_ahead

_AHEAD = 32
"""Blocks of a document that are compressed while others are cut, hashed and looked up: more than one window holds, so that
the threads have work meanwhile. A block that waits is a view of the document, or a copy of what was lent."""

_ASK_EPOCH = MIB
"""A sweep that came between refuses the commit in any case; a large save asks first, because writing it again costs
more than asking."""


def save_whole(document: bytes, keys: Keys) -> Stored:
    """A document without buffers as the one literal of its manifest: most checkpoints of most jobs, and nothing to
    number, to find again or to pack."""
    manifest = encode_whole(document)
    root = root_of_whole(document, keys.root)
    return Stored(manifest=manifest, root=root, raw_bytes=len(document), new_bytes=len(manifest))


class _NewPiece(NamedTuple):
    """A new chunk: memory[start:end]."""

    number: int
    id: ChunkId
    memory: memoryview
    start: int
    end: int


class Save:
    """Writes one encoded state. Used once, by one thread."""

    def __init__(
        self,
        *,
        known: KnownChunks,
        numbers: FreshNumbers,
        heads: PieceHeads,
        blobs: Blobs,
        keys: Keys,
        info: StoreInfo,
        tuning: Tuning,
        anew: bool = False,
        compression: Compression | None = None,
    ) -> None:
        """`anew`: write every chunk, also those that the store has."""
        self._known = known
        self._anew = anew
        self._numbers = numbers
        self._heads = heads
        self._blobs = blobs
        self._keys = keys
        self._info = info
        self._tuning = tuning
        self._compression = compression
        self._epoch: int | None = None
        self._found_again = False
        self._fresh: dict[ChunkId, int] = {}
        self._new: list[NewChunk] = []
        self._ids: list[ChunkId] = []
        self._lengths: list[int] = []
        self._new_bytes = 0

    def write(self, encoded: Encoded | Streamed, *, whole: bytes | None) -> tuple[Stored, NewData]:
        """`whole`: a document that is one literal of the manifest."""
        self._raw_bytes = encoded.size
        self._placing = Placing(self._blobs, self._info, self._tuning, encoded.size)
        try:
            # 1. New chunks of the document, joined to blocks, then new chunks of buffers, each a block.
            segments: Sequence[Segment] = runs_of(self._write_document(encoded)) if whole is None else [whole]
            sizes = [view.nbytes for view in encoded.buffers]
            buffer_runs = runs_of(self._write_buffers(encoded, sizes))
            # 2. What does not ride inline is made durable.
            packs, blocks = self._placing.finish()
        except BaseException:
            self._placing.abort()
            raise
        # 3. The manifest names all of it.
        manifest = Manifest(
            document_length=encoded.length,
            segments=segments,
            sizes=sizes,
            own_chunk=self._own_chunk(encoded) if sizes else 0,
            chunk=self._tuning.chunk if sizes else 0,
            buffer_runs=[run for run in buffer_runs if isinstance(run, Run)],
        )
        manifest_bytes = encode(manifest)
        stored = Stored(
            manifest=manifest_bytes,
            root=root_of(manifest, self._ids, self._lengths, self._keys.root),
            raw_bytes=encoded.size,
            new_bytes=self._new_bytes + len(manifest_bytes),
        )
        # Packs lean on it, too: from here to the commit a sweep could take them for what a dead save left behind.
        epoch = self._epoch if self._found_again or packs else None
        return stored, NewData(packs=packs, blocks=blocks, chunks=self._new, sweep_epoch=epoch)

    # -- document --------------------------------------------------------------------------------------------

    def _write_document(self, encoded: Encoded | Streamed) -> list[int | bytes]:
        """The number of each chunk and each literal, in order. While one window is looked up, the next are cut and hashed
        and what was new before is compressed."""
        parts: list[int | bytes] = []

        def seal(block: Sequence[_NewPiece]) -> Sealed:
            members = [Member(piece.number, piece.id, piece.end - piece.start) for piece in block]
            return seal_document(members, _joined(block))

        for sealed in map_ahead(seal, _blocks(self._new_pieces(encoded, parts), self._tuning.block), ahead=_AHEAD):
            self._place(sealed)
        return parts

    def _new_pieces(self, encoded: Encoded | Streamed, parts: list[int | bytes]) -> Iterator[_NewPiece]:
        is_lent = isinstance(encoded, Streamed)
        for view, cuts in encoded.sections():
            plans = plan_pieces(view, cuts, self._tuning, self._heads)
            for pieces, ids in hash_document(view, plans, self._keys.seed, self._keys.chunk):
                bounds = [(start, end) for start, end, literal in pieces if not literal]
                numbers, new = self._number(ids, [end - start for start, end in bounds])
                number = iter(numbers)
                parts += [bytes(view[start:end]) if literal else next(number) for start, end, literal in pieces]
                found = [_NewPiece(numbers[at], ids[at], view, *bounds[at]) for at in new]
                yield from _copied(found) if is_lent else found

    # -- buffers ---------------------------------------------------------------------------------------------

    def _write_buffers(self, encoded: Encoded | Streamed, sizes: Sequence[int]) -> list[int]:
        if not encoded.buffers:
            return []
        views = [view.cast("B") if view.nbytes else memoryview(b"") for view in encoded.buffers]
        groups = plan_groups(sizes, self._own_chunk(encoded), self._tuning.chunk)
        numbers: list[int] = []
        for window in hash_windows(groups, views, encoded.widths, self._keys.chunk):
            numbers += self._write_window(window)
        return numbers

    def _own_chunk(self, encoded: Encoded | Streamed) -> int:
        return 1 if encoded.is_cut else self._tuning.own_chunk

    def _write_window(self, window: Sequence[BufferPiece]) -> list[int]:
        numbers, new = self._number([piece.id for piece in window], [piece.length for piece in window])
        pieces = [(Member(numbers[at], window[at].id, window[at].length), window[at]) for at in new]
        for sealed in map(_sealed, pieces) if self._compression is None else map_ahead(self._compression.seal, pieces):
            # A sweep may take the base of a difference like a chunk that was found again.
            self._found_again |= sealed.base is not None
            self._place(sealed)
        return numbers

    # -- both ------------------------------------------------------------------------------------------------

    def _number(self, ids: Sequence[ChunkId], lengths: Sequence[int]) -> tuple[list[int], list[int]]:
        """The number of each chunk, and the positions of those that are new to the store and to this save."""
        if not ids:
            return [], []
        if self._epoch is None:
            self._epoch = self._known.enter(ask=self._raw_bytes >= _ASK_EPOCH)
        self._ids += ids
        self._lengths += lengths
        found = {} if self._anew else self._known.find(ids, self._epoch)
        self._found_again |= bool(found)
        found |= self._fresh
        new = []
        taken: set[ChunkId] = set()
        for at, chunk in enumerate(ids):
            if chunk not in found and chunk not in taken:
                taken.add(chunk)
                new.append(at)
        for at, number in zip(new, self._numbers.take(len(new)), strict=True):
            self._fresh[ids[at]] = found[ids[at]] = number
        return [found[chunk] for chunk in ids], new

    def _place(self, sealed: Sealed) -> None:
        start = 0
        block = sealed.members[0].number
        for member in sealed.members:
            self._new.append(NewChunk(member.number, member.id, block, start, member.length))
            start += member.length
        self._new_bytes += sealed.stored_length
        self._placing.add(sealed)


def _sealed(piece: tuple[Member, BufferPiece]) -> Sealed:
    return seal_buffer(piece[0], piece[1].parts, pays=piece[1].pays)


def _blocks(pieces: Iterable[_NewPiece], most: int) -> Iterator[list[_NewPiece]]:
    block: list[_NewPiece] = []
    size = 0
    for piece in pieces:
        length = piece.end - piece.start
        if block and size + length > most:
            yield block
            block, size = [], 0
        block.append(piece)
        size += length
    if block:
        yield block


def _joined(block: Sequence[_NewPiece]) -> list[memoryview]:
    """Neighbours as one view: where all is new, nothing is copied."""
    views = []
    memory, first, behind = block[0].memory, block[0].start, block[0].start
    for piece in block:
        if piece.start != behind or piece.memory is not memory:
            views.append(memory[first:behind])
            memory, first = piece.memory, piece.start
        behind = piece.end
    return [*views, memory[first:behind]]


def _copied(pieces: Sequence[_NewPiece]) -> Iterator[_NewPiece]:
    """The same in memory of their own, one behind the other."""
    if not pieces:
        return
    memory = memoryview(b"".join(_joined(pieces)))
    end = 0
    for piece in pieces:
        start, end = end, end + piece.end - piece.start
        yield piece._replace(memory=memory, start=start, end=end)
