"""When a file that was read to its end is finished."""

from __future__ import annotations

import msgspec

from waycairn.streams.options import ReadOptions
from waycairn.streams.records import FileState
from waycairn.streams.tails import Tail

_PATIENCE = 12
"""Times `rotate_wait` until a compressed file that ends in the middle is damaged: who compresses may be slow."""


class Ended(msgspec.Struct, frozen=True):
    """Its last line is taken, if it has no end."""

    is_done: bool
    """It will not grow, as far as anybody can tell."""


class Damaged(msgspec.Struct, frozen=True):
    error: str


class Endings:
    """Decides for tails that have nothing more to read now. A file is finished when it was rotated away or is a
    compressed one, and did not change for `rotate_wait`; or for now, where last lines are to be taken at once."""

    def __init__(self, options: ReadOptions) -> None:
        self._wait = options.rotate_wait
        self._takes_rests = options.once and options.final_line == "take"

    def concern(self, tail: Tail) -> bool:
        """Whether the file may be finished at some time at all."""
        return self._takes_rests or _stops_growing(tail)

    def of(self, tail: Tail, idle: float) -> Ended | Damaged | None:
        if tail.damage:
            return Damaged(tail.damage)
        if tail.generation.compression and not tail.is_complete:
            return self._cut_off(tail, idle)
        if not tail.is_open:
            return None
        if _stops_growing(tail):
            return Ended(is_done=True) if idle >= self._wait else None
        return Ended(is_done=False) if self._takes_rests else None

    def _cut_off(self, tail: Tail, idle: float) -> Damaged | None:
        patience = self._wait * (1 if self._takes_rests else _PATIENCE)
        if idle < patience or not tail.generation.size:
            return None
        return Damaged("it ends in the middle of what was compressed, and does not grow")

    def is_waited_for(self, tail: Tail) -> bool:
        """Whether there is something of it to read that will be read by waiting."""
        if tail.generation.compression and not tail.is_complete:
            return self._takes_rests and tail.generation.size > 0
        return tail.has_rest and self.concern(tail)


def _stops_growing(tail: Tail) -> bool:
    return tail.generation.state is FileState.ROTATED or bool(tail.generation.compression)
