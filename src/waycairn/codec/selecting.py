"""A part of a state by its path, before anything beside it is built or fetched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from waycairn.codec import codes
from waycairn.codec.contract import Unpacking
from waycairn.codec.marks import Mark

# Where the elements of a marked array begin, and whether they are keys and values in turn.
_SEQUENCES = {codes.TUPLE: 1, codes.DEQUE: 2}
_PAIRS = {codes.MAP: 1, codes.ORDERED_DICT: 2, codes.COUNTER: 2, codes.DEFAULT_DICT: 2}


class NoSuchPart(Exception):
    """Says how far the path led and what is there."""


def select_each(walk: Unpacking, raw: Any, paths: Sequence[str]) -> dict[str, Any]:
    """The nodes at several paths, by path."""
    return {path: select(walk, raw, path) for path in paths}


def select(walk: Unpacking, raw: Any, path: str) -> Any:
    """The node at `path`, not made into its value yet. Raises NoSuchPart, and the usual errors on damaged data."""
    done: list[str] = []
    rest = path
    while rest:
        children = {str(key): holder[at] for key, holder, at in slots(walk, raw)}
        found = _longest(children, rest)
        if found is None:
            beneath = {name[len(rest) + 1 :]: child for name, child in children.items() if name.startswith(rest + ".")}
            if beneath:
                return beneath
            raise NoSuchPart(_missing(done, rest, children))
        done.append(found)
        raw, rest = children[found], rest[len(found) + 1 :]
    return raw


def _longest(children: Iterable[str], rest: str) -> str | None:
    """Keys may hold dots themselves: the longest key that the rest of the path begins with."""
    fitting = [name for name in children if rest == name or rest.startswith(name + ".")]
    return max(fitting, key=len, default=None)


def slots(walk: Unpacking, raw: Any) -> Iterator[tuple[Any, Any, Any]]:
    """The parts of a node: the key of each, and where it stands, `holder[at]`."""
    if type(raw) is dict:
        for key in list(raw):
            yield key, raw, key
    elif type(raw) is not list:
        return
    elif not raw or type(raw[0]) is not Mark:
        yield from _numbered(raw, 0)
    elif raw[0].code in _SEQUENCES:
        yield from _numbered(raw, _SEQUENCES[raw[0].code])
    elif raw[0].code in _PAIRS:
        for at in range(_PAIRS[raw[0].code], len(raw) - 1, 2):
            yield walk.value(raw[at]), raw, at + 1
    elif raw[0].code == codes.RECORD:
        _, fields = walk.shape_of(raw[0])
        for at, (field, _) in enumerate(zip(fields, raw[1:], strict=True), 1):
            yield field, raw, at


def _numbered(raw: list[Any], first: int) -> Iterator[tuple[int, list[Any], int]]:
    for at in range(first, len(raw)):
        yield at - first, raw, at


def _missing(done: list[str], rest: str, children: dict[str, Any]) -> str:
    where = ".".join(done) or "the state"
    shown = ", ".join(list(children)[:8]) or "nothing"
    return f"{where} has no part {rest.partition('.')[0]!r}; it has {shown}{', ...' if len(children) > 8 else ''}"
