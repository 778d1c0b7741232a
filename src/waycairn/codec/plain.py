"""Looking at a whole subtree without a Python call per element."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain, count
from types import NoneType
from typing import Any

LEAVES = frozenset({NoneType, bool, int, float, str, bytes})
"""What msgpack keeps by itself, exactly, wherever it stands; also as the key of a dict."""

_PLAIN = LEAVES | {list, dict}

_MANY = 16384
_SURELY_A_TREE = 8

Accept = Callable[[Iterable[Any]], bool]


def is_plain(value: Any) -> bool:
    """True if msgpack alone keeps `value`: exact built-in types all the way down.

    Three things are not seen here, and the encoder refuses them: integers beyond 64 bits, lone surrogates, and trees
    that are very deep or contain themselves.
    """
    kind = type(value)
    if kind is dict and LEAVES.issuperset(map(type, value.values())):
        return LEAVES.issuperset(map(type, value))  # the most frequent state by far: a flat dict
    if kind not in _PLAIN:
        return False
    return every_kind(value, _PLAIN.issuperset, LEAVES.issuperset)


def every_kind(value: Any, accept: Accept, accept_keys: Accept) -> bool:
    """Whether all types in the tree of lists and dicts are accepted. Level by level, so that the loops run in C:
    25 ns an element against 300 for a walk."""
    lists: list[Any] = [[value]]
    dicts: list[Any] = []
    seen: set[int] = set()
    for depth in count():
        if dicts and not accept_keys(map(type, chain.from_iterable(dicts))):
            return False
        members = list(chain(chain.from_iterable(lists), chain.from_iterable(map(dict.values, dicts))))
        kinds = set(map(type, members))
        if not accept(kinds):
            return False
        lists = [m for m in members if type(m) is list] if list in kinds else []
        dicts = [m for m in members if type(m) is dict] if dict in kinds else []
        if depth > _SURELY_A_TREE or (depth > 1 and len(lists) + len(dicts) > _MANY):
            # Now it may be a list that holds itself, or one list many times over: each is looked at once.
            lists, dicts = _unseen(lists, seen), _unseen(dicts, seen)
        if not lists and not dicts:
            return True
    raise AssertionError("count() does not end")


def _unseen(containers: list[Any], seen: set[int]) -> list[Any]:
    distinct = {id(container): container for container in containers if id(container) not in seen}
    seen.update(distinct)
    return list(distinct.values())
