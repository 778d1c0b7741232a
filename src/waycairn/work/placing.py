"""What was loaded, into the objects that are there: an optimizer, a closure, a variable may refer to them."""

from __future__ import annotations

import sys
from collections.abc import Callable, MutableMapping, MutableSequence
from typing import Any

from waycairn.codec import encode
from waycairn.work.state import field_names, is_frozen, is_generator, put_generator


class Placing:
    """Of what one checkpoint holds. `put` gives what to refer to from now on: the object that was there wherever that
    is of the same kind, with arrays, tensors and generators of random numbers filled in place.

    Arrays that share memory in only one of the two, the objects that are there or what was stored, are not filled:
    one of them would get what belongs to the other.
    """

    def __init__(self, *, is_whole: bool = True) -> None:
        """`is_whole`: all of it was loaded at once, which is what shows what shares memory. Else all is filled, until it
        is loaded once more, whole."""
        self._is_whole = is_whole
        self._filled: dict[int, list[tuple[Any, Any]]] = {}
        """Arrays and tensors that are there, and what was put into them, by what owns the memory of either."""
        self._taken: dict[int, Any] = {}
        """Other objects that hold something already, by id; kept, so that the ids stay theirs."""

    def put(self, kept: Any, value: Any) -> Any:
        if type(kept) is not type(value):
            return value
        for is_one, put in self._kinds():
            if is_one(kept):
                return put(kept, value)
        return value

    def attributes(self, kept: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
        """As `put`, of the attributes of an object; in a dict of their own."""
        return {name: self.put(kept[name], one) if name in kept else one for name, one in value.items()}

    def _kinds(self) -> list[tuple[Callable[[Any], bool], Callable[[Any, Any], Any]]]:
        return [
            (is_array, self._array),
            (is_tensor, self._tensor),
            (is_generator, self._generator),
            (lambda kept: isinstance(kept, MutableMapping), self._mapping),
            (lambda kept: isinstance(kept, MutableSequence), self._sequence),
            (lambda kept: type(kept) is tuple, self._tuple),
            (lambda kept: is_frozen(type(kept)) is False, self._fields),
        ]

    # -- memory --------------------------------------------------------------------------------------------------

    def _array(self, kept: Any, value: Any) -> Any:
        fits = kept.shape == value.shape and kept.dtype == value.dtype and kept.flags.writeable
        if not fits or not self._shares_alike(kept, value):
            kept = value
        else:
            kept[...] = value
        self._note(kept, value)
        return kept

    def _tensor(self, kept: Any, value: Any) -> Any:
        fits = kept.shape == value.shape and kept.dtype == value.dtype
        if not fits or not self._shares_alike(kept, value):
            kept = value
        else:
            kept.detach().copy_(value.detach())
        self._note(kept, value)
        return kept

    def _note(self, kept: Any, value: Any) -> None:
        for owner in {_owner(kept), _owner(value)}:
            self._filled.setdefault(owner, []).append((kept, value))

    def _shares_alike(self, kept: Any, value: Any) -> bool:
        return not self._is_whole or all(
            _overlap(kept, other) == _overlap(value, stored)
            for owner in (_owner(kept), _owner(value))
            for other, stored in self._filled.get(owner, ())
        )

    def _generator(self, kept: Any, value: Any) -> Any:
        if not self._is_first(kept):
            # That two names shared one is not stored; equal states are taken for that.
            return kept if _is_same(kept, value) else value
        put_generator(kept, value)
        return kept

    # -- containers ----------------------------------------------------------------------------------------------

    def _is_first(self, kept: Any) -> bool:
        """Whether nothing was put into it yet: what two names refer to now may have been two objects when stored."""
        is_first = id(kept) not in self._taken
        self._taken[id(kept)] = kept
        return is_first

    def _mapping(self, kept: Any, value: Any) -> Any:
        target = kept if self._is_first(kept) else value
        placed = {key: self.put(kept[key], one) if key in kept else one for key, one in value.items()}
        target.clear()
        target.update(placed)
        return target

    def _sequence(self, kept: Any, value: Any) -> Any:
        target = kept if self._is_first(kept) else value
        placed = self._elements(kept, value)
        target.clear()
        target.extend(placed)
        return target

    def _tuple(self, kept: Any, value: Any) -> Any:
        return tuple(self._elements(kept, value))

    def _elements(self, kept: Any, value: Any) -> list[Any]:
        return [self.put(kept[place], one) if place < len(kept) else one for place, one in enumerate(value)]

    def _fields(self, kept: Any, value: Any) -> Any:
        target = kept if self._is_first(kept) else value
        for name in field_names(type(kept)):
            setattr(target, name, self.put(getattr(kept, name), getattr(value, name)))
        return target


def is_array(value: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray)


def is_tensor(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _owner(value: Any) -> int:
    """A number that all arrays or tensors have in common that could overlap."""
    if is_tensor(value):
        return int(value.untyped_storage().data_ptr())
    while getattr(value, "base", None) is not None:
        value = value.base
    return id(value)


def _overlap(one: Any, other: Any) -> bool:
    if is_array(one) and is_array(other):
        return bool(sys.modules["numpy"].may_share_memory(one, other))
    if is_tensor(one) and is_tensor(other):
        return bool(one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr())
    return False


def _is_same(one: Any, other: Any) -> bool:
    """Whether two generators will draw the same numbers."""
    encoded = [encode(generator) for generator in (one, other)]
    return len({(of.document, *(bytes(buffer) for buffer in of.buffers)) for of in encoded}) == 1
