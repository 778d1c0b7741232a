"""Rows of packs and blocks that move."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Protocol

from waycairn.model.ids import PackId, RunId
from waycairn.model.repacking import Copied, Move, Needs, PackFacts, PackOrigin, Switched
from waycairn.model.sweeping import Runs


class RepackRows(Protocol):
    """Packs, and the move of blocks from one to another. Safe beside commits, sweeps and others that do the same."""

    def pack_facts(self) -> Mapping[PackId, PackFacts]:
        """Every pack, also condemned ones."""
        ...

    def chunk_blocks(self, after: int = -1) -> Iterator[tuple[int, int]]:
        """Every chunk behind that number and the block that it lies in, by number, a bounded number at a time."""
        ...

    def inline_blocks(self, after: int, limit: int) -> Mapping[int, int]:
        """The blocks behind that number that lie in the catalog, and the bytes of each; so many at the most."""
        ...

    def referred_by(
        self,
        refers: Callable[[bytes], Runs],
        skipped: bytes,
        runs: Collection[RunId],
        checkpoints: Collection[tuple[RunId, int]],
    ) -> Needs:
        """The chunks that everything in these runs and these checkpoints (run, sequence) needs, and those that all the rest
        needs; with what they are the difference to. Raises Damaged if a manifest cannot be read."""
        ...

    def switch(
        self, copied: Copied, moves: Sequence[Move], origin: PackOrigin | None, unless: Needs | None = None
    ) -> Switched:
        """Some moves of what was copied, in one transaction: rows of blocks and chunks say the new place from then on, and
        the sweep epoch moves. A pack of which no block is left is condemned by that. What was swept or moved since it was
        copied is left out; with `unless` also what commits need that came since then. With `origin` the rows of the new packs are added, too: once, before all other parts.

        Raises SweptMeanwhile, and nothing was changed, if the packs are new and the epoch is not the one before they were
        written: a sweep may have taken them for left behind."""
        ...

    def place_of(self, pack: PackId) -> str | None:
        """The archive in which a pack lies; None: with the others, or not known. Never changes."""
        ...

    def places(self) -> Sequence[str]:
        """All archives that packs lie in."""
        ...

    def note_level(self, names: Sequence[PackId], level: int) -> None:
        """That compressing these again at that level was considered, and why they are as they are."""
        ...
