"""One thing that a killed and resumed job left otherwise than an undisturbed one, and what it looks like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "invariant",
    "late",
    "ending",
    "repeated",
    "lost",
    "damaged",
    "missing",
    "order",
    "changed",
    "extra",
    "ledger",
]
"""What tells more about the mistake comes first."""


@dataclass(frozen=True, slots=True)
class Difference:
    where: str
    """A file, `store`, `exit code`..."""
    what: str
    kind: Kind

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


_HINTS: dict[Kind, str] = {
    "repeated": "something is there twice: an append or an insert that is repeated after a crash. Write it through "
    "run.output(..., append=True), which is cut back to its last cut, or by key, so that the second time changes nothing",
    "lost": "something is missing: what was remembered as done was not done yet. Do the work first and remember it in "
    "the same cut: inside the item or step, or in run.state beside it",
    "order": "the same things in another order: the result depends on what ran in which order. Sort, or use "
    'order="input"; if the order means nothing, say --unordered',
    "changed": "the same place holds another value: something that was only in memory (a counter, a random generator, a "
    "cache) began anew. Keep it in run.state, or derive it from the item",
    "damaged": "a file is cut off: it was written in place and taken for finished, or its end was taken for done. Use "
    "run.output, or write beside it, flush and rename; remember what is done after the work",
    "extra": "a file was left over by the run that died. Make it in a temporary directory, or remove it at the start",
    "missing": "a file was never written again: something took it for done",
    "ending": "the resumed job ends in another way than an undisturbed one: read what it said",
    "ledger": "the store remembers something else than after an undisturbed run",
    "invariant": "a promise of waycairn is broken. This is a bug of ours: please report it with the line above",
    "late": "the job did not leave in time. A stop is taken at the next cut: make items shorter, or raise --grace",
}


def hint(kind: Kind) -> str:
    """What such a difference usually comes from, and what to do."""
    return _HINTS[kind]
