"""From a manifest back to bytes, verified."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from waycairn.chunks.hashing import Keys
from waycairn.chunks.manifest import Manifest, decode, root_of
from waycairn.chunks.open_state import OpenState
from waycairn.chunks.roots import IndexTable, Roots
from waycairn.chunks.source import ChunkSource, Examined, Want
from waycairn.chunks.streaming import Shape, StateStream
from waycairn.chunks.tuning import MIB
from waycairn.errors import Damaged
from waycairn.model.records import ChunkPlace, Stored, StoreInfo
from waycairn.ports import Blobs, ChunkRows

_VERIFY_AT_ONCE = 64 * MIB
"""Bytes per round of `verify`, so that its memory stays small beside the state's."""


class ChunkReader:
    """Reads what a ChunkWriter stored. Thread-safe. Every method raises Damaged rather than hand out wrong bytes."""

    def __init__(self, index: ChunkRows, blobs: Blobs, info: StoreInfo) -> None:
        self._index = index
        self._source = ChunkSource(index, blobs, info)
        self._root_key = Keys(info.secret).root
        self._info = info

    def open(self, stored: Stored) -> OpenState:
        """Verify the manifest against its root and find where its chunks lie. Reads no chunk yet."""
        manifest, places = self._resolve(stored)
        return OpenState(manifest, Shape.of(manifest).groups(), places, self._source)

    def stream(self, stored: Stored) -> StateStream:
        """To read all of it piece by piece, in little memory."""
        manifest, places = self._resolve(stored)
        return StateStream(manifest, places, self._source)

    def verify(self, stored: Stored) -> None:
        """Read everything that the state needs and compare it with its hashes. Raises Damaged naming chunk, pack,
        offset and what it means."""
        _, places = self._resolve(stored)
        wants: list[Want] = []
        size = 0
        for place in sorted(places.values(), key=_position):
            wants.append(Want(place))
            size += place.length
            if size >= _VERIFY_AT_ONCE:
                self._source.read(wants)
                wants, size = [], 0
        self._source.read(wants)

    def examine(self, pages: Iterable[Sequence[ChunkPlace]]) -> Iterator[Examined]:
        """Read chunks back, each block of a page once, see `ChunkSource.examine`."""
        return self._source.examine(pages)

    def roots(self, table: IndexTable) -> Roots:
        """To tell of many states, without a question for each, whether manifest and index are what was committed."""
        return Roots(table, self._info)

    def _resolve(self, stored: Stored) -> tuple[Manifest, Mapping[int, ChunkPlace]]:
        manifest = decode(stored.manifest)
        if manifest.document_length + sum(manifest.sizes) != stored.raw_bytes:
            raise Damaged(
                "a manifest is damaged: it is of another state than its row says. It is not used. See `waycairn doctor`."
            )
        numbers = [] if manifest.whole is not None else [*manifest.document_numbers(), *manifest.buffer_numbers()]
        places = self._locate(numbers)
        in_order = [places[number] for number in numbers]
        ids, lengths = [place.id for place in in_order], [place.length for place in in_order]
        if root_of(manifest, ids, lengths, self._root_key) != stored.root:
            raise Damaged(
                "a checkpoint is damaged: its manifest or the chunk index does not match its root hash. It is not "
                "used; an older checkpoint may be intact. See `waycairn doctor`."
            )
        return manifest, places

    def _locate(self, numbers: Sequence[int]) -> Mapping[int, ChunkPlace]:
        if not numbers:
            return {}
        unique = list(dict.fromkeys(numbers))
        places = self._index.locate_chunks(unique)
        missing = [number for number in unique if number not in places]
        if missing:
            raise Damaged(
                f"the chunk index has lost {len(missing)} of {len(unique)} chunks of a checkpoint, the first is number "
                f"{missing[0]}. The checkpoint cannot be read; an older one may be intact. See `waycairn doctor`.",
                chunk=missing[0],
            )
        return places


def _position(place: ChunkPlace) -> tuple[str, int, int]:
    return place.block.pack or "", place.block.offset, place.start
