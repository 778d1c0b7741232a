"""Which array or tensor of a given tree takes what stored content, found before anything is read."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from waycairn.codec.contract import Unpacking
from waycairn.codec.marks import Mark
from waycairn.codec.plain import LEAVES
from waycairn.codec.problems import Carried, key_part
from waycairn.codec.selecting import slots

_SHOWN = 5
_MISSING = object()


class Filler(Protocol):
    """What knows one kind of target: numpy arrays, or torch tensors."""

    code: int
    """The mark of what may be stored for it."""

    def takes(self, target: Any) -> bool: ...

    def describe(self, target: Any) -> str:
        """`a float32 tensor of shape (3, 4)`"""
        ...

    def describe_stored(self, node: list[Any]) -> str: ...

    def refuse(self, target: Any) -> str | None:
        """Why it cannot be written to, whatever is stored; None if it can."""
        ...

    def fits(self, target: Any, node: list[Any]) -> bool:
        """Whether dtype and shape are those of the node."""
        ...

    def memory(self, target: Any, node: list[Any]) -> memoryview | None:
        """Its memory, if the bytes of the node's buffer lie in it one by one; else None."""
        ...

    def copy(self, target: Any, value: Any) -> None: ...


class Filling:
    """A target and the node of what goes into it."""

    __slots__ = ("_filler", "_target", "node", "number")

    def __init__(self, filler: Filler, target: Any, node: list[Any]) -> None:
        self._filler = filler
        self._target = target
        self.node = node
        self.number: int | None = node[-1] if type(node[-1]) is int else None

    def memory(self) -> memoryview | None:
        return self._filler.memory(self._target, self.node)

    def copy(self, value: Any) -> None:
        self._filler.copy(self._target, value)


def plan_filling(walk: Unpacking, raw: Any, into: Any) -> tuple[Any, list[Filling]]:
    """The tree with targets in the place of their nodes, and what goes into each. Raises Carried with a ValueError."""
    plan = _Plan(walk)
    raw = plan.node(raw, into, "state")
    planned = {id(target) for target in plan.targets}
    problems = plan.problems
    problems += [
        f"{path} is {filler.describe(target)} and has no stored value"
        for path, target, filler in _targets(into, "state", set())
        if id(target) not in planned
    ]
    if problems:
        more = f" (and {len(problems) - _SHOWN} more)" if len(problems) > _SHOWN else ""
        raise Carried(
            ValueError(
                f"what is stored does not fit into what was given: {'; '.join(problems[:_SHOWN])}{more}. Nothing was "
                "changed. Give arrays and tensors of the stored shapes and dtypes, take a part with only=, or load "
                "without into=."
            )
        )
    return raw, plan.fillings


class _Plan:
    def __init__(self, walk: Unpacking) -> None:
        self._walk = walk
        self.fillings: list[Filling] = []
        self.targets: list[Any] = []
        """Kept, so that their ids stay theirs."""
        self.problems: list[str] = []

    def node(self, raw: Any, target: Any, path: str) -> Any:
        filler = find_filler(target)
        if filler is not None:
            return self._target(filler, raw, target, path)
        if type(target) in LEAVES:
            return raw
        for key, holder, at in slots(self._walk, raw):
            child, part = _child(target, key)
            if child is not _MISSING:
                holder[at] = self.node(holder[at], child, path + part)
        return raw

    def _target(self, filler: Filler, raw: Any, target: Any, path: str) -> Any:
        self.targets.append(target)
        is_marked = type(raw) is list and raw and type(raw[0]) is Mark
        reason = filler.refuse(target)
        if reason is not None:
            self.problems.append(f"{path} is {filler.describe(target)} {reason}")
        elif not is_marked or raw[0].code != filler.code:
            self.problems.append(f"{path} is {filler.describe(target)}, and what is stored there is none")
        elif not filler.fits(target, raw):
            self.problems.append(f"{path} is {filler.describe(target)}, and {filler.describe_stored(raw)} is stored")
        else:
            self.fillings.append(Filling(filler, target, raw))
        return target


def _child(target: Any, key: Any) -> tuple[Any, str]:
    """What stands in a tree where something is stored, and how one would write that."""
    if isinstance(target, Mapping):
        return target.get(key, _MISSING), key_part(key)
    if isinstance(target, list | tuple | deque) and type(key) is int:
        return (target[key] if key < len(target) else _MISSING), f"[{key}]"
    if type(key) is str:
        return getattr(target, key, _MISSING), f".{key}"
    return _MISSING, ""


def _targets(tree: Any, path: str, seen: set[int]) -> Iterator[tuple[str, Any, Filler]]:
    """Every array and tensor in dicts, lists and tuples."""
    filler = find_filler(tree)
    if filler is not None:
        yield path, tree, filler
    elif isinstance(tree, Mapping | list | tuple | deque) and id(tree) not in seen:
        seen.add(id(tree))
        for key, child in tree.items() if isinstance(tree, Mapping) else enumerate(tree):
            yield from _targets(child, path + key_part(key), seen)


def find_filler(target: Any) -> Filler | None:
    """An object can only be an array or a tensor if its library was imported, and only then is ours."""
    if "numpy" in sys.modules:
        from waycairn.codec import arrays

        if arrays.FILLER.takes(target):
            return arrays.FILLER
    if "torch" in sys.modules:
        from waycairn.codec import tensors

        if tensors.FILLER.takes(target):
            return tensors.FILLER
    return None
