"""The packs that a sweep removes: those of which no row needs anything any more, and those that no row ever named.

A pack is never taken for dead because rows that named it were lost: as long as the index has lost some, none goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache

from waycairn.catalog.chunk_index import LOCK_EPOCH
from waycairn.catalog.database import Session, in_batches
from waycairn.catalog.filters import any_values, one_of
from waycairn.catalog.parts import Part
from waycairn.catalog.shapes import nonsense_of
from waycairn.catalog.sql import bindparam, delete, func, insert, select
from waycairn.catalog.statement import Statement
from waycairn.catalog.tables import blocks, packs
from waycairn.errors import Damaged
from waycairn.model.ids import PackId
from waycairn.model.sweeping import DeadBlock, PackFill

_SIZES = (1, 16, 256)
_COUNTED = (
    select(blocks.c.pack, func.count().label("blocks"), func.sum(blocks.c.stored_length).label("bytes"))
    .where(blocks.c.pack.is_not(None))
    .group_by(blocks.c.pack)
    .subquery("counted")
)
PACK_FILL = Statement(
    "pack_fill",
    "How many blocks lie in each pack, and their bytes. In one statement: a pack whose blocks were read before it would "
    "look as if it had none.",
    select(
        packs.c.id, packs.c.size, func.coalesce(_COUNTED.c.blocks, 0), func.coalesce(_COUNTED.c.bytes, 0)
    ).select_from(packs.outerjoin(_COUNTED, _COUNTED.c.pack == packs.c.id)),
)
ADD_CONDEMNED = Statement(
    "add_condemned",
    "A pack that is on disk and that no commit named: none can name it any more.",
    insert(packs).values(id=bindparam("pack"), size=bindparam("bytes"), digest=b""),
)
FORGET_PACK = Statement(
    "forget_pack",
    "The file of a condemned pack is gone.",
    delete(packs).where(packs.c.id == bindparam("pack")),
)


@cache
def _still_used(count: int) -> Statement:
    return Statement(
        "still_used",
        "One of these packs that a block says it lies in.",
        select(blocks.c.pack).where(one_of(blocks.c.pack, count)).limit(1),
    )


@cache
def _packs_of(count: int) -> Statement:
    return Statement(
        "packs_of",
        "The packs in which these blocks lie, and the bytes of each.",
        select(blocks.c.pack, blocks.c.stored_length).where(one_of(blocks.c.number, count), blocks.c.pack.is_not(None)),
    )


@cache
def _which_packs(count: int) -> Statement:
    return Statement(
        "which_packs", "Which of these packs have a row.", select(packs.c.id).where(one_of(packs.c.id, count))
    )


class PackPart(Part):
    """Implements the part of `ports.SweepRows` that is about packs."""

    def condemn_unknown(self, found: Mapping[PackId, int]) -> Sequence[PackId]:
        return self._database.write(lambda session: _condemn_unknown(session, found))

    def pack_fill(self) -> Mapping[PackId, PackFill]:
        rows = self._database.read(lambda session: session.all(PACK_FILL))
        with nonsense_of(packs.name):
            return {PackId(name): PackFill(*map(int, facts)) for name, *facts in rows}

    def packs_of(self, part: Iterable[DeadBlock]) -> Mapping[PackId, PackFill]:
        return self._database.read(lambda session: _packs_of_blocks(session, [block.number for block in part]))

    def forget_packs(self, names: Sequence[PackId]) -> None:
        if names:
            rows = [{"pack": name} for name in names]
            self._database.write(lambda session: session.many(FORGET_PACK, rows))

    def known_packs(self, names: Sequence[PackId]) -> set[PackId]:
        return self._database.read(lambda session: _known_packs(session, names))


def _condemn_unknown(session: Session, found: Mapping[PackId, int]) -> list[PackId]:
    """Asked for exactly these names, under the lock: a commit that brings one of them comes before, or is refused."""
    names = list(found)
    session.one(LOCK_EPOCH)
    known = _known_packs(session, names)
    unknown = [name for name in names if name not in known]
    for batch in in_batches(unknown, _SIZES):
        if (row := session.one(_still_used(len(batch)), any_values(batch))) is not None:
            raise Damaged(
                f"the catalog has lost the row of pack {row[0]}, which blocks lie in: it is not left behind. No pack was "
                "removed. `waycairn repair` makes it known again.",
                table=packs.name,
                pack=row[0],
            )
    for name in unknown:
        session.change(ADD_CONDEMNED, {"pack": name, "bytes": found[name]})
    return unknown


def _known_packs(session: Session, names: Sequence[PackId]) -> set[PackId]:
    return {
        PackId(name)
        for batch in in_batches(names, _SIZES)
        for (name,) in session.all(_which_packs(len(batch)), any_values(batch))
    }


def _packs_of_blocks(session: Session, numbers: Sequence[int]) -> dict[PackId, PackFill]:
    found: dict[PackId, PackFill] = {}
    for batch in in_batches(numbers, _SIZES):
        for pack, length in session.all(_packs_of(len(batch)), any_values(batch)):
            before = found.get(PackId(pack), PackFill(0, 0, 0))
            found[PackId(pack)] = PackFill(0, before.blocks + 1, before.stored_bytes + int(length))
    return found
