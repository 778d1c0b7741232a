"""What was found damaged, and what is put in its place, as plain frozen records."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from waycairn.model.ids import PackId
from waycairn.model.records import ChunkPlace, NewBlock, NewChunk, NewPack


class IndexPage(msgspec.Struct, frozen=True):
    """Some chunks of the index, by number."""

    places: Sequence[ChunkPlace]
    homeless: Sequence[int]
    """Numbers of chunks whose block has no row."""
    last: int
    """The highest number among them: where the next page begins."""


class PackRow(msgspec.Struct, frozen=True):
    """A pack as the catalog knows it."""

    id: PackId
    size: int
    digest: bytes
    verified: float | None
    """When all of it was read back last and found intact."""


class Mending(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of the chunk index that take the place of what is there under the same names, if anything is. All of it in one
    transaction; it can be done again and gives the same."""

    packs: Sequence[NewPack] = ()
    blocks: Sequence[NewBlock] = ()
    chunks: Sequence[NewChunk] = ()
    released: Sequence[int] = ()
    """Chunks that were marked damaged and are not any more."""
    behind: int = 0
    """No number below this one is ever given out again."""
