"""Roots of many manifests, checked against one look at the chunk index: nothing is asked and nothing is read for each."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence

from waycairn.chunks.hashing import Keys
from waycairn.chunks.manifest import Manifest, Run, decode, root_of
from waycairn.errors import Damaged
from waycairn.model.records import ChunkPlace, Stored, StoreInfo

_ID = 32


class IndexTable:
    """Ids and lengths of chunks by number: 48 bytes each. Numbers are added in their order."""

    def __init__(self) -> None:
        self._numbers = array("q")
        self._lengths = array("q")
        self._ids = bytearray()

    def add(self, places: Sequence[ChunkPlace]) -> None:
        self._numbers.extend(place.number for place in places)
        self._lengths.extend(place.length for place in places)
        for place in places:
            self._ids += place.id

    def __len__(self) -> int:
        return len(self._numbers)

    def find(self, run: Run) -> tuple[bytes, array[int]] | None:
        """The ids of a run of chunks, joined, and their lengths; None if one of them is not there."""
        at = bisect_left(self._numbers, run.first)
        end = at + run.count
        # In order and without one twice: if the last is where it must be, so are all between.
        if end > len(self) or self._numbers[at] != run.first or self._numbers[end - 1] != run.first + run.count - 1:
            return None
        return bytes(self._ids[at * _ID : end * _ID]), self._lengths[at:end]


class Roots:
    """Tells of stored states whether manifest and index are what was committed."""

    def __init__(self, table: IndexTable, info: StoreInfo) -> None:
        self._table = table
        self._key = Keys(info.secret).root

    def runs_of(self, stored: Stored) -> list[Run]:
        """The chunks that the state needs. Raises Damaged if the manifest or a row of one of the chunks is not what was
        committed, or is missing."""
        manifest = decode(stored.manifest)
        if manifest.document_length + sum(manifest.sizes) != stored.raw_bytes:
            raise Damaged("its manifest is of another state than its row says")
        runs = list(_runs(manifest))
        ids: list[bytes] = []
        lengths = array("q")
        for run in runs:
            found = self._table.find(run)
            if found is None:
                raise Damaged(f"chunks from number {run.first} are missing from the chunk index", chunk=run.first)
            ids.append(found[0])
            lengths += found[1]
        if root_of(manifest, ids, lengths, self._key) != stored.root:
            raise Damaged("its manifest or the chunk index does not match its root hash")
        return runs


def _runs(manifest: Manifest) -> Iterator[Run]:
    if manifest.whole is None:
        yield from (segment for segment in manifest.segments if isinstance(segment, Run))
        yield from manifest.buffer_runs
