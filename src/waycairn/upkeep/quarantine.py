"""Damaged chunks, set apart: no save finds them again, so that the same content is written anew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice

from waycairn.chunks.referring import runs_in
from waycairn.errors import Damaged, StoreFull, StoreReadOnly, WriteFailed
from waycairn.model.records import ChunkPlace, Stored
from waycairn.store import StoreCore
from waycairn.world.crashpoints import crashpoint

_AT_ONCE = 512
CANNOT_BE_WRITTEN = (StoreReadOnly, StoreFull, WriteFailed)
"""What keeps a mark from being made, and nobody from being told of the damage."""


def quarantine(core: StoreCore, stored: Stored) -> int:
    """Read back what a state needs, which is known to be damaged somewhere, and mark what is; how many chunks."""
    try:
        runs = runs_in(stored.manifest)
    except Damaged:
        return 0  # its manifest is what is damaged: nobody knows what it needs
    numbers = {number for first, count in runs for number in range(first, first + count)}
    bad = {place.number: why for done in core.examine(placed(core, numbers)) for place, why in done.bad}
    mark(core, bad)
    return len(bad)


def placed(core: StoreCore, numbers: Iterable[int]) -> Iterator[Sequence[ChunkPlace]]:
    """Where these chunks lie, some at a time, in the order of their numbers; without those that the index has lost."""
    ordered = iter(sorted(numbers))
    while some := list(islice(ordered, _AT_ONCE)):
        places = core.catalog.locate_chunks(some)
        yield [places[number] for number in some if number in places]


def mark(core: StoreCore, damage: Mapping[int, str]) -> None:
    """Durably; what this process remembers of them is forgotten. A store that cannot be written stays as it is: the damage
    is told all the same."""
    ordered = iter(sorted(damage.items()))
    while some := dict(islice(ordered, _AT_ONCE)):
        with suppress(*CANNOT_BE_WRITTEN):
            core.catalog.mark_chunks(some, core.clock.now())
        crashpoint("quarantine.marked")
        core.forget_chunks()
