"""Logged points <-> bytes: column by column, every float exactly as it was.

Version 1 is msgpack: [1, steps, first time, milliseconds, columns]. Steps and milliseconds are differences to the point
before, each of the columns is [name, presence, values]: values are little-endian float64 one behind the other, presence is
None where all points have the metric, else a byte a point. Version 2 is the byte 0xC1 (which begins no msgpack), four
bytes of length, and a zstd frame of version 1 with the values by byte planes: of 1,000 losses the first planes are alike.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

import msgspec

from waycairn.model.journal import Point

if TYPE_CHECKING or sys.version_info < (3, 14):
    from backports import zstd
else:
    from compression import zstd

_LARGE = 512
"""Bytes of version 1 from which version 2 is tried."""
_PACKED = 0xC1
_MOST = 2**30
_Columns = list[tuple[str, bytes | None, bytes]]
_decoder = msgspec.msgpack.Decoder(tuple[int, list[int], float, list[int], _Columns])


def encode_points(points: Sequence[Point]) -> bytes:
    """Of one cut, in their order."""
    if not points:
        return b""
    columns = _columns_of(points)
    plain = _document(points, columns)
    if len(plain) < _LARGE:
        return plain
    planed = _document(points, [(name, presence, _to_planes(values)) for name, presence, values in columns])
    frame = zstd.compress(planed, 1)
    packed = bytes([_PACKED]) + len(planed).to_bytes(4, "little") + frame
    return packed if len(packed) < len(plain) else plain


def decode_points(data: bytes) -> list[Point]:
    """ValueError or a zstd error for what `encode_points` did not make."""
    if not data:
        return []
    is_packed = data[0] == _PACKED
    if is_packed:
        data = _unpacked(data)
    version, steps, first, moments, columns = _decoder.decode(data)
    if version != 1 or len(steps) != len(moments):
        raise ValueError(f"logged points of version {version}")
    points = [
        Point(step, first + moment / 1000, {})
        for step, moment in zip(accumulate(steps), accumulate(moments), strict=True)
    ]
    for name, presence, values in columns:
        numbers = _floats_of(_from_planes(values) if is_packed else values)
        having = points if presence is None else [point for point, has in zip(points, presence, strict=True) if has]
        for point, number in zip(having, numbers, strict=True):
            point.values[name] = number
    return points


def _document(points: Sequence[Point], columns: _Columns) -> bytes:
    steps = _differences(point.step for point in points)
    moments = _differences(round((point.at - points[0].at) * 1000) for point in points)
    return msgspec.msgpack.encode([1, steps, points[0].at, moments, columns])


def _columns_of(points: Sequence[Point]) -> _Columns:
    names = dict.fromkeys(name for point in points for name in point.values)
    return [_column_of(name, points) for name in names]


def _column_of(name: str, points: Sequence[Point]) -> tuple[str, bytes | None, bytes]:
    values = array("d", [point.values[name] for point in points if name in point.values])
    if sys.byteorder == "big":
        values.byteswap()
    presence = None if len(values) == len(points) else bytes(name in point.values for point in points)
    return name, presence, values.tobytes()


def _floats_of(data: bytes) -> Any:
    values = array("d", data)
    if sys.byteorder == "big":
        values.byteswap()
    return values


def _differences(numbers: Iterable[int]) -> list[int]:
    return [after - before for before, after in pairwise([0, *numbers])]


def _to_planes(values: bytes) -> bytes:
    return b"".join(values[plane::8] for plane in range(8))


def _from_planes(planes: bytes) -> bytes:
    count = len(planes) // 8
    values = bytearray(len(planes))
    for plane in range(8):
        values[plane::8] = planes[plane * count : (plane + 1) * count]
    return bytes(values)


def _unpacked(data: bytes) -> bytes:
    length = int.from_bytes(data[1:5], "little")
    if length > _MOST:
        raise ValueError(f"logged points of {length} bytes")
    decompressor = zstd.ZstdDecompressor()
    try:
        plain = decompressor.decompress(data[5:], max_length=length + 1)
    except zstd.ZstdError as error:
        raise ValueError(f"its points cannot be read: {error}") from None
    if len(plain) != length or not decompressor.eof:
        raise ValueError("its points are no whole frame")
    return plain
