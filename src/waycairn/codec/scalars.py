"""Values that are one extension value each: integers of any size, times, decimals, paths."""

from __future__ import annotations

import datetime as dt
import re
import struct
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path, PosixPath, PurePath, PurePosixPath, PureWindowsPath, WindowsPath
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec.msgpack import Ext

from waycairn.codec import codes
from waycairn.codec.problems import Unstorable
from waycairn.errors import UnknownType

_DATE = struct.Struct(">HBB")
_TIME = struct.Struct(">BBBIB")
_OFFSET = struct.Struct(">q")
_TIMEDELTA = struct.Struct(">iII")
_COMPLEX = struct.Struct("<dd")

_MICROSECOND = dt.timedelta(microseconds=1)
# Names as the tz database has them; a dot or a leading slash never reaches the file system.
_ZONE = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")

_PATHS: dict[type[PurePath], bytes] = {
    PurePosixPath: b"p",
    PosixPath: b"P",
    PureWindowsPath: b"w",
    WindowsPath: b"W",
}
_PATH_KINDS: dict[bytes, type[PurePath]] = {code: kind for kind, code in _PATHS.items()}
_PURE: dict[bytes, type[PurePath]] = {b"P": PurePosixPath, b"W": PureWindowsPath}

_CONSTANTS: dict[bytes, Any] = {b"e": Ellipsis, b"n": NotImplemented, b"u": msgspec.UNSET}


def _pack_int(value: int) -> Any:
    if -(2**63) <= value < 2**64:
        return value
    return Ext(codes.BIG_INT, value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True))


def _pack_str(value: str) -> Any:
    try:
        value.encode()
    except UnicodeEncodeError:
        return Ext(codes.SURROGATES, value.encode("utf-8", "surrogatepass"))
    return value


def _pack_zone(zone: dt.tzinfo | None) -> bytes:
    if zone is None:
        return b""
    if type(zone) is ZoneInfo and zone.key:
        return b"z" + zone.key.encode()
    if type(zone) is dt.timezone:
        arguments: tuple[Any, ...] = zone.__getinitargs__()  # type: ignore[attr-defined]  # (offset[, name])
        name = arguments[1].encode("utf-8", "surrogatepass") if len(arguments) > 1 else None
        offset = _OFFSET.pack(arguments[0] // _MICROSECOND)
        return b"o" + offset if name is None else b"n" + offset + name
    raise Unstorable(
        f"has the time zone {zone!r}, which cannot be stored. Use datetime.timezone or zoneinfo.ZoneInfo(name)."
    )


def _unpack_zone(data: bytes) -> dt.tzinfo | None:
    if not data:
        return None
    kind, rest = data[:1], data[1:]
    if kind == b"z":
        return _zone(rest.decode())
    offset = dt.timedelta(microseconds=_OFFSET.unpack(rest[:8])[0])
    if kind == b"o" and len(rest) == 8:
        return dt.timezone(offset)
    if kind == b"n":
        return dt.timezone(offset, rest[8:].decode("utf-8", "surrogatepass"))
    raise ValueError("no such kind of time zone")


def _zone(key: str) -> ZoneInfo:
    if not _ZONE.fullmatch(key):
        raise ValueError("not the name of a time zone")
    try:
        return ZoneInfo(key)
    except (ZoneInfoNotFoundError, OSError):
        raise UnknownType(
            f"the stored data uses the time zone {key!r}, which this machine does not know. Nothing was lost. "
            "Install the tzdata package and run again.",
            name=key,
        ) from None


def _time_fields(value: dt.time | dt.datetime) -> bytes:
    return _TIME.pack(value.hour, value.minute, value.second, value.microsecond, value.fold)


def _pack_date(value: dt.date) -> Ext:
    return Ext(codes.DATE, _DATE.pack(value.year, value.month, value.day))


def _pack_time(value: dt.time) -> Ext:
    return Ext(codes.TIME, _time_fields(value) + _pack_zone(value.tzinfo))


def _pack_datetime(value: dt.datetime) -> Ext:
    date = _DATE.pack(value.year, value.month, value.day)
    return Ext(codes.DATETIME, date + _time_fields(value) + _pack_zone(value.tzinfo))


def _unpack_time(data: bytes) -> dt.time:
    hour, minute, second, microsecond, fold = _TIME.unpack_from(data)
    return dt.time(hour, minute, second, microsecond, _unpack_zone(data[_TIME.size :]), fold=fold)


def _unpack_datetime(data: bytes) -> dt.datetime:
    date, time = dt.date(*_DATE.unpack_from(data)), _unpack_time(data[_DATE.size :])
    return dt.datetime.combine(date, time)


def _pack_timedelta(value: dt.timedelta) -> Ext:
    return Ext(codes.TIMEDELTA, _TIMEDELTA.pack(value.days, value.seconds, value.microseconds))


def _pack_path(value: PurePath) -> Ext:
    return Ext(codes.PATH, _PATHS[type(value)] + str(value).encode("utf-8", "surrogatepass"))


def _unpack_path(data: bytes) -> PurePath:
    code = data[:1]
    kind = _PATH_KINDS[code]
    if issubclass(kind, Path) and kind is not type(Path()):
        kind = _PURE[code]  # a path of the other system: it can be read here, not opened
    return kind(data[1:].decode("utf-8", "surrogatepass"))


def _pack_constant(value: Any) -> Ext:
    return Ext(codes.CONSTANT, next(code for code, constant in _CONSTANTS.items() if constant is value))


PACK: dict[type, Callable[[Any], Any]] = {
    int: _pack_int,
    str: _pack_str,
    complex: lambda value: Ext(codes.COMPLEX, _COMPLEX.pack(value.real, value.imag)),
    dt.date: _pack_date,
    dt.time: _pack_time,
    dt.datetime: _pack_datetime,
    dt.timedelta: _pack_timedelta,
    Decimal: lambda value: Ext(codes.DECIMAL, str(value).encode()),
    UUID: lambda value: Ext(codes.UUID, value.bytes),
    **dict.fromkeys(_PATHS, _pack_path),
    **{type(constant): _pack_constant for constant in _CONSTANTS.values()},
}
"""Exact type to its node."""

UNPACK: dict[int, Callable[[bytes], Any]] = {
    codes.BIG_INT: lambda data: int.from_bytes(data, "little", signed=True),
    codes.COMPLEX: lambda data: complex(*_COMPLEX.unpack(data)),
    codes.SURROGATES: lambda data: data.decode("utf-8", "surrogatepass"),
    codes.DATE: lambda data: dt.date(*_DATE.unpack(data)),
    codes.TIME: _unpack_time,
    codes.DATETIME: _unpack_datetime,
    codes.TIMEDELTA: lambda data: dt.timedelta(*_TIMEDELTA.unpack(data)),
    codes.DECIMAL: lambda data: Decimal(data.decode("ascii")),
    codes.UUID: lambda data: UUID(bytes=data),
    codes.PATH: _unpack_path,
    codes.CONSTANT: lambda data: _CONSTANTS[data],
}
"""Code of an extension value to what builds it. They raise the usual errors on damaged data."""
