"""The chunks of an earlier save by their place in its buffers, for those of the next one to be differences to."""

from __future__ import annotations

import logging

from waycairn.chunks.layout import plan_groups
from waycairn.chunks.manifest import decode
from waycairn.chunks.memory import allocate
from waycairn.chunks.pieces import BufferPiece
from waycairn.chunks.sealing import DELTA, Base
from waycairn.chunks.source import ChunkSource, Want
from waycairn.errors import Damaged
from waycairn.model.records import ChunkPlace, Stored
from waycairn.ports import ChunkRows

_log = logging.getLogger(__name__)

_Place = tuple[tuple[tuple[int, int], ...], int]
"""Buffers of a group with their offsets, and which chunk of the group."""


class Bases:
    """What the chunks of one save may be the difference to. Thread-safe; reads and verifies each base when it is asked
    for."""

    def __init__(self, stored: Stored, index: ChunkRows, source: ChunkSource, longest: int) -> None:
        """`longest`: differences in a row at the most, before a chunk is written whole again."""
        self._index = index
        self._source = source
        self._longest = longest
        self._numbers = _places(stored)

    def find(self, piece: BufferPiece) -> Base | None:
        """None where there was no chunk of that length, where its chain is long enough, and where it cannot be read: the
        new chunk is then stored whole."""
        number = self._numbers.get((piece.group.members, piece.at))
        place = None if number is None else self._index.locate_chunks([number]).get(number)
        if place is None or place.length != piece.length or self._is_long(place):
            return None
        if self._index.find_chunks([place.id]).get(place.id) != place.number:
            return None  # in an archive, which may be away
        memory = allocate(place.length)
        try:
            self._source.read([Want(place, memory)])
        except Damaged as error:
            # The save before is damaged, not this one: it loses nothing by being stored whole.
            _log.warning("chunk %d of the save before cannot be read and is no base: %s", place.number, error)
            return None
        return Base(place.number, place.id, memory)

    def _is_long(self, place: ChunkPlace) -> bool:
        for _ in range(self._longest):
            if place.block.codec != DELTA or place.block.base is None:
                return False
            below = self._index.locate_chunks([place.block.base]).get(place.block.base)
            if below is None:
                return True
            place = below
        return True


def _places(stored: Stored) -> dict[_Place, int]:
    try:
        manifest = decode(stored.manifest)
    except Damaged as error:
        _log.warning("the save before cannot be read and is no base: %s", error)
        return {}
    if not manifest.sizes:
        return {}
    numbers = iter(manifest.buffer_numbers())
    groups = plan_groups(manifest.sizes, manifest.own_chunk, manifest.chunk)
    places = [(group.members, at) for group in groups for at in range(len(group.chunks))]
    return dict(zip(places, numbers, strict=False))
