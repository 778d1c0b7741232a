"""What one store holds, as another one will: the same bytes under the same numbers, named by the secret of the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from msgspec import structs

from waycairn.chunks.hashing import Keys, chunk_id
from waycairn.chunks.manifest import decode, root_of
from waycairn.chunks.reader import ChunkReader
from waycairn.chunks.repacking import Opened, Repacking, Sealing, sealed_as_it_is
from waycairn.chunks.sealing import Base, Member
from waycairn.model.ids import ChunkId
from waycairn.model.records import NewChunk, NewData, Stored, StoreInfo
from waycairn.model.repacking import Copied, StoredBlock
from waycairn.ports import Blobs, ChunkRows


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two stores."""

    index: ChunkRows
    blobs: Blobs
    info: StoreInfo


class Rekeying:
    """From one store to another. Used by one thread."""

    def __init__(self, source: Side, target: Side) -> None:
        self._reader = ChunkReader(source.index, source.blobs, source.info)
        self._into = target.index
        self._secret = target.info.secret
        self._root_key = Keys(target.info.secret).root
        self._fresh: dict[int, ChunkId] = {}
        self._copying = Repacking(
            source.index, source.blobs, source.info, target=target.blobs, seal=self._seal, into=target.info
        )

    def copy(self, blocks: Iterable[StoredBlock]) -> Iterator[NewData]:
        """Packs that are durable, with the rows that name what is in them. Every chunk was read and verified. Raises
        Damaged, StoreFull, WriteFailed."""
        for copied in self._copying.copy(blocks):
            yield self._data(copied)

    def root(self, stored: Stored) -> bytes:
        """Of a state whose chunks are in the other store already. Raises Damaged if it is not what was saved."""
        self._reader.open(stored)  # the root of before is compared with what the manifest resolves to
        manifest = decode(stored.manifest)
        numbers = [] if manifest.whole is not None else [*manifest.document_numbers(), *manifest.buffer_numbers()]
        places = self._into.locate_chunks(list(dict.fromkeys(numbers))) if numbers else {}
        in_order = [places[number] for number in numbers]
        return root_of(manifest, [one.id for one in in_order], [one.length for one in in_order], self._root_key)

    def _seal(self, blocks: Iterable[Opened]) -> Iterator[Sealing]:
        for opened in blocks:
            sealed = sealed_as_it_is(opened)
            base = None if sealed.base is None else self._base(sealed.base)
            yield (opened,), (structs.replace(sealed, members=self._members(opened), base=base),)

    def _members(self, opened: Opened) -> list[Member]:
        members, start = [], 0
        for chunk in opened.stored.chunks:
            id_ = chunk_id((opened.raw[start : start + chunk.length],), self._secret)
            start += chunk.length
            self._fresh[chunk.number] = id_
            members.append(Member(chunk.number, id_, chunk.length))
        return members

    def _base(self, base: Base) -> Base:
        return Base(base.number, chunk_id((base.data,), self._secret), base.data)

    def _data(self, copied: Copied) -> NewData:
        rows = [
            NewChunk(chunk.number, self._fresh.pop(chunk.number), block, start, chunk.length)
            for move in copied.moves
            for chunk, block, start in move.chunks()
        ]
        return NewData(packs=copied.packs, blocks=[new.block for move in copied.moves for new in move.now], chunks=rows)


def state_in(row: Mapping[str, object]) -> Stored | None:
    """The state that a row of a catalog names, if it does."""
    manifest = row.get("manifest")
    if not isinstance(manifest, bytes):
        return None
    root, raw, new = row["root"], row["raw_bytes"], row["new_bytes"]
    assert isinstance(root, bytes)
    return Stored(manifest=manifest, root=root, raw_bytes=int(str(raw)), new_bytes=int(str(new)))
