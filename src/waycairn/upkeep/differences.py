"""What differs between two states. Works on loaded values and changes none of them; arrays may be brought only while they
are compared, see `comparing`."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
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
        return "" if self.act == "added" else short(self._near(self.old))

    def new_text(self) -> str:
        return "" if self.act == "removed" else short(self._near(self.new))

    @property
    def by(self) -> tuple[float, float | None] | None:
        """For two numbers of one kind: new - old, and that as a share of the old one (None if that is 0). None for what is
        no number, or not finite."""
        if self.act != "changed" or not (_is_number(self.old) and _is_number(self.new)):
            return None
        try:
            old, new = float(self.old), float(self.new)
        except OverflowError:
            return None
        apart = new - old
        return (apart, apart / abs(old) if old else None) if math.isfinite(apart) else None

    def _near(self, value: Any) -> Any:
        """Of two long texts the part where they begin to differ."""
        old, new = self.old, self.new
        if not (isinstance(old, str) and isinstance(new, str)) or max(len(old), len(new)) <= _LONG:
            return value
        first = next((at for at, (one, other) in enumerate(zip(old, new, strict=False)) if one != other), None)
        begin = max(0, (min(len(old), len(new)) if first is None else first) - _BEFORE)
        return value if not begin else f"…{value[begin:]}"


@dataclass(frozen=True, slots=True)
class ArrayDifference:
    elements: int
    """How many elements differ, NaN being equal to NaN."""
    of: int
    most: float | None
    """Largest absolute difference of two elements; None where elements have none (texts, dates, not finite)."""
    norm: float | None = None
    """Of the difference, L2; None as above."""
    relative: float | None = None
    """That as a share of the L2 norm of the old array; None also where that is 0 or not finite."""


_LONG, _BEFORE = 40, 12
"""Characters of a text that is shown whole, and of what two have in common before they differ."""
_BLOCK = 1 << 18
"""Elements that are compared at once: 2 MiB as float64, whatever the arrays take."""
Bring = Callable[[Any], AbstractContextManager[None]]
"""Has the content of an array in its memory, as long as the block lasts."""


def differences(old: Any, new: Any, bring: Bring = lambda _: nullcontext()) -> Iterator[Difference]:
    """Everything that was added, removed or changed from `old` to `new`, in the order of the states.

    Types count: 1 and 1.0 and True differ. Floats are compared by value, NaN is equal to NaN. Lists are compared
    position by position.
    """
    return _Walk(bring).compare("", old, new)


class _Walk:
    def __init__(self, bring: Bring) -> None:
        self._bring = bring

    def compare(self, path: str, old: Any, new: Any) -> Iterator[Difference]:
        if old is new:
            return
        if type_name(old) != type_name(new):
            yield Difference(path, "changed", old, new)
        elif is_array(old):
            yield from self._arrays(path, old, new)
        elif fields_of(old) is not None:
            yield from self._mappings(path, fields_of(old) or {}, fields_of(new) or {})
        elif isinstance(old, Mapping):
            yield from self._mappings(path, old, new)
        elif isinstance(old, list | tuple) or type(old).__name__ == "deque":
            yield from self._mappings(path, dict(enumerate(old)), dict(enumerate(new)))
        elif isinstance(old, set | frozenset):
            yield from _sets(path, old, new)
        elif not _equal(old, new):
            yield Difference(path, "changed", old, new)

    def _mappings(self, path: str, old: Mapping[Any, Any], new: Mapping[Any, Any]) -> Iterator[Difference]:
        for key, before in old.items():
            place = join(path, str(key))
            if key in new:
                yield from self.compare(place, before, new[key])
            else:
                yield Difference(place, "removed", old=before)
        for key, after in new.items():
            if key not in old:
                yield Difference(join(path, str(key)), "added", new=after)

    def _arrays(self, path: str, old: Any, new: Any) -> Iterator[Difference]:
        if dtype_name(old) != dtype_name(new) or tuple(old.shape) != tuple(new.shape):
            yield Difference(path, "changed", old, new)
            return
        import numpy as np

        # Squares of the largest numbers are infinite: then there is no norm.
        with self._bring(old), self._bring(new), np.errstate(over="ignore"):
            found = _apart(old, new)
        if found.elements:
            yield Difference(path, "changed", old, new, found)


def _sets(path: str, old: Any, new: Any) -> Iterator[Difference]:
    for element in sorted(old - new, key=repr):
        yield Difference(path, "removed", old=element)
    for element in sorted(new - old, key=repr):
        yield Difference(path, "added", new=element)


def _is_number(value: Any) -> bool:
    if is_numpy_scalar(value):
        return bool(value.dtype.kind in "iuf")
    return isinstance(value, int | float) and not isinstance(value, bool)


def _equal(old: Any, new: Any) -> bool:
    if is_numpy_scalar(old):
        return bool(old.dtype == new.dtype and not _differing(old.reshape(()), new.reshape(())).any())
    if isinstance(old, complex):
        return _equal(old.real, new.real) and _equal(old.imag, new.imag)
    if isinstance(old, float):
        return old == new or (math.isnan(old) and math.isnan(new))
    # Generators are equal to nobody but themselves; what counts is where they stand.
    state = generator_state(old)
    return bool(old == new) if state is None else next(differences(state, generator_state(new)), None) is None


# -- arrays --------------------------------------------------------------------------------------------------


def _apart(old: Any, new: Any) -> ArrayDifference:
    """Block by block: what is computed on the way takes some megabytes."""
    count = 0
    most = squares = before = 0.0
    measured = True
    size = math.prod(old.shape)
    for one, other in _blocks(old, new):
        differs = _differing(one, other)
        found = int(differs.sum())
        count += found
        if one.dtype.kind not in "biufc":
            measured = False
            continue
        # As Python's numbers would: differences of unsigned and narrow integers wrap around.
        wide = "complex128" if one.dtype.kind == "c" else "float64"
        first = one.astype(wide)
        before += float((abs(first) ** 2).sum())
        if found:
            apart = abs(other[differs].astype(wide) - first[differs])
            most = max(most, float(apart.max())) if not math.isnan(float(apart.max())) else math.inf
            squares += float((apart**2).sum())
    if not (count and measured and math.isfinite(most)):
        return ArrayDifference(count, size, None)
    norm = math.sqrt(squares) if math.isfinite(squares) else None
    whole = math.sqrt(before) if math.isfinite(before) else 0.0
    return ArrayDifference(count, size, most, norm, norm / whole if norm is not None and whole else None)


def _blocks(old: Any, new: Any) -> Iterator[tuple[Any, Any]]:
    """Pairs of numpy arrays with the same elements of both."""
    if is_tensor(old):
        old, new = old.detach().cpu(), new.detach().cpu()
        flats = [one.reshape(-1) for one in (old, new)]
        for begin in range(0, max(1, flats[0].numel()), _BLOCK):
            pieces = [flat[begin : begin + _BLOCK] for flat in flats]
            yield tuple((piece.double() if piece.is_floating_point() else piece).numpy() for piece in pieces)
        return
    if old.flags.f_contiguous and new.flags.f_contiguous:
        old, new = old.T, new.T
    if not old.ndim:
        yield old, new
        return
    flats = [one.reshape(-1) for one in (old, new)]
    for begin in range(0, max(1, flats[0].size), _BLOCK):
        yield flats[0][begin : begin + _BLOCK], flats[1][begin : begin + _BLOCK]


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
