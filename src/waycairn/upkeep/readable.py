"""A loaded state as plain JSON values that a person can read. One way only: nothing is restored from it."""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

from waycairn.upkeep.paths import fields_of, generator_state, is_array, is_numpy_scalar, is_tensor, type_name

_AS_TEXT = (dt.date, dt.time, Decimal, UUID, PurePath)
_SHORT = 60
"""Characters of a value in a list of differences."""


def readable(value: Any, *, data: bool = True) -> Any:
    """JSON values: what JSON has stays as it is, dates are ISO 8601, the rest is an object with a `type`.

    Without `data`, arrays are described by dtype, shape, bytes, lowest and highest value instead of their elements.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return {"type": type_name(value), "name": value.name}
    for kinds, convert in _SCALARS:
        if isinstance(value, kinds):
            return convert(value)
    if is_array(value):
        return _array(value, data=data)
    if is_numpy_scalar(value):
        return readable(_plain_scalar(value))
    return _container(value, data=data)


def _container(value: Any, *, data: bool) -> Any:
    fields = fields_of(value)
    if fields is not None:
        return {"type": type_name(value), "fields": _strings(fields, data=data)}
    if isinstance(value, Mapping):
        return _mapping(value, data=data)
    if isinstance(value, list | tuple):
        return [readable(element, data=data) for element in value]
    if isinstance(value, set | frozenset):
        return {"type": type_name(value), "items": [readable(element, data=data) for element in _ordered(value)]}
    if isinstance(value, deque):
        return {"type": "deque", "items": [readable(element, data=data) for element in value], "maxlen": value.maxlen}
    return _other(value, data=data)


def _strings(value: Mapping[str, Any], *, data: bool) -> dict[str, Any]:
    return {name: readable(content, data=data) for name, content in value.items()}


def _mapping(value: Mapping[Any, Any], *, data: bool) -> Any:
    if all(type(key) is str for key in value):
        return _strings(value, data=data)
    pairs = [[readable(key, data=data), readable(content, data=data)] for key, content in value.items()]
    return {"type": "dict", "items": pairs}


def _ordered(value: set[Any] | frozenset[Any]) -> Sequence[Any]:
    """A set has no order of its own; the same set is to be the same text every time."""
    try:
        return sorted(value)
    except TypeError:
        return sorted(value, key=lambda element: (type_name(element), repr(element)))


def _other(value: Any, *, data: bool) -> Any:
    if isinstance(value, range | slice):
        return {"type": type_name(value), "start": value.start, "stop": value.stop, "step": value.step}
    state = generator_state(value)
    if state is not None:
        return {"type": type_name(value), "state": readable(state, data=data)}
    return {"type": type_name(value), "text": str(value)}


_MOST_TEXT = 16_384
"""Characters of a value that `brief` gives whole."""


def brief(value: Any) -> Any:
    """As `readable`, with arrays described and what is long in a few words."""
    if value is None:
        return None
    found = readable(value, data=False)
    length = len(json.dumps(found))
    if length <= _MOST_TEXT:
        return found
    return {"type": type_name(value), "text": short(value, 1000), "length": length}


# -- scalars -------------------------------------------------------------------------------------------------


def _float(value: float) -> Any:
    if math.isfinite(value):
        return float(value)
    return {"type": "float", "value": "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"}


def _bytes(value: bytes | bytearray) -> Any:
    return {"type": type_name(value), "base64": base64.b64encode(value).decode("ascii")}


def _time(value: Any) -> str:
    return value.isoformat() if isinstance(value, dt.date | dt.time) else str(value)


_SCALARS: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (int, int),
    (float, _float),
    (str, str),
    ((bytes, bytearray), _bytes),
    (_AS_TEXT, _time),
    (dt.timedelta, lambda value: {"type": "timedelta", "seconds": value.total_seconds()}),
    (complex, lambda value: {"type": "complex", "real": _float(value.real), "imag": _float(value.imag)}),
)
"""First match wins: subclasses of str and int come as what they are to JSON."""


# -- arrays --------------------------------------------------------------------------------------------------


def dtype_name(array: Any) -> str:
    """`float32`, `bfloat16`, `<U5`."""
    name = str(array.dtype)
    return name.removeprefix("torch.")


def array_bytes(array: Any) -> int:
    """Bytes that its elements take."""
    return int(array.numel() * array.element_size()) if is_tensor(array) else int(array.nbytes)


def _array(array: Any, *, data: bool) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "type": "tensor" if is_tensor(array) else "array",
        "dtype": dtype_name(array),
        "shape": [int(length) for length in array.shape],
    }
    if data:
        return {**facts, "data": readable(_elements(array))}
    low, high = _extremes(array)
    return {**facts, "bytes": array_bytes(array), "min": low, "max": high}


def _elements(array: Any) -> Any:
    if is_tensor(array):
        return array.detach().tolist()
    if array.dtype.kind in "mM":
        # Nanoseconds do not fit into Python's own times.
        return array.astype(str).tolist()
    return array.tolist()


def _plain_scalar(value: Any) -> Any:
    return str(value) if value.dtype.kind in "mM" else value.item()


def _extremes(array: Any) -> tuple[Any, Any]:
    """The lowest and highest element, NaN left out; None where there is no order or no element."""
    if is_tensor(array):
        plain = array.detach()
        if plain.is_complex() or not plain.numel():
            return None, None
        array = plain.float().numpy() if plain.is_floating_point() else plain.numpy()
    if array.dtype.kind not in "biuf" or not array.size:
        return None, None
    if array.dtype.kind == "f":
        array = array[array == array]  # noqa: PLR0124 - NaN is what differs from itself
    return (readable(array.min()), readable(array.max())) if array.size else (None, None)


# -- short texts ---------------------------------------------------------------------------------------------


def short(value: Any, most: int = _SHORT) -> str:
    """One value in a few words, for a line of a list."""
    if is_array(value):
        return f"{type(value).__name__} {dtype_name(value)} {list(value.shape)}"
    if fields_of(value) is not None and not isinstance(value, tuple):
        return _cut(f"{type_name(value)} with {len(fields_of(value) or {})} fields", most)
    if isinstance(value, Mapping | list | tuple | set | frozenset | deque):
        text = repr(value) if len(value) < _SHORT and not _holds_array(value) else ""
        return text if 0 < len(text) <= most else f"{type_name(value)} with {len(value)} elements"
    if isinstance(value, bytes | bytearray) and len(value) > most // 4:
        return f"{type_name(value)} of {len(value)} bytes, {value[:8].hex()}…"
    return _cut(repr(value), most)


def _holds_array(value: Any) -> bool:
    contents = value.values() if isinstance(value, Mapping) else value
    return any(not isinstance(one, str | bytes | int | float | bool | None) for one in contents)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
