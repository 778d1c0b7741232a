"""What became of rows since they were exported: two streams of lines in one order, compared by the primary key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import zip_longest

from waycairn.backups.rows_format import Row
from waycairn.backups.rows_shape import Shape
from waycairn.errors import SourceChanged

_MOST = 100_000
"""Rows that wait for the other stream to bring the same key. Beyond that, only numbers are told."""
_TOLD = 5


@dataclass
class Differences:
    appeared: list[str] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    """Primary keys."""

    def __str__(self) -> str:
        kinds = {"appeared": self.appeared, "vanished": self.vanished, "changed": self.changed}
        return ", ".join(f"{len(keys):,} {kind} ({_first(keys)})" for kind, keys in kinds.items() if keys)


def differences(
    old: Iterable[bytes], new: Iterable[bytes], keys_of: Callable[[bytes], list[Row]]
) -> Differences | None:
    """Of blocks of whole lines. None: too many to say which."""
    found = Differences()
    was: dict[Row, int] = {}
    now: dict[Row, int] = {}
    for pair in zip_longest(_printed(old, keys_of), _printed(new, keys_of)):
        for one, mine, others in zip(pair, (was, now), (now, was), strict=True):
            if one is None:
                continue
            key, print_ = one
            other = others.pop(key, None)
            if other is None:
                mine[key] = print_
            elif other != print_:
                found.changed.append(_words(key))
        if len(was) > _MOST or len(now) > _MOST:
            return None
    found.vanished = [_words(key) for key in was]
    found.appeared = [_words(key) for key in now]
    return found


def _printed(stream: Iterable[bytes], keys_of: Callable[[bytes], list[Row]]) -> Iterator[tuple[Row, int]]:
    for lines in stream:
        yield from zip(keys_of(lines), map(hash, lines.splitlines()), strict=True)


def changed(shape: Shape, how: str) -> SourceChanged:
    return SourceChanged(
        f"rows of {shape.table} changed since they were exported: {how}. Nothing was deleted. Make a new backup, and delete "
        "with that.",
        table=str(shape.table),
    )


def _words(key: Row) -> str:
    return ",".join(part.decode() for part in key)


def _first(keys: list[str]) -> str:
    return ", ".join(keys[:_TOLD]) + (", ..." if len(keys) > _TOLD else "")
