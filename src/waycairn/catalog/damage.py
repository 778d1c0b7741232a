"""The chunk index as a whole, marks of damage, and repair."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cache

from waycairn.catalog.chunk_index import ADD_BLOCK, ADD_CHUNK, LOCK_EPOCH, hold_epoch, places_of
from waycairn.catalog.columns import decode_text, encode_text
from waycairn.catalog.database import Row, Session, in_batches
from waycairn.catalog.filters import any_values, one_of
from waycairn.catalog.parts import Part
from waycairn.catalog.rows import CHUNK_COLUMNS, chunks_of, values_of_block, values_of_chunk
from waycairn.catalog.shapes import reads
from waycairn.catalog.sql import BigInteger, ClauseElement, Double, Integer, bindparam, delete, insert, select, update
from waycairn.catalog.statement import Build, Statement
from waycairn.catalog.tables import blocks, chunks, counters, damaged, packs
from waycairn.model.damage import IndexPage, Mending, PackRow
from waycairn.model.ids import PackId

_SIZES = (1, 16, 256)

INDEX_AFTER = Statement(
    "index_after",
    "A bounded number of chunks, in the order in which they were numbered.",
    select(*CHUNK_COLUMNS)
    .where(chunks.c.number > bindparam("after"))
    .order_by(chunks.c.number)
    .limit(bindparam("limit", type_=Integer)),
)
PACK_ROWS = Statement(
    "pack_rows", "All packs.", select(packs.c.id, packs.c.size, packs.c.digest, packs.c.verified).order_by(packs.c.id)
)
NOTE_VERIFIED = Statement(
    "note_verified",
    "A pack was read back, and all of it is intact.",
    update(packs).where(packs.c.id == bindparam("pack")).values(verified=bindparam("at", type_=Double)),
)
MARKED = Statement("marked", "Chunks that are marked, and how.", select(damaged.c.number, damaged.c.damage))
ADD_MARK = Statement(
    "add_mark",
    "Mark a chunk.",
    insert(damaged).values(number=bindparam("chunk"), at=bindparam("at"), damage=bindparam("damage")),
)


def _pack(build: Build) -> ClauseElement:
    size, digest = bindparam("bytes", type_=BigInteger), bindparam("digest", type_=packs.c.digest.type)
    row = build.insert(packs).values(id=bindparam("pack"), size=size, digest=digest, created=bindparam("at"))
    row = row.on_conflict_do_update(
        index_elements=["id"], set_={"size": row.excluded.size, "digest": row.excluded.digest}
    )
    element: ClauseElement = row
    return element


PUT_PACK = Statement("put_pack", "What a pack is, by what it says itself.", _pack)


def _behind(build: Build) -> ClauseElement:
    least = bindparam("least", type_=BigInteger)
    row = build.insert(counters).values(name="chunk", value=least)
    row = row.on_conflict_do_update(index_elements=["name"], set_={"value": least}, where=counters.c.value < least)
    element: ClauseElement = row
    return element


AT_LEAST = Statement("at_least", "No chunk number below this is given out any more.", _behind)


@cache
def _drop_marks(count: int) -> Statement:
    return Statement(
        "drop_marks", "These are not damaged any more.", delete(damaged).where(one_of(damaged.c.number, count))
    )


@cache
def _drop_rows(what: str, count: int) -> Statement:
    table = {"blocks": blocks, "chunks": chunks}[what]
    return Statement(
        f"drop_{what}", "Rows that others take the place of.", delete(table).where(one_of(table.c.number, count))
    )


class DamagePart(Part):
    """Implements `ports.DamageRows`."""

    def index_after(self, after: int, limit: int) -> IndexPage | None:
        return self._database.read(lambda session: _page(session, after, limit))

    def pack_rows(self) -> Sequence[PackRow]:
        return [_pack_of(row) for row in self._database.read(lambda session: session.all(PACK_ROWS))]

    def note_verified(self, packs: Sequence[PackId], at: float) -> None:
        if packs:
            rows = [{"pack": pack, "at": at} for pack in packs]
            self._database.write(lambda session: session.many(NOTE_VERIFIED, rows))

    def mark_chunks(self, damage: Mapping[int, str], at: float) -> int:
        return self._database.write(lambda session: _mark(session, damage, at)) if damage else 0

    def release_chunks(self, numbers: Sequence[int]) -> None:
        self._database.write(lambda session: _release(session, numbers))

    def marked_chunks(self) -> Mapping[int, str]:
        return dict(map(_mark_of, self._database.read(lambda session: session.all(MARKED))))

    def mend(self, mending: Mending, epoch: int) -> None:
        now = self._clock.now()
        self._database.write(lambda session: _mend(session, mending, epoch, now))

    def copy_aside(self, label: str) -> str:
        return self._database.copy_aside(label)


def _page(session: Session, after: int, limit: int) -> IndexPage | None:
    rows = chunks_of(session.all(INDEX_AFTER, {"after": after, "limit": limit}))
    if not rows:
        return None
    places = places_of(session, rows)
    homeless = [row[0] for row in rows if row[0] not in places]
    return IndexPage(list(places.values()), homeless, rows[-1][0])


@reads((packs.c.id, packs.c.size, packs.c.digest, packs.c.verified))
def _pack_of(row: Row) -> PackRow:
    return PackRow(PackId(row[0]), row[1], bytes(row[2]), row[3])


@reads((damaged.c.number, damaged.c.damage))
def _mark_of(row: Row) -> tuple[int, str]:
    return row[0], decode_text(row[1])


def _mark(session: Session, damage: Mapping[int, str], at: float) -> int:
    if not _unmarked(session, damage):
        return 0  # as a rule, where damage is known: the epoch stays
    # Under the lock of the epoch: two that mark the same come one after the other, and no save commits in between.
    session.one(LOCK_EPOCH)
    new = _unmarked(session, damage)
    session.many(ADD_MARK, [{"chunk": number, "at": at, "damage": encode_text(damage[number])} for number in new])
    return len(new)


def _unmarked(session: Session, numbers: Collection[int]) -> list[int]:
    return sorted(set(numbers) - {number for number, _ in map(_mark_of, session.all(MARKED))})


def _release(session: Session, numbers: Sequence[int]) -> None:
    for batch in in_batches(numbers, _SIZES):
        session.change(_drop_marks(len(batch)), any_values(batch))


def _mend(session: Session, mending: Mending, epoch: int, now: float) -> None:
    # 1. Nothing was swept since it was looked at.
    hold_epoch(session, epoch)
    # 2. Rows take the place of those that are there under their names.
    for pack in mending.packs:
        session.change(PUT_PACK, {"pack": pack.id, "bytes": pack.size, "digest": pack.digest, "at": now})
    _replace(session, "blocks", [block.number for block in mending.blocks])
    session.many(ADD_BLOCK, map(values_of_block, mending.blocks))
    _replace(session, "chunks", [chunk.number for chunk in mending.chunks])
    session.many(ADD_CHUNK, map(values_of_chunk, mending.chunks))
    # 3. What is whole again may be found again, and no number comes twice.
    _release(session, mending.released)
    if mending.behind:
        session.change(AT_LEAST, {"least": mending.behind})


def _replace(session: Session, what: str, numbers: Sequence[int]) -> None:
    for batch in in_batches(numbers, _SIZES):
        session.change(_drop_rows(what, len(batch)), any_values(batch))
