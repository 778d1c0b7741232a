"""Finds the patterns behind the paths of requests: `/blog/tags/<*>` for all that differ there only.

A small relative of Drain (He, Zhu, Zheng, Lyu: "Drain: an online log parsing approach with fixed depth tree", ICWS 2017):
paths of the same length whose parts are mostly equal have one pattern, and what differs becomes a wildcard. It learns as
requests come, so it has a state, and what it finds depends on the order in which they came.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

ANY = "<*>"
LIKE = 0.5
"""Share of its parts that a path must have in common with a pattern."""
NUMBER = re.compile(r"\d+")


@dataclass
class Pattern:
    number: int
    parts: list[str]

    def __str__(self) -> str:
        return "/" + "/".join(self.parts)


@dataclass
class Patterns:
    """Known patterns, by how many parts they have and what the first one is."""

    known: dict[str, list[Pattern]] = field(default_factory=dict)
    count: int = 0

    def of(self, path: str) -> Pattern:
        """The pattern of a path, which may become more general by it, or a new one."""
        parts = [NUMBER.sub("<n>", part) for part in path.partition("?")[0].strip("/").split("/")]
        alike = self.known.setdefault(f"{len(parts)} {parts[0]}", [])
        best = max(alike, key=lambda one: common(one.parts, parts), default=None)
        if best is not None and common(best.parts, parts) >= LIKE:
            best.parts = [mine if mine == other else ANY for mine, other in zip(best.parts, parts, strict=True)]
            return best
        self.count += 1
        alike.append(Pattern(self.count, parts))
        return alike[-1]


def common(pattern: list[str], parts: list[str]) -> float:
    """Share of the parts that are equal."""
    return sum(mine == other for mine, other in zip(pattern, parts, strict=True)) / len(parts)
