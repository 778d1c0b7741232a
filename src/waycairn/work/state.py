"""The state of a run: the user's own object, restored in place and encoded at each cut."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, MutableSet
from itertools import islice
from typing import Any, Protocol

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


class Slot(Protocol):
    """What a cut holds of a run's state: the object of `run.state`, or all that `run.track` was given."""

    @property
    def target(self) -> Any: ...

    @property
    def types(self) -> Types: ...

    @property
    def optimizers(self) -> Mapping[str, Any]:
        """Those in it, by name: what they own changes in their steps only."""
        ...

    def check(self) -> None:
        """Raises ValueError where a checkpoint must not be written now."""
        ...

    def encode(self) -> Encoded: ...

    def restore(self, value: Any) -> None: ...


class StateSlot:
    """Holds the user's object. `types` are those reachable from it, so that they come back."""

    def __init__(self, target: Any) -> None:
        self._put = _putter(target)
        self._is_stateful = is_stateful(target)  # once: a protocol check costs 15 µs
        self.target = target
        self.types = Types.of(type(target), *types_inside(target, 3))
        self.optimizers: Mapping[str, Any] = {}

    def check(self) -> None:
        """A state may be written at any cut."""

    def value(self) -> Any:
        """What is stored of it."""
        return dict(self.target.state_dict()) if self._is_stateful else self.target

    def encode(self) -> Encoded:
        """The state now, on the caller's thread. TypeError names the path of what cannot be stored."""
        return encode(self.value(), types=self.types)  # what could not be restored is refused now, not on resume

    def put(self, value: Any) -> None:
        """As `restore`, raising what the object raises."""
        self._put(self.target, value)

    def restore(self, value: Any) -> None:
        """Put a loaded value into the user's object, in place. Raises Damaged if it is of another shape."""
        try:
            self.put(value)
        except (TypeError, ValueError, AttributeError) as error:
            raise Damaged(
                f"the stored state does not fit the {type(self.target).__name__} that was passed to run.state "
                f"({error}). Nothing was changed. Pass the type that was saved, or use fresh=True, or another key, "
                "to start anew.",
            ) from error


class ValueSlot:
    """A value that is saved and never put back."""

    optimizers: Mapping[str, Any] = {}
    """None are named, so nothing is taken to stay as it is until an optimizer's next step."""

    def __init__(self, value: Any, types: Types | None = None) -> None:
        self.target = value
        self._types = types
        self.types = types or Types.of()

    def check(self) -> None:
        """It may be saved at any time."""

    def encode(self) -> Encoded:
        """With types, what could not be restored by them is refused."""
        return encode(self.target, types=self._types)

    def restore(self, value: Any) -> None:
        raise NotImplementedError("a value is loaded, and not put back")


def types_inside(value: Any, levels: int) -> set[type]:
    """Types of what the first values of its containers are: what the job passes again when it is resumed."""
    if not levels or not isinstance(value, Mapping | list | tuple | set | frozenset | deque):
        return set()
    found: set[type] = set()
    for element in islice(value.values() if isinstance(value, Mapping) else value, _LOOKED_AT):
        found.add(type(element))
        found |= types_inside(element, levels - 1)
    return found


def is_stateful(value: Any) -> bool:
    """Whether it hands out its state and takes it back."""
    return isinstance(value, Stateful) and not isinstance(value, type)


def _putter(target: Any) -> Callable[[Any, Any], None]:
    """How to put a value into this object in place; TypeError if it is immutable."""
    if is_stateful(target):
        return lambda kept, value: kept.load_state_dict(value)
    for kind, put in _CONTAINERS:
        if isinstance(target, kind):
            return put
    if hasattr(type(target), "__array_interface__"):
        return _put_array
    if hasattr(target, "untyped_storage"):
        return _put_tensor
    if is_generator(target):
        return put_generator
    frozen = is_frozen(type(target))
    if frozen is None or frozen:
        name = type(target).__name__ if frozen is None else f"frozen {type(target).__name__}"
        raise TypeError(_IMMUTABLE.format(name, "..."))
    return _put_fields


def is_frozen(kind: Any) -> bool | None:
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
    for name in field_names(type(kept)):
        setattr(kept, name, getattr(value, name))


def field_names(kind: Any) -> list[str]:
    """Of a dataclass, Struct or model."""
    if dataclasses.is_dataclass(kind):
        return [field.name for field in dataclasses.fields(kind)]
    return list(getattr(kind, "__struct_fields__", None) or kind.model_fields)


def _put_array(kept: Any, value: Any) -> None:
    _same_type(kept, value)
    if kept.shape != value.shape or kept.dtype != value.dtype:
        raise ValueError(f"an array of shape {value.shape} and type {value.dtype} was stored")
    kept[...] = value


def _put_tensor(kept: Any, value: Any) -> None:
    _same_type(kept, value)
    if kept.shape != value.shape or kept.dtype != value.dtype:
        raise ValueError(f"a tensor of shape {tuple(value.shape)} and type {value.dtype} was stored")
    kept.detach().copy_(value.detach())


def is_generator(value: Any) -> bool:
    """Whether it is a generator of random numbers of numpy or torch."""
    return hasattr(value, "bit_generator") or hasattr(value, "initial_seed")


def put_generator(kept: Any, value: Any) -> None:
    """The state of one into the other."""
    _same_type(kept, value)
    if hasattr(kept, "bit_generator"):  # numpy's
        kept.bit_generator.state = value.bit_generator.state
    else:  # torch's
        kept.set_state(value.get_state())


_CONTAINERS: tuple[tuple[Any, Callable[[Any, Any], None]], ...] = (
    (MutableMapping, _put_mapping),
    (MutableSequence, _put_sequence),
    (MutableSet, _put_set),
)
