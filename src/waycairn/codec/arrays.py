"""numpy arrays and scalars. Imported only once the state, or stored data, holds one."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from waycairn.codec import codes, generators
from waycairn.codec.contract import Node, Pack, Packing, Unpack, Unpacking
from waycairn.codec.dtypes import describe, restore
from waycairn.codec.marks import Mark, mark
from waycairn.codec.problems import Unstorable

_ARRAY, _SCALAR = mark(codes.ARRAY), mark(codes.NUMPY_SCALAR)

Array = np.ndarray[Any, Any]


class ArrayRegion:
    """The memory of one array. Its node is [mark, dtype, shape, strides or nil, offset, place]."""

    __slots__ = ("_array", "_node", "high", "low", "root", "width")

    def __init__(self, array: Array, node: list[Node]) -> None:
        self._array = array
        self._node = node
        self.width = _width(array.dtype)
        root = array if array.base is None else _root(array)
        if root is None:
            self._array = root = np.ascontiguousarray(array)
        self.root, self.low, self.high = root, 0, array.nbytes
        if root is not self._array:
            start, _ = _bounds(root)
            low, high = _bounds(array)
            self.low, self.high = low - start, high - start

    def alone(self) -> memoryview:
        array = self._array
        if not array.flags.c_contiguous:
            order = _dense_order(array)
            if order is None:
                array = np.ascontiguousarray(array)
            else:
                self._node[3] = list(array.strides)
                array = array.transpose(order)
        return _bytes_of(array)

    def root_bytes(self, low: int, high: int) -> memoryview:
        root = np.asarray(self.root)  # it may be a memmap or a matrix
        order = _dense_order(root)
        assert order is not None, "an array is a root only if it is dense"
        return _bytes_of(root.transpose(order))[low:high]

    def begin(self, low: int) -> None:
        start, _ = _bounds(self.root)
        self._node[3] = list(self._array.strides)
        self._node[4] = _address(self._array) - start - low

    def place(self, where: int | bytes) -> None:
        self._node[5] = where


def _width(dtype: np.dtype[Any]) -> int:
    """Of the numbers that lie one behind the other: 0 for records and text."""
    if dtype.kind in "biufmM":
        return dtype.itemsize
    return dtype.itemsize // 2 if dtype.kind == "c" else 0


def _address(array: Array) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def _bounds(array: Array) -> tuple[int, int]:
    """First address and the one behind the last, of any byte that the array shows; it is not empty."""
    low, high = _reach(array.shape, array.strides)
    address = _address(array)
    return address + low, address + high + array.itemsize


def _reach(shape: Sequence[int], strides: Sequence[int]) -> tuple[int, int]:
    """How far the first byte of an element lies before and behind that of the first one."""
    steps = [(length - 1) * stride for length, stride in zip(shape, strides, strict=True)]
    return sum(step for step in steps if step < 0), sum(step for step in steps if step > 0)


def _dense_order(array: Array) -> Sequence[int] | None:
    """The order of axes in which the array is C-contiguous, None if there is none (gaps, repeats, reversed)."""
    order = sorted(range(array.ndim), key=lambda axis: (-array.strides[axis], -array.shape[axis]))
    return order if array.transpose(order).flags.c_contiguous else None


def _bytes_of(array: Array) -> memoryview:
    """A C-contiguous array's memory, uncopied."""
    flat: Any = array.reshape(-1).view(np.uint8)
    return memoryview(flat)


def _root(array: Array) -> Array | None:
    """The array whose memory this one shows part of: the outermost dense one, if there is one."""
    root = None
    candidate: Any = array
    while isinstance(candidate, np.ndarray):
        if not candidate.dtype.hasobject and _dense_order(candidate) is not None:
            root = candidate
        candidate = candidate.base
    return root


def _pack_array(walk: Packing, value: Array) -> Node:
    node = [_ARRAY, describe(value.dtype), list(value.shape), None, 0, b""]
    walk.marked(_ARRAY, value, ())
    if value.nbytes:
        walk.memory(ArrayRegion(value, node))
    return node


def _pack_scalar(walk: Packing, value: np.generic) -> Node:
    if type(value) is not value.dtype.type or type(value) is np.record:
        raise Unstorable(
            f"is a {type(value).__name__}, which would come back as a numpy scalar. Convert it with item()."
        )
    if isinstance(value, np.str_ | np.bytes_):  # numpy's own buffers drop NULs at the end
        return walk.marked(_SCALAR, value, (value[:],), [value.dtype.kind])
    return walk.marked(_SCALAR, value, (), [describe(value.dtype), value.tobytes()])


def _unpack_array(walk: Unpacking, _: Mark, raw: list[Any]) -> Array:
    __, description, shape, strides, offset, where = raw
    dtype = restore(description)
    if not all(type(length) is int and 0 <= length < 2**62 for length in shape):
        raise ValueError("not the shape of an array")
    if not prod(shape) * dtype.itemsize:
        return np.zeros(shape, dtype)
    if strides is None:
        strides = [prod(shape[axis + 1 :]) * dtype.itemsize for axis in range(len(shape))]
    # numpy's own check computes in 64 bits, where strides from damaged data overflow into memory that is not ours.
    low, high = _reach(shape, strides)
    if type(offset) is not int or offset + low < 0:
        raise ValueError("an array begins before its buffer")
    memory = walk.memory(where, offset + high + dtype.itemsize)
    return np.ndarray(shape, dtype, memory, offset, strides)


def _unpack_scalar(_: Unpacking, __: Mark, raw: list[Any]) -> Any:
    ___, description, data = raw
    if description == "U" and type(data) is str:
        return np.str_(data)
    if description == "S" and type(data) is bytes:
        return np.bytes_(data)
    dtype = restore(description)
    return np.ndarray((), dtype, bytearray(memoryview(data)))[()]


def find_pack(kind: type) -> Pack | None:
    if kind is np.ndarray:
        return _pack_array
    if issubclass(kind, np.ndarray):
        raise Unstorable(
            f"is a {kind.__module__}.{kind.__qualname__}, a kind of array that would come back as a plain one. Convert "
            "it with numpy.asarray(...)."
        )
    if issubclass(kind, np.generic):
        return _pack_scalar
    return generators.PACK.get(kind)


# -- arrays that are there -------------------------------------------------------------------------------------------


class _ArrayFiller:
    """See `filling.Filler`."""

    code = codes.ARRAY

    def takes(self, target: Any) -> bool:
        return isinstance(target, np.ndarray)

    def describe(self, target: Array) -> str:
        return _in_words(target.dtype, target.shape)

    def describe_stored(self, node: list[Any]) -> str:
        return _in_words(restore(node[1]), node[2])

    def refuse(self, target: Array) -> str | None:
        if not target.flags.writeable:
            return "that is read-only"
        repeats = any(length > 1 and not stride for length, stride in zip(target.shape, target.strides, strict=True))
        return "that shows the same element more than once" if repeats else None

    def fits(self, target: Array, node: list[Any]) -> bool:
        return list(target.shape) == node[2] and bool(restore(node[1]) == target.dtype)

    def memory(self, target: Array, node: list[Any]) -> memoryview | None:
        _, __, ___, strides, offset, ____ = node
        order = _dense_order(target)
        if order is None or offset or not target.nbytes:
            return None
        as_stored = target.flags.c_contiguous if strides is None else list(target.strides) == strides
        return _bytes_of(np.asarray(target).transpose(order)) if as_stored else None

    def copy(self, target: Array, value: Array) -> None:
        target[...] = value


def _in_words(dtype: np.dtype[Any], shape: Sequence[int]) -> str:
    return f"a numpy array of {dtype} and shape {tuple(shape)}"


FILLER = _ArrayFiller()
UNPACK: dict[int, Unpack] = {
    codes.ARRAY: _unpack_array,
    codes.NUMPY_SCALAR: _unpack_scalar,
    **generators.UNPACK,
}
