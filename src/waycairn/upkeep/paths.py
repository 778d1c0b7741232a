"""A loaded state as a tree: the children of a value, and the paths to them as `only=` takes them."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from waycairn.codec import Record


def join(path: str, part: str) -> str:
    return f"{path}.{part}" if path else part


def type_name(value: Any) -> str:
    """As the store names the type of a record, else as Python does."""
    if isinstance(value, Record):
        return value.type_name
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}:{kind.__qualname__}"


def fields_of(value: Any) -> dict[str, Any] | None:
    """Name to value for an object with named fields, None for anything else."""
    if isinstance(value, Record):
        return value.fields
    if isinstance(value, msgspec.Struct):
        return {name: getattr(value, name) for name in value.__struct_fields__}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return dict(zip(value._fields, value, strict=True))
    return None


def is_array(value: Any) -> bool:
    """A numpy array (not a scalar) or a torch tensor, told without importing either."""
    return is_tensor(value) or _has_base(value, "numpy", "ndarray")


def is_tensor(value: Any) -> bool:
    return _has_base(value, "torch", "Tensor")


def is_numpy_scalar(value: Any) -> bool:
    return _has_base(value, "numpy", "generic")


def _has_base(value: Any, module: str, name: str) -> bool:
    return any(kind.__name__ == name and kind.__module__ == module for kind in type(value).__mro__)


def generator_state(value: Any) -> Any:
    """Where a random generator stands (Python's, numpy's or torch's); None for anything else."""
    if isinstance(value, random.Random):
        return value.getstate()
    family = type(value).__module__.partition(".")[0]
    if family == "numpy":
        bits = getattr(value, "bit_generator", value)
        return bits.get_state(legacy=False) if hasattr(bits, "get_state") else getattr(bits, "state", None)
    return value.get_state() if family == "torch" and hasattr(value, "get_state") else None


def arrays_of(value: Any) -> Iterator[tuple[str, Any]]:
    """Every array and tensor with its path, in the order of the state. The root alone is called `state`."""
    for path, array in _arrays(value, ""):
        yield path or "state", array


def _arrays(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if is_array(value):
        yield path, value
        return
    for part, child in _children(value):
        yield from _arrays(child, join(path, part))


def _children(value: Any) -> Iterator[tuple[str, Any]]:
    fields = fields_of(value)
    if fields is not None:
        yield from fields.items()
    elif isinstance(value, Mapping):
        for key, child in value.items():
            yield str(key), child
    elif isinstance(value, list | tuple) or type(value).__name__ == "deque":
        for position, child in enumerate(value):
            yield str(position), child
