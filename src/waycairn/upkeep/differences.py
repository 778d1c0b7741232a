"""What differs between two states. Pure: works on loaded values and changes none of them."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from waycairn.upkeep.paths import fields_of, generator_state, is_array, is_numpy_scalar, is_tensor, join, type_name
from waycairn.upkeep.readable import dtype_name, short


@dataclass(frozen=True, slots=True)
class Difference:
    path: str
    """As `only=` takes it; empty for the state itself."""
    act: Literal["added", "removed", "changed"]
    old: Any = None
    new: Any = None
    array: ArrayDifference | None = None
    """For two arrays of one dtype and shape: how they differ."""

    def old_text(self) -> str:
        return "" if self.act == "added" else short(self.old)

    def new_text(self) -> str:
        return "" if self.act == "removed" else short(self.new)


@dataclass(frozen=True, slots=True)
class ArrayDifference:
    elements: int
    """How many elements differ, NaN being equal to NaN."""
    of: int
    most: float | None
    """Largest absolute difference of two elements; None where elements have none (texts, dates, not finite)."""


def differences(old: Any, new: Any) -> Iterator[Difference]:
    """Everything that was added, removed or changed from `old` to `new`, in the order of the states.

    Types count: 1 and 1.0 and True differ. Floats are compared by value, NaN is equal to NaN. Lists are compared
    position by position.
    """
    return _compare("", old, new)


def _compare(path: str, old: Any, new: Any) -> Iterator[Difference]:
    if old is new:
        return
    if type_name(old) != type_name(new):
        yield Difference(path, "changed", old, new)
    elif is_array(old):
        yield from _arrays(path, old, new)
    elif fields_of(old) is not None:
        yield from _mappings(path, fields_of(old) or {}, fields_of(new) or {})
    elif isinstance(old, Mapping):
        yield from _mappings(path, old, new)
    elif isinstance(old, list | tuple) or type(old).__name__ == "deque":
        yield from _mappings(path, dict(enumerate(old)), dict(enumerate(new)))
    elif isinstance(old, set | frozenset):
        yield from _sets(path, old, new)
    elif not _equal(old, new):
        yield Difference(path, "changed", old, new)


def _mappings(path: str, old: Mapping[Any, Any], new: Mapping[Any, Any]) -> Iterator[Difference]:
    for key, before in old.items():
        place = join(path, str(key))
        if key in new:
            yield from _compare(place, before, new[key])
        else:
            yield Difference(place, "removed", old=before)
    for key, after in new.items():
        if key not in old:
            yield Difference(join(path, str(key)), "added", new=after)


def _sets(path: str, old: Any, new: Any) -> Iterator[Difference]:
    for element in sorted(old - new, key=repr):
        yield Difference(path, "removed", old=element)
    for element in sorted(new - old, key=repr):
        yield Difference(path, "added", new=element)


def _equal(old: Any, new: Any) -> bool:
    if is_numpy_scalar(old):
        return bool(old.dtype == new.dtype and not _differing(old.reshape(()), new.reshape(())).any())
    if isinstance(old, complex):
        return _equal(old.real, new.real) and _equal(old.imag, new.imag)
    if isinstance(old, float):
        return old == new or (math.isnan(old) and math.isnan(new))
    # Generators are equal to nobody but themselves; what counts is where they stand.
    state = generator_state(old)
    return bool(old == new) if state is None else next(_compare("", state, generator_state(new)), None) is None


# -- arrays --------------------------------------------------------------------------------------------------


def _arrays(path: str, old: Any, new: Any) -> Iterator[Difference]:
    if dtype_name(old) != dtype_name(new) or tuple(old.shape) != tuple(new.shape):
        yield Difference(path, "changed", old, new)
        return
    found = _tensors(old, new) if is_tensor(old) else _numpy(old, new)
    if found.elements:
        yield Difference(path, "changed", old, new, found)


def _numpy(old: Any, new: Any) -> ArrayDifference:
    differs = _differing(old, new)
    count = int(differs.sum())
    if not count or old.dtype.kind not in "biufc":
        return ArrayDifference(count, old.size, None)
    # As Python's numbers would: differences of unsigned and narrow integers wrap around.
    wide = "complex128" if old.dtype.kind == "c" else "float64"
    apart = abs(new[differs].astype(wide) - old[differs].astype(wide))
    most = float(apart.max())
    return ArrayDifference(count, old.size, most if most < float("inf") else None)


def _differing(old: Any, new: Any) -> Any:
    """Which elements differ, of two arrays of one dtype and shape; NaN (among dates NaT) is equal to NaN."""
    if old.dtype.names:
        # Fields may be arrays themselves: an element differs if anything in it does.
        parts = [_differing(old[name], new[name]) for name in old.dtype.names]
        wholes = [part.any(axis=tuple(range(old.ndim, part.ndim))) for part in parts]
        return functools.reduce(operator.or_, wholes)
    if old.dtype.kind == "c":
        return _differing(old.real, new.real) | _differing(old.imag, new.imag)
    differs = old != new
    if old.dtype.kind in "fmM":
        differs &= ~((old != old) & (new != new))  # noqa: PLR0124 - that is what NaN means
    return differs


def _tensors(old: Any, new: Any) -> ArrayDifference:
    old, new = old.detach().cpu(), new.detach().cpu()
    if old.is_floating_point():
        old, new = old.double(), new.double()
    return _numpy(old.numpy(), new.numpy())
