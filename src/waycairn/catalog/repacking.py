"""What an optimizer asks of the catalog: how full packs are, and the switch of blocks from one pack to another.

A switch is safe beside everything else:

- it locks the sweep epoch first, like a sweep, so that of sweeps and switches one happens after the other, and moves it: a
  mark of before is refused, for it names blocks that are others now (joined ones may hold chunks that it knew nothing of);
- under that lock it looks where the blocks are, and leaves out those that were swept or moved since they were copied;
- a save under way that found chunks again is refused by the epoch and looks again: the chunks are there, whatever pack they
  lie in, and it commits; that of an archive it writes anew (see `chunk_index`);
- whoever has located a chunk and finds its pack gone locates it anew (see `chunks.source`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache, partial

from waycairn.catalog import tables
from waycairn.catalog.chunk_index import ADD_BLOCK, LOCK_EPOCH
from waycairn.catalog.columns import decode_text, encode_text
from waycairn.catalog.database import Row, Session, in_batches
from waycairn.catalog.filters import any_values, one_of
from waycairn.catalog.parts import Part
from waycairn.catalog.rows import values_of_block
from waycairn.catalog.shapes import nonsense_of
from waycairn.catalog.sql import BigInteger, Integer, Table, bindparam, case, func, insert, select, update
from waycairn.catalog.statement import Statement
from waycairn.catalog.sweeping import (
    REFERRING,
    Refers,
    all_bases,
    chunks_after,
    drop_blocks,
    manifests,
    newest_commits,
    rescued,
    with_bases,
)
from waycairn.catalog.tables import blocks, chunks, packs
from waycairn.errors import Damaged, SweptMeanwhile
from waycairn.model.ids import PackId, RunId
from waycairn.model.records import NewBlock, NewPack
from waycairn.model.repacking import LARGE, Copied, Move, Needs, PackFacts, PackOrigin, Switched
from waycairn.model.spans import Spans
from waycairn.model.sweeping import Runs

_SIZES = (1, 16, 256)
_RUNS_AT_ONCE = 64
_MANY = 65536
"""Ranges that are gathered before they are joined."""

_LIVE = (
    select(chunks.c.block, func.sum(chunks.c.length).label("live"), func.count().label("chunks"))
    .group_by(chunks.c.block)
    .subquery("live")
)
_RAW = case((blocks.c.raw_length > 0, blocks.c.raw_length), else_=1)
_USED = (
    select(
        blocks.c.pack,
        func.count().label("blocks"),
        func.sum(blocks.c.stored_length).label("bytes"),
        func.sum(blocks.c.stored_length * func.coalesce(_LIVE.c.live, 0) / _RAW).label("live"),
        func.sum(case((blocks.c.stored_length >= LARGE, 1), else_=0)).label("large"),
        func.sum(func.coalesce(_LIVE.c.chunks, 0)).label("chunks"),
    )
    .select_from(blocks.outerjoin(_LIVE, _LIVE.c.block == blocks.c.number))
    .where(blocks.c.pack.is_not(None))
    .group_by(blocks.c.pack)
    .subquery("used")
)
PACK_FACTS = Statement(
    "pack_facts",
    "Every pack and what is used of it.",
    select(
        *(packs.c.id, packs.c.size, func.coalesce(_USED.c.blocks, 0), func.coalesce(_USED.c.bytes, 0)),
        *(func.coalesce(_USED.c.live, 0), func.coalesce(_USED.c.large, 0), func.coalesce(_USED.c.chunks, 0)),
        *(packs.c.created, packs.c.level, packs.c.place),
    ).select_from(packs.outerjoin(_USED, _USED.c.pack == packs.c.id)),
)
INLINE_BLOCKS = Statement(
    "inline_blocks",
    "A bounded number of the blocks that lie in the catalog.",
    select(blocks.c.number, blocks.c.stored_length)
    .where(blocks.c.pack.is_(None), blocks.c.number > bindparam("after"))
    .order_by(blocks.c.number)
    .limit(bindparam("limit", type_=Integer)),
)
ADD_REPACKED = Statement(
    "add_repacked",
    "A durable pack of blocks that lay elsewhere.",
    insert(packs).values(**{column.name: bindparam(column.name) for column in packs.c}),
)
MOVE_CHUNK = Statement(
    "move_chunk",
    "Where a chunk lies now.",
    update(chunks)
    .where(chunks.c.number == bindparam("of"))
    .values(block=bindparam("block", type_=BigInteger), start=bindparam("start", type_=BigInteger)),
)
PLACE_OF = Statement(
    "place_of", "The archive in which a pack lies.", select(packs.c.place).where(packs.c.id == bindparam("pack"))
)
PLACES = Statement(
    "places", "The archives in which packs lie.", select(packs.c.place).where(packs.c.place.is_not(None)).distinct()
)
NOTE_LEVEL = Statement(
    "note_level",
    "A pack is as well compressed as it can be at this level.",
    update(packs).where(packs.c.id == bindparam("of")).values(level=bindparam("level", type_=Integer)),
)
RUN_NUMS = Statement(
    "run_nums",
    "All runs, and their small numbers.",
    select(tables.runs.c.num, tables.runs.c.id).order_by(tables.runs.c.num),
)


@cache
def _places_of(count: int) -> Statement:
    return Statement(
        "places_of_blocks",
        "Where these blocks lie.",
        select(blocks.c.number, blocks.c.pack, blocks.c.offset).where(one_of(blocks.c.number, count)),
    )


class RepackPart(Part):
    """Implements `ports.RepackRows`."""

    def pack_facts(self) -> Mapping[PackId, PackFacts]:
        rows = self._database.read(lambda session: session.all(PACK_FACTS))
        with nonsense_of(packs.name):
            return {PackId(row[0]): _facts_of(row) for row in rows}

    def chunk_blocks(self, after: int = -1) -> Iterator[tuple[int, int]]:
        while page := self._database.read(partial(chunks_after, after=after)):
            yield from page
            after = page[-1][0]

    def inline_blocks(self, after: int, limit: int) -> Mapping[int, int]:
        values = {"after": after, "limit": limit}
        rows = self._database.read(lambda session: session.all(INLINE_BLOCKS, values))
        with nonsense_of(blocks.name):
            return {int(number): int(length) for number, length in rows}

    def referred_by(
        self,
        refers: Refers,
        skipped: bytes,
        runs: Collection[RunId],
        checkpoints: Collection[tuple[RunId, int]],
    ) -> Needs:
        sequences = self._database.read(newest_commits)  # first: what comes later is looked at by the switch
        nums = [(num, RunId(id_)) for num, id_ in self._database.read(lambda session: session.all(RUN_NUMS))]
        chosen = {(run, sequence) for run, sequence in checkpoints}
        theirs: set[tuple[int, int]] = set()
        others: set[tuple[int, int]] = set()
        for at in range(0, len(nums), _RUNS_AT_ONCE):
            few = dict(nums[at : at + _RUNS_AT_ONCE])
            for table in REFERRING:
                for num, sequence, found in self._database.read(
                    partial(_referred, table=table, nums=few, refers=refers, skipped=skipped)
                ):
                    is_theirs = few[num] in runs or (table is tables.checkpoints and (few[num], sequence) in chosen)
                    (theirs if is_theirs else others).update(found)
            if len(others) > _MANY:
                others = set(Spans(others))
        bases: dict[int, int] = dict(self._database.read(lambda session: session.all(all_bases())))
        return Needs(
            theirs=with_bases(Spans(theirs), bases),
            others=with_bases(Spans(others), bases),
            sequences=sequences,
            refers=refers,
            skipped=skipped,
        )

    def switch(
        self, copied: Copied, moves: Sequence[Move], origin: PackOrigin | None, unless: Needs | None = None
    ) -> Switched:
        return self._database.write(lambda session: _switch(session, copied, moves, origin, unless))

    def place_of(self, pack: PackId) -> str | None:
        row = self._database.read(lambda session: session.one(PLACE_OF, {"pack": pack}))
        return None if row is None or row[0] is None else decode_text(row[0])

    def places(self) -> Sequence[str]:
        rows = self._database.read(lambda session: session.all(PLACES))
        return sorted(decode_text(place) for (place,) in rows)

    def note_level(self, names: Sequence[PackId], level: int) -> None:
        rows = [{"of": name, "level": level} for name in names]
        self._database.write(lambda session: session.many(NOTE_LEVEL, rows))


def _facts_of(row: Row) -> PackFacts:
    _, size, count, stored, live, large, held, created, level, place = row
    return PackFacts(
        size=int(size),
        blocks=int(count),
        stored_bytes=int(stored),
        live_bytes=int(live),
        large=int(large),
        chunks=int(held),
        created=created,
        level=level,
        place=None if place is None else decode_text(place),
    )


def _referred(
    session: Session, table: Table, nums: Mapping[int, RunId], refers: Refers, skipped: bytes
) -> list[tuple[int, int, Runs]]:
    values = {"first": min(nums), "last": max(nums), "skipped": skipped, "length": len(skipped)}
    rows = []
    for num, sequence, manifest, *_ in session.each(manifests(table, since=False), values):
        if num not in nums:
            continue  # what a run needs that was added since is looked at by the switch
        try:
            rows.append((num, sequence, refers(bytes(manifest))))
        except Damaged as error:
            raise Damaged(
                f"the manifest of a row of {table.name} (run {nums[num]}, commit {sequence}) cannot be read, so what it "
                f"needs is not known and nothing may be moved: {error} Nothing was changed. `waycairn verify` names what "
                "is damaged; delete that, then try again.",
                table=table.name,
            ) from error
    return rows


def _switch(
    session: Session, copied: Copied, moves: Sequence[Move], origin: PackOrigin | None, unless: Needs | None
) -> Switched:
    # 1. The lock, see above. New packs must be of this very epoch.
    row = session.one(LOCK_EPOCH)
    if row is None or (origin is not None and row[0] != copied.epoch + 1):
        raise SweptMeanwhile(
            "a sweep ran while blocks were copied. Nothing was moved. Look whether the packs are there."
        )
    # 2. What was swept or moved since it was copied stays as it is.
    now = _lying(session, [one.block.number for move in moves for one in move.was])
    held = [move for move in moves if all(now.get(one.block.number) == _place(one.block) for one in move.was)]
    if unless is not None:
        needed = rescued(session, unless.sequences, newest_commits(session), unless.refers, unless.skipped)
        held = [move for move in held if not any(chunk.number in needed for one in move.was for chunk in one.chunks)]
    # 3. The rows of all others say the new place. A pack without blocks is condemned by that.
    if origin is not None:
        session.many(ADD_REPACKED, [{**_values_of(origin), **_values_of_pack(pack)} for pack in copied.packs])
    _drop(session, [one.block.number for move in held for one in move.was])
    session.many(ADD_BLOCK, (values_of_block(new.block) for move in held for new in move.now))
    session.many(MOVE_CHUNK, (values for move in held for values in _moved_chunks(move)))
    stored = sum(new.block.stored_length for move in held for new in move.now)
    before = sum(one.block.stored_length for move in held for one in move.was)
    return Switched(int(row[0]), sum(len(move.was) for move in held), stored, before - stored)


def _lying(session: Session, numbers: Sequence[int]) -> dict[int, tuple[str | None, int]]:
    return {
        number: (pack, offset)
        for batch in in_batches(numbers, _SIZES)
        for number, pack, offset in session.all(_places_of(len(batch)), any_values(batch))
    }


def _place(block: NewBlock) -> tuple[str | None, int]:
    return block.pack, block.offset


def _drop(session: Session, numbers: Sequence[int]) -> None:
    for batch in in_batches(numbers, _SIZES):
        session.change(drop_blocks(len(batch)), any_values(batch))


def _moved_chunks(move: Move) -> Iterator[dict[str, int]]:
    """Those whose row is another one now. One that was swept since has none, and is not missed."""
    for chunk, block, start in move.chunks():
        if chunk.block.number != block or chunk.start != start:
            yield {"of": chunk.number, "block": block, "start": start}


def _values_of(origin: PackOrigin) -> dict[str, object]:
    return {
        "created": origin.created,
        "level": origin.level,
        "place": None if origin.place is None else encode_text(origin.place),
        "verified": origin.verified,
    }


def _values_of_pack(pack: NewPack) -> dict[str, object]:
    return {"id": pack.id, "size": pack.size, "digest": pack.digest}
