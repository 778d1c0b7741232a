"""Dead letters of one stream, as its ledger has them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from waycairn.streams import dead_letters
from waycairn.streams.dead_letters import KeptLetter, LetterFilter
from waycairn.streams.records import DeadKind
from waycairn.streams.sealing import with_vault
from waycairn.upkeep.sink_database import looking
from waycairn.upkeep.streams import KnownStream

_PAGE = 500


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which of them."""

    kinds: Sequence[str] = ()
    path: str | None = None
    with_settled: bool = False
    limit: int | None = None
    after: int = 0
    """Only those behind the one with this id."""


def letters(stream: KnownStream, wanted: Wanted) -> Iterator[KeptLetter]:
    """In the order in which they were met. Raises errors of the store."""
    which = LetterFilter(
        stream=stream.name,
        kinds=msgspec.convert(wanted.kinds, tuple[DeadKind, ...]),
        path=None if wanted.path is None else os.fsencode(Path(wanted.path).absolute()),
        is_settled=None if wanted.with_settled else False,
    )
    left = wanted.limit
    after = wanted.after
    while left is None or left > 0:
        size = _PAGE if left is None else min(left, _PAGE)
        page = _page(stream, which, after, size)
        yield from page
        if len(page) < size:
            return
        after = page[-1].id
        left = None if left is None else left - len(page)


def _page(stream: KnownStream, which: LetterFilter, after: int, size: int) -> list[KeptLetter]:
    """Each page in a transaction of its own: a reader that waits (for `less`) must not hold the database."""
    with looking(stream.address) as connection:
        if connection is None:
            return []
        return dead_letters.listed(with_vault(connection, stream.vault), which, after=after, limit=size)
