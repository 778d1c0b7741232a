"""How much of a store one verification reads, and which part of it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from waycairn.model.damage import PackRow
from waycairn.model.ids import PackId

Level = Literal["quick", "structure", "data"]
"""quick: rows agree, and packs are there and long enough. structure: also headers, footers and root hashes. data: also every
block is read, decompressed and hashed."""

_FIXED = re.compile(r"(\d+)/(\d+)")
_SHARE = re.compile(r"/(\d+)")
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*%")


@dataclass(frozen=True, slots=True)
class Part:
    """A share of the data."""

    share: Fraction
    fixed: int | None = None
    """Which of the parts it is, from 0: the same packs each time. None: those that were verified longest ago, so that
    everything is read in 1 / share runs, whenever they happen to come."""

    @classmethod
    def parse(cls, text: str) -> Part:
        """From `all`, `2/7` (the second of seven fixed parts), `/7` or `5%` (what was verified longest ago). Raises
        ValueError."""
        words = text.strip()
        if words == "all":
            return ALL
        if (found := _FIXED.fullmatch(words)) and 1 <= int(found[1]) <= int(found[2]):
            return cls(Fraction(1, int(found[2])), int(found[1]) - 1)
        if (found := _SHARE.fullmatch(words)) and int(found[1]) >= 1:
            return cls(Fraction(1, int(found[1])))
        if (found := _PERCENT.fullmatch(words)) and 0 < (share := Fraction(found[1]) / 100) <= 1:
            return cls(share)
        raise ValueError(
            f"{text!r} is no part of a store: all, 2/7 (the second of seven), /7 or 5% (what was verified longest ago)"
        )

    @property
    def parts(self) -> int:
        """How many runs read everything."""
        return math.ceil(1 / self.share)

    def packs(self, rows: Sequence[PackRow]) -> frozenset[PackId]:
        """Those that are read now."""
        if self.fixed is not None:
            return frozenset(row.id for row in rows if _lot(row.id) % self.parts == self.fixed)
        return frozenset(_until(sorted(rows, key=_age), sum(row.size for row in rows) * self.share))

    def has_inline(self, block: int, turn: int) -> bool:
        """Whether a block in the catalog is read now; `turn` counts the runs, where no fixed part is asked for."""
        return block % self.parts == (turn % self.parts if self.fixed is None else self.fixed)


ALL = Part(Fraction(1), 0)


def _lot(pack: PackId) -> int:
    """Packs have random names."""
    return int(pack[:12], 16)


def _age(row: PackRow) -> tuple[float, PackId]:
    return row.verified or 0.0, row.id


def _until(rows: Iterable[PackRow], most: Fraction) -> Iterable[PackId]:
    size = 0
    for row in rows:
        if size >= most:
            return
        size += row.size
        yield row.id
