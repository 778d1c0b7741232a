"""From an encoded state to chunks that are durable, or ready to ride in the catalog's transaction."""

from __future__ import annotations

from typing import Any

from waycairn.chunks.bases import Bases
from waycairn.chunks.compressing import Compression, check_compression
from waycairn.chunks.cutting import PieceHeads
from waycairn.chunks.hashing import Keys
from waycairn.chunks.known import FreshNumbers, KnownChunks
from waycairn.chunks.save import Save, save_whole
from waycairn.chunks.source import ChunkSource
from waycairn.chunks.tuning import Tuning
from waycairn.errors import WriteFailed
from waycairn.model.encoded import Encoded, Streamed
from waycairn.model.records import NewData, Stored, StoreInfo
from waycairn.ports import Blobs, ChunkRows

_HEADS = 4096


class ChunkWriter:
    """Stores encoded states. Thread-safe: several threads may write at once; two that write the same new chunk at
    the same time store it twice, which does no harm. Not usable in a forked child."""

    def __init__(self, index: ChunkRows, blobs: Blobs, info: StoreInfo, **tuning: Any) -> None:
        """`tuning`: fields of `Tuning`."""
        self._index = index
        self._blobs = blobs
        self._info = info
        self._source = ChunkSource(index, blobs, info)
        self._keys = Keys(info.secret)
        self._tuning = Tuning(**tuning)
        self._known = KnownChunks(index, self._tuning.remembered)
        self._heads = PieceHeads(_HEADS)
        self._numbers = FreshNumbers(index, self._tuning.numbers)

    def write(
        self,
        encoded: Encoded | Streamed,
        *,
        compress: str | None = None,
        base: Stored | None = None,
        anew: bool = False,
    ) -> tuple[Stored, NewData | None]:
        """Chunk, hash, deduplicate, compress, and make packs durable, if any. `anew` leaves deduplication out, and
        differences to what the store has: then no sweep can take away what the save leans on.

        Both results belong into one catalog transaction (no data: the manifest holds all of a small state); until
        that is committed nothing refers to what was written. They hold no reference to the user's memory, which must not change before this returned.
        `compress`: "planes" splits new chunks of buffers into byte planes, "delta" also stores them as the difference to
        the chunk at the same place of `base`, an earlier state; both where it saves 15 %.
        Raises StoreFull, StoreReadOnly, WriteFailed.
        """
        check_compression(compress)
        whole = None
        if isinstance(encoded, Encoded) and len(encoded.document) < self._tuning.literal_document:
            whole = encoded.document
            if not encoded.buffers:
                return save_whole(whole, self._keys), None
        try:
            return self._save(compress, None if anew else base, anew).write(encoded, whole=whole)
        except WriteFailed:
            # A flush that failed is never asked again: the kernel may have dropped the pages and say yes (fsyncgate).
            # The bytes are still in memory: once more, to a new file.
            return self._save(compress, None if anew else base, anew).write(encoded, whole=whole)

    def _save(self, compress: str | None, base: Stored | None, anew: bool) -> Save:
        return Save(
            known=self._known,
            numbers=self._numbers,
            heads=self._heads,
            blobs=self._blobs,
            keys=self._keys,
            info=self._info,
            tuning=self._tuning,
            anew=anew,
            compression=None if compress is None else self._compression(compress, base),
        )

    def _compression(self, compress: str, base: Stored | None) -> Compression:
        if compress != "delta" or base is None:
            return Compression()
        return Compression(Bases(base, self._index, self._source, self._tuning.chain).find)

    def committed(self, data: NewData) -> None:
        """The transaction was acknowledged: later saves may refer to its chunks without asking the index."""
        if data.sweep_epoch is not None:
            # Without an epoch a sweep may lie between commit and now; the next save then finds them in the index.
            self._known.remember({chunk.id: chunk.number for chunk in data.chunks}, data.sweep_epoch)

    def forget(self) -> None:
        """Drop all remembered numbers: a commit failed, or a sweep came between."""
        self._known.forget()
