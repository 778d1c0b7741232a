"""What differs between two texts, in words that point at the mistake behind it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from waycairn.crashtest.difference import Difference, Kind

_LONGEST = 60


def compare_lines(where: str, old: Sequence[str], new: Sequence[str], *, unordered: bool = False) -> list[Difference]:
    """Old is the undisturbed one. At most one difference: the one that tells most."""
    if unordered:
        old, new = sorted(old), sorted(new)
    if list(old) == list(new):
        return []
    return [_difference(where, old, new)]


def _difference(where: str, old: Sequence[str], new: Sequence[str]) -> Difference:
    what: str
    kind: Kind
    before, after = Counter(old), Counter(new)
    more, fewer = after - before, before - after
    if (zeros := _zeros(new)) > _zeros(old):
        what, kind = f"holds {zeros:,} zero bytes: its content never reached the medium", "damaged"
    elif not more and not fewer:
        what, kind = f"the same {len(old):,} lines in another order{_first(old, new)}", "order"
    elif not fewer:
        what, kind = _repeated(old, new, more, before)
    elif not more:
        what, kind = _lost(old, new, fewer)
    elif _is_cut_off(old, new):
        what, kind = f"ends in the middle of line {len(new)} of {len(old)}", "damaged"
    else:
        what, kind = f"{max(more.total(), fewer.total()):,} of {len(old):,} lines differ{_first(old, new)}", "changed"
    return Difference(where, what, kind)


def _is_cut_off(old: Sequence[str], new: Sequence[str]) -> bool:
    if not 0 < len(new) <= len(old):
        return False
    return list(new[:-1]) == list(old[: len(new) - 1]) and old[len(new) - 1].startswith(new[-1])


def _lost(old: Sequence[str], new: Sequence[str], fewer: Counter[str]) -> tuple[str, Kind]:
    if list(new) == list(old[: len(new)]):
        return f"ends after line {len(new):,} of {len(old):,}", "damaged"
    place = next(number for number, line in enumerate(old, 1) if fewer[line])
    first = f"the first is line {place}: {_short(old[place - 1])}"
    return f"{fewer.total():,} of {len(old):,} lines are missing, {first}", "lost"


def _repeated(old: Sequence[str], new: Sequence[str], more: Counter[str], before: Counter[str]) -> tuple[str, Kind]:
    too_many = f"{more.total():,} lines too many ({len(new):,} instead of {len(old):,})"
    again = [line for line in more if line in before]
    if again:
        return f"{too_many}; there again: {_short(again[0])}", "repeated"
    return f"{too_many}, the first: {_short(next(iter(more)))}", "changed"


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
