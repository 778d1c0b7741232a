"""Many chunks removed at once, in an order in which each page of the catalog is changed once.

Chunks lie in SQLite's table by their numbers and in its index by their ids, which are hashes: those of one save are spread
over the whole index. Removed by number, every chunk of a large store brings another page of the index from the disk, and
pages go to the log and come back again and again. So as many as the cache has room for are removed by number, and among
these in the order of their ids: the pages of the table stay in the cache, and those of the index come one after the other.

1 M chunks, 99 % of them dead: a sweep wrote 4.3 GB by number, and 0.8 GB so. On PostgreSQL a removal does not touch the
index, and the order is that of the numbers.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache

from waycairn.catalog.database import Session, in_batches
from waycairn.catalog.filters import any_values, one_of
from waycairn.catalog.sql import bindparam, delete, func, select, text
from waycairn.catalog.statement import Statement
from waycairn.catalog.tables import chunks
from waycairn.model.sweeping import Awaited

FEW = 2_000
"""Chunks whose order does not matter: each changes a page of its own of the index."""
_SIZES = (1, 16, 256)
_HEAD, _SHIFT = 2, 47
"""Bytes of an id that say where it lies in the index, and bits of a number: together they fit into 64 bits."""

DROP_CHUNKS = Statement(
    "drop_chunks",
    "Remove chunks with consecutive numbers, all of them seen before: numbers are never given out again.",
    delete(chunks).where(chunks.c.number.between(bindparam("first"), bindparam("last"))),
)
WIDE_CACHE = Statement(
    "wide_cache",
    "Room for the pages of the table that a mass of chunks lies in (KiB).",
    text("PRAGMA cache_size = -20000"),
)
USUAL_CACHE = Statement(
    "usual_cache",
    "As every connection has it, see `sqlite`.",
    text("PRAGMA cache_size = -8000"),
)


@cache
def _heads(count: int) -> Statement:
    return Statement(
        "heads_of_chunks",
        "How the ids of these chunks begin.",
        select(func.substr(chunks.c.id, 1, _HEAD), chunks.c.number).where(one_of(chunks.c.number, count)),
    )


@cache
def _drop_some(count: int) -> Statement:
    return Statement("drop_some_chunks", "Remove these chunks.", delete(chunks).where(one_of(chunks.c.number, count)))


def drop_chunks(session: Session, numbers: Sequence[int], is_awaited: Callable[[], bool]) -> None:
    """Remove these chunks; their numbers are in order. Of many it is asked now and then whether others wait to write; then
    Awaited is raised, and the transaction is to be taken back."""
    if len(numbers) <= FEW or not session.address.startswith("sqlite"):
        session.many(DROP_CHUNKS, ({"first": first, "last": last} for first, last in _consecutive(numbers)))
        return
    session.run(WIDE_CACHE)
    try:
        for batch in in_batches(_by_id(session, numbers, is_awaited), _SIZES):
            _ask(is_awaited)
            session.change(_drop_some(len(batch)), any_values(batch))
    finally:
        session.run(USUAL_CACHE)


def _by_id(session: Session, numbers: Sequence[int], is_awaited: Callable[[], bool]) -> array[int]:
    """The same in the order of the index, nearly: 8 bytes a chunk."""
    found = array("q")
    for batch in in_batches(numbers, _SIZES):
        _ask(is_awaited)
        rows = session.all(_heads(len(batch)), any_values(batch))
        found.extend((int.from_bytes(head, "big") << _SHIFT) | number for head, number in rows)
    return array("q", (key & ((1 << _SHIFT) - 1) for key in sorted(found)))


def _ask(is_awaited: Callable[[], bool]) -> None:
    if is_awaited():
        raise Awaited


def _consecutive(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """First and last of each range without gaps, of numbers in order."""
    first = last = -2
    for number in numbers:
        if number != last + 1:
            if first >= 0:
                yield first, last
            first = number
        last = number
    if first >= 0:
        yield first, last
