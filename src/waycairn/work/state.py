"""The state of a run: the user's own object, restored in place and encoded at each cut."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, MutableSet
from itertools import islice
from typing import Any

from waycairn.codec import Types, encode
from waycairn.errors import Damaged
from waycairn.model.encoded import Encoded
from waycairn.ports import Stateful

_IMMUTABLE = (
    "the root of a state must be an object that is changed in place, and a {0} cannot be: assigning a new value to "
    "your variable would never reach the run. Nothing was stored. Put it into a dict or a dataclass: "
    'state = run.state({{"value": {1}}})'
)


_LOOKED_AT = 100
"""Elements of a container that are looked at for their types."""


class StateSlot:
    """Holds the user's object. `types` are those reachable from it, so that they come back."""

    def __init__(self, target: Any) -> None:
        self._put = _putter(target)
        self._is_stateful = _is_stateful(target)  # once: a protocol check costs 15 µs
        self.target = target
        self.types = Types.of(type(target), *_types_inside(target, 3))

    def encode(self) -> Encoded:
        """The state now, on the caller's thread. TypeError names the path of what cannot be stored."""
        value = self.target
        if self._is_stateful:
            value = dict(value.state_dict())
        return encode(value, types=self.types)  # what could not be restored is refused now, not on resume

    def restore(self, value: Any) -> None:
        """Put a loaded value into the user's object, in place. Raises Damaged if it is of another shape."""
        try:
            self._put(self.target, value)
        except (TypeError, ValueError, AttributeError) as error:
            raise Damaged(
                f"the stored state does not fit the {type(self.target).__name__} that was passed to run.state "
                f"({error}). Nothing was changed. Pass the type that was saved, or use fresh=True, or another key, "
                "to start anew.",
            ) from error


def _types_inside(value: Any, levels: int) -> set[type]:
    """Types of what the first values of its containers are: what the job passes again when it is resumed."""
    if not levels or not isinstance(value, Mapping | list | tuple | set | frozenset | deque):
        return set()
    found: set[type] = set()
    for element in islice(value.values() if isinstance(value, Mapping) else value, _LOOKED_AT):
        found.add(type(element))
        found |= _types_inside(element, levels - 1)
    return found


def _is_stateful(value: Any) -> bool:
    return isinstance(value, Stateful) and not isinstance(value, type)


def _putter(target: Any) -> Callable[[Any, Any], None]:
    """How to put a value into this object in place; TypeError if it is immutable."""
    if _is_stateful(target):
        return lambda kept, value: kept.load_state_dict(value)
    for kind, put in _CONTAINERS:
        if isinstance(target, kind):
            return put
    if hasattr(type(target), "__array_interface__"):
        return _put_array
    frozen = _is_frozen(type(target))
    if frozen is None or frozen:
        name = type(target).__name__ if frozen is None else f"frozen {type(target).__name__}"
        raise TypeError(_IMMUTABLE.format(name, "..."))
    return _put_fields


def _is_frozen(kind: Any) -> bool | None:
    """Of a dataclass, Struct or model; None for any other type."""
    if dataclasses.is_dataclass(kind):
        return bool(getattr(kind, "__dataclass_params__").frozen)  # noqa: B009 - typeshed does not know it
    if hasattr(kind, "__struct_fields__"):
        return bool(kind.__struct_config__.frozen)
    if hasattr(kind, "model_fields"):
        return bool(kind.model_config.get("frozen"))
    return None


def _same_type(kept: Any, value: Any) -> None:
    if type(kept) is not type(value):
        raise TypeError(f"a {type(value).__name__} was stored")


def _put_mapping(kept: MutableMapping[Any, Any], value: Any) -> None:
    if not isinstance(value, Mapping):
        raise TypeError(f"a {type(value).__name__} was stored")
    kept.clear()
    kept.update(value)


def _put_sequence(kept: MutableSequence[Any], value: Any) -> None:
    _same_type(kept, value)
    if hasattr(kept, "maxlen"):  # a deque has no slices
        kept.clear()
        kept.extend(value)
    else:
        kept[:] = value


def _put_set(kept: MutableSet[Any], value: Any) -> None:
    _same_type(kept, value)
    kept.clear()
    for element in value:
        kept.add(element)


def _put_fields(kept: Any, value: Any) -> None:
    _same_type(kept, value)
    for name in _field_names(type(kept)):
        setattr(kept, name, getattr(value, name))


def _field_names(kind: Any) -> list[str]:
    if dataclasses.is_dataclass(kind):
        return [field.name for field in dataclasses.fields(kind)]
    return list(getattr(kind, "__struct_fields__", None) or kind.model_fields)


def _put_array(kept: Any, value: Any) -> None:
    _same_type(kept, value)
    if kept.shape != value.shape or kept.dtype != value.dtype:
        raise ValueError(f"an array of shape {value.shape} and type {value.dtype} was stored")
    kept[...] = value


_CONTAINERS: tuple[tuple[Any, Callable[[Any, Any], None]], ...] = (
    (MutableMapping, _put_mapping),
    (MutableSequence, _put_sequence),
    (MutableSet, _put_set),
)
