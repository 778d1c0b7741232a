"""What differs between two texts, in words that point at the mistake behind it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from waycairn.crashtest.difference import Difference

_LONGEST = 60


def compare_lines(where: str, old: Sequence[str], new: Sequence[str], *, unordered: bool = False) -> list[Difference]:
    """Old is the undisturbed one. At most one difference: the one that tells most."""
    if unordered:
        old, new = sorted(old), sorted(new)
    if list(old) == list(new):
        return []
    before, after = Counter(old), Counter(new)
    if before == after:
        return [Difference(where, f"the same {len(old):,} lines in another order{_first(old, new)}", "order")]
    if (zeros := _zeros(new)) > _zeros(old):
        return [Difference(where, f"holds {zeros:,} zero bytes: its content never reached the medium", "damaged")]
    more, fewer = after - before, before - after
    if not fewer:
        return [_repeated(where, old, new, more, before)]
    if not more:
        return [_lost(where, old, new, fewer)]
    if (
        0 < len(new) <= len(old)
        and list(new[:-1]) == list(old[: len(new) - 1])
        and old[len(new) - 1].startswith(new[-1])
    ):
        return [Difference(where, f"ends in the middle of line {len(new)} of {len(old)}", "damaged")]
    changed = f"{max(more.total(), fewer.total()):,} of {len(old):,} lines differ{_first(old, new)}"
    return [Difference(where, changed, "changed")]


def _lost(where: str, old: Sequence[str], new: Sequence[str], fewer: Counter[str]) -> Difference:
    if list(new) == list(old[: len(new)]):
        return Difference(where, f"ends after line {len(new):,} of {len(old):,}", "damaged")
    place = next(number for number, line in enumerate(old, 1) if fewer[line])
    what = f"{fewer.total():,} of {len(old):,} lines are missing, the first is line {place}: {_short(old[place - 1])}"
    return Difference(where, what, "lost")


def _repeated(
    where: str, old: Sequence[str], new: Sequence[str], more: Counter[str], before: Counter[str]
) -> Difference:
    again = [line for line in more if line in before]
    if again:
        what = (
            f"{more.total():,} lines too many ({len(new):,} instead of {len(old):,}); there again: {_short(again[0])}"
        )
        return Difference(where, what, "repeated")
    first = next(iter(more))
    what = f"{more.total():,} lines too many ({len(new):,} instead of {len(old):,}), the first: {_short(first)}"
    return Difference(where, what, "changed")


def _zeros(lines: Sequence[str]) -> int:
    return sum(line.count("\0") for line in lines)


def _first(old: Sequence[str], new: Sequence[str]) -> str:
    for number, (was, became) in enumerate(zip(old, new, strict=False), 1):
        if was != became:
            return f"; line {number} is {_short(became)}, not {_short(was)}"
    return f"; there are {len(new):,} lines, not {len(old):,}"


def _short(line: str) -> str:
    text = repr(line)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…'"
