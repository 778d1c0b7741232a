"""A job that finds damage and repairs it, and is killed on the way.

Damage comes as it does: rows of the chunk index are gone, the counter of the numbers is back at its beginning, and a byte of
a pack is another one. Whoever looks at the store puts the byte right, as one puts back a file, and repairs: then everything
must be there.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import waycairn as wc
from crash.common import STORE, Acks, Told, Workload, blob, check_pages, open_store, save_pages
from waycairn.catalog.sql import delete, select, update
from waycairn.catalog.statement import Statement
from waycairn.catalog.tables import blocks, chunks, counters, packs
from waycairn.chunks.referring import runs_in
from waycairn.model.records import ChunkPlace

LAST = 4
_IN_PACKS = chunks.c.block.in_(select(blocks.c.number).where(blocks.c.pack.is_not(None)))
_LOSE_CHUNKS = Statement(
    "lose_chunks",
    "Rows of odd numbers are gone. What lies in the catalog itself is nowhere else.",
    delete(chunks).where(chunks.c.number % 2 == 1, _IN_PACKS),
)
_LOSE_PACKS = Statement("lose_packs", "Nobody knows a pack.", delete(packs))
_COUNT_AGAIN = Statement(
    "count_again", "Numbers begin anew.", update(counters).where(counters.c.name == "chunk").values(value=1)
)


def page(number: int) -> dict[str, Any]:
    return {"page": number, "data": blob(100 + number)}


def mend(store: wc.Store, told: Told) -> None:
    put_right(store)  # what one left that was killed or met an error: a wrong byte, numbers that begin anew
    save_pages(store, told, "kept", page, LAST)
    while not store.latest("mended"):
        _lose_rows(store)
        repaired = store.repair()
        assert repaired.lost == 0, repaired
        told("rows 1")
        _set_byte(store, 2, wrong=True)
        # When it was mended before and the job died, that byte is not read any more.
        broken = {broken.name for broken in store.verify().broken}
        assert broken <= {_record(store, 2).id}, broken
        # From another process's point of view: what this one remembers hides what the catalog has forgotten.
        with closing(open_store()) as other:
            # The very same value: of another one around the same bytes, the store's key would decide where it is cut.
            again = other.save("again", page(2))
            assert other.load(again) == page(2), "a damaged chunk was found again"
        told("again 1")
        repaired = store.repair()
        assert repaired.lost == 0, repaired
        assert store.load(_record(store, 2).id) == page(2), "the damaged page was not mended"
        _set_byte(store, 2, wrong=False)
        store.save("mended", True)
        told("mended 1")


def put_right(store: wc.Store) -> None:
    """What is done before anybody looks: twice, because only after the first repair it is known where the byte lies."""
    store.repair()
    _set_byte(store, 2, wrong=False)
    store.repair()


def check(store: wc.Store, acks: Acks) -> None:
    check_pages(store, acks, "kept", page)
    found = [store.load(record.id) for record in store.checkpoints() if record.run == _run(store, "again")]
    assert all(one == page(2) for one in found)
    assert len(found) >= acks.get("again", 0)


def _lose_rows(store: wc.Store) -> None:
    for statement in (_LOSE_CHUNKS, _LOSE_PACKS, _COUNT_AGAIN):
        store.core.catalog._database.write(lambda session, statement=statement: session.run(statement))


def _run(store: wc.Store, name: str) -> str | None:
    run = store.core.catalog.find_run(None, name, "value")
    return None if run is None else run.id


def _record(store: wc.Store, number: int) -> Any:
    return next(one for one in store.checkpoints(_run(store, "kept")) if one.sequence == number)


def _set_byte(store: wc.Store, number: int, *, wrong: bool) -> None:
    """One in the middle of the pack that a page was written to."""
    run = _run(store, "kept")
    if run is None or store.core.catalog.get_checkpoint(run, number) is None:
        return
    place = _first_place(store, number)
    if place is None or place.block.pack is None:
        return
    pack = Path(STORE, "packs", place.block.pack[:2], place.block.pack)
    at = 75_000
    right = (
        blob(100 + number)[at] if (start := pack.read_bytes().find(blob(100 + number)[at + 1 : at + 65])) >= 0 else None
    )
    if right is not None:
        with pack.open("rb+") as file:
            file.seek(start - 1)
            file.write(bytes([right ^ wrong]))


def _first_place(store: wc.Store, number: int) -> ChunkPlace | None:
    numbers = [
        at
        for first, count in runs_in(_record(store, number).checkpoint.stored.manifest)
        for at in range(first, first + count)
    ]
    places = store.core.catalog.locate_chunks(numbers)
    wanted = [places[at] for at in numbers if at in places]
    return wanted[0] if wanted else None


WORKLOADS = {"repair": Workload(mend, check, first=put_right)}
