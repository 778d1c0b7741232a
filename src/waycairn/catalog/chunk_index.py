"""The chunk index: content ids to numbers, numbers to places."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from waycairn.catalog.database import Row, Session, in_batches
from waycairn.catalog.filters import any_values, list_values, listed, one_of
from waycairn.catalog.parts import Part
from waycairn.catalog.rows import CHUNK_COLUMNS, block_of, chunk_id, chunks_of, values_of_block, values_of_chunk
from waycairn.catalog.shapes import damaged_row, nonsense_of, reads
from waycairn.catalog.sql import (
    BigInteger,
    Column,
    ColumnElement,
    bindparam,
    exists,
    func,
    insert,
    literal,
    select,
    update,
)
from waycairn.catalog.statement import Statement
from waycairn.catalog.tables import blocks, chunks, counters, damaged, packs
from waycairn.errors import SweptMeanwhile
from waycairn.model.ids import ChunkId, PackId
from waycairn.model.records import ChunkPlace, NewBlock, NewData

_SIZES = (1, 16, 256)
_AT_ONCE = 4096
"""Chunks or blocks that are looked up by one statement."""
_MOVED = 4
"""Looks at chunks that are moved meanwhile. A damaged index must not be looked at for ever."""

ADD_PACK = Statement(
    "add_pack",
    "A durable pack.",
    insert(packs).values(**{name: bindparam(name) for name in ("id", "size", "digest", "created")}),
)
ADD_BLOCK = Statement(
    "add_block", "A block in a pack, or inline.", insert(blocks).values(**{c.name: bindparam(c.name) for c in blocks.c})
)
ADD_CHUNK = Statement(
    "add_chunk", "A chunk and its place.", insert(chunks).values(**{c.name: bindparam(c.name) for c in chunks.c})
)
RESERVE = Statement(
    "reserve",
    "Move a counter; the value before the move begins our range.",
    update(counters)
    .where(counters.c.name == bindparam("counter"))
    .values(value=counters.c.value + bindparam("count", type_=BigInteger))
    .returning(counters.c.value),
)
COUNTER = Statement(
    "counter", "Read a counter.", select(counters.c.value).where(counters.c.name == bindparam("counter"))
)
HOLD_COUNTER = Statement(
    "hold_counter",
    "Read a counter that must not move before this transaction ends.",
    select(counters.c.value).where(counters.c.name == bindparam("counter")).with_for_update(read=True),
)
LOCK_EPOCH = Statement(
    "lock_epoch",
    "Move the sweep epoch: whoever found chunks again under another one is refused from here on.",
    update(counters).where(counters.c.name == "sweep").values(value=counters.c.value + 1).returning(counters.c.value),
)
PACKS = Statement("packs", "All packs.", select(packs.c.id, packs.c.size))
PACK_ENDS = Statement(
    "pack_ends",
    "How far each pack is used.",
    select(blocks.c.pack, func.max(blocks.c.offset + blocks.c.stored_length))
    .where(blocks.c.pack.is_not(None))
    .group_by(blocks.c.pack),
)
CHUNKS_WITHOUT_BLOCK = Statement(
    "chunks_without_block",
    "Chunks that cannot be read, whatever the packs hold.",
    select(func.count())
    .select_from(chunks.outerjoin(blocks, chunks.c.block == blocks.c.number))
    .where(blocks.c.number.is_(None)),
)
_bases = chunks.alias("bases")
BLOCKS_WITHOUT_BASE = Statement(
    "blocks_without_base",
    "Blocks that are the difference to a chunk which is gone.",
    select(func.count())
    .select_from(blocks.outerjoin(_bases, blocks.c.base == _bases.c.number))
    .where(blocks.c.base.is_not(None), _bases.c.number.is_(None)),
)
BLOCKS_NOWHERE = Statement(
    "blocks_nowhere",
    "Blocks without bytes.",
    select(func.count()).select_from(blocks).where(blocks.c.pack.is_(None), blocks.c.inline.is_(None)),
)

_HOMELESS = (CHUNKS_WITHOUT_BLOCK, BLOCKS_NOWHERE, BLOCKS_WITHOUT_BASE)


IS_ARCHIVED = exists(
    select(literal(1))
    .select_from(blocks.join(packs, packs.c.id == blocks.c.pack))
    .where(blocks.c.number == chunks.c.block, packs.c.place.is_not(None))
).correlate(chunks)
"""An archive may be away: what is saved must not lean on it."""


def is_sound(number: Column[Any]) -> ColumnElement[bool]:
    """True unless the chunk is marked damaged."""
    return number.not_in(select(damaged.c.number))


@cache
def _find_chunks(count: int) -> Statement:
    return Statement(
        "find_chunks",
        "Which of these ids are stored, and under which (lowest) number that is not marked damaged; but in archives.",
        select(chunks.c.id, func.min(chunks.c.number))
        .where(one_of(chunks.c.id, count), is_sound(chunks.c.number), ~IS_ARCHIVED)
        .group_by(chunks.c.id),
    )


CHUNKS_LISTED = Statement(
    "chunks_listed",
    "Places of chunks in their blocks.",
    lambda build: select(*CHUNK_COLUMNS).where(listed(build, chunks.c.number)),
)
BLOCKS_LISTED = Statement(
    "blocks_listed", "Places of blocks.", lambda build: select(*blocks.c).where(listed(build, blocks.c.number))
)


class ChunkPart(Part):
    """Implements `ports.ChunkRows`."""

    def reserve_numbers(self, count: int) -> int:
        values = {"counter": "chunk", "count": count}
        return _counted(self._database.write(lambda session: session.one(RESERVE, values))) - count

    def find_chunks(self, ids: Sequence[ChunkId]) -> Mapping[ChunkId, int]:
        return self._database.read(lambda session: _find(session, ids))

    def locate_chunks(self, numbers: Sequence[int]) -> Mapping[int, ChunkPlace]:
        return self._database.read(lambda session: _locate(session, numbers))

    def sweep_epoch(self) -> int:
        return _counted(self._database.read(lambda session: session.one(COUNTER, {"counter": "sweep"})))

    def packs(self) -> Mapping[PackId, int]:
        rows = self._database.read(lambda session: session.all(PACKS))
        return dict(map(_pack_of, rows))

    def pack_ends(self) -> Mapping[PackId, int]:
        rows = self._database.read(lambda session: session.all(PACK_ENDS))
        with nonsense_of(blocks.name):
            return {PackId(pack): int(end) for pack, end in rows}

    def count_homeless(self) -> int:
        return self._database.read(lambda session: sum(_count(session, statement) for statement in _HOMELESS))


@reads((packs.c.id, packs.c.size))
def _pack_of(row: Row) -> tuple[PackId, int]:
    return PackId(row[0]), row[1]


@reads((chunks.c.id, chunks.c.number))
def _found_of(row: Row) -> tuple[ChunkId, int]:
    return chunk_id(row[0]), row[1]


def _counted(row: Row | None) -> int:
    """Of a counter. It is there from the first day of a store, so nothing else stands for it."""
    if row is None or not isinstance(row[0], int):
        raise damaged_row("counters", "a number is missing")
    return row[0]


def add_data(session: Session, data: NewData, now: float) -> None:
    """The rows of new chunks; refused if a sweep came between finding chunks again and this transaction."""
    if data.sweep_epoch is not None:
        hold_epoch(session, data.sweep_epoch)
    for pack in data.packs:
        session.change(ADD_PACK, {"id": pack.id, "size": pack.size, "digest": pack.digest, "created": now})
    if len(data.blocks) == len(data.chunks) == 1:
        # The small save, most of all: executemany opens and closes a list of one at twice the price.
        session.change(ADD_BLOCK, values_of_block(data.blocks[0]))
        session.change(ADD_CHUNK, values_of_chunk(data.chunks[0]))
        return
    if data.blocks:
        session.many(ADD_BLOCK, map(values_of_block, data.blocks))
    if data.chunks:
        session.many(ADD_CHUNK, map(values_of_chunk, data.chunks))


def hold_epoch(session: Session, epoch: int) -> None:
    """No sweep removes chunks before this transaction ends; refused if one came since that epoch."""
    row = session.one(HOLD_COUNTER, {"counter": "sweep"})
    if row is None or row[0] != epoch:
        raise SweptMeanwhile(
            "a sweep ran while this save was under way, and chunks that it found again may be gone. "
            "Nothing was committed. Save again: the chunks are then written anew.",
        )


def _count(session: Session, statement: Statement) -> int:
    row = session.one(statement)
    assert row is not None
    return int(row[0])


def _find(session: Session, ids: Sequence[ChunkId]) -> dict[ChunkId, int]:
    found: dict[ChunkId, int] = {}
    for batch in in_batches(ids, _SIZES):
        found.update(map(_found_of, session.all(_find_chunks(len(batch)), any_values(batch))))
    return found


def _locate(session: Session, numbers: Sequence[int]) -> dict[int, ChunkPlace]:
    """Chunks and blocks are two looks; a chunk that was moved to another block between them is looked for again."""
    found, lost = _located(session, numbers)
    for _ in range(_MOVED):
        if not lost:
            break
        again, lost = _located(session, lost)
        found |= again
    return found


def _located(session: Session, numbers: Sequence[int]) -> tuple[dict[int, ChunkPlace], list[int]]:
    """Also those whose block is not there."""
    rows = [row for some in _some(numbers) for row in chunks_of(session.all(CHUNKS_LISTED, list_values(some)))]
    found = places_of(session, rows)
    return found, [row[0] for row in rows if row[0] not in found]


def places_of(session: Session, rows: Sequence[tuple[int, ChunkId, int, int, int]]) -> dict[int, ChunkPlace]:
    """Number to place of these rows of chunks; without those whose block has no row."""
    places = _blocks(session, sorted({row[4] for row in rows}))
    return {
        number: ChunkPlace(number, id_, start, length, places[block])
        for number, id_, start, length, block in rows
        if block in places
    }


def _blocks(session: Session, numbers: Sequence[int]) -> dict[int, NewBlock]:
    return {row[0]: block_of(row) for some in _some(numbers) for row in session.all(BLOCKS_LISTED, list_values(some))}


def _some(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    return (numbers[start : start + _AT_ONCE] for start in range(0, len(numbers), _AT_ONCE))
