"""When a file was born: inodes are used again at once, birth times are not."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from functools import cache
from typing import Any

_FROM_HERE = -100  # AT_FDCWD
_THE_HANDLE = 0x1000  # AT_EMPTY_PATH
_WANTED = 0x800  # STATX_BTIME
_SIZE = 256
_BIRTH = struct.Struct("qI")
_BIRTH_AT = 0x50
_MASK_AT = 0x00


@cache
def _statx() -> Any:
    """Python 3.11 does not tell birth times on Linux; the C library does."""
    if not sys.platform.startswith("linux"):
        return None
    function = getattr(ctypes.CDLL(None), "statx", None)
    if function is not None:
        function.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.c_char_p]
        function.restype = ctypes.c_int
    return function


def born(path: bytes, status: os.stat_result) -> int:
    """Nanoseconds since 1970; 0 where the file system does not tell, or the file went away."""
    return _told(status) or _asked(_FROM_HERE, path, 0)


def born_open(handle: int, status: os.stat_result) -> int:
    """The same of a file that is open."""
    return _told(status) or _asked(handle, b"", _THE_HANDLE)


def _told(status: os.stat_result) -> int:
    return int(getattr(status, "st_birthtime", 0) * 1e9)


def _asked(directory: int, path: bytes, flags: int) -> int:
    statx = _statx()
    if statx is None:
        return 0
    buffer = ctypes.create_string_buffer(_SIZE)
    if statx(directory, path, flags, _WANTED, buffer) != 0:
        return 0
    (told_mask,) = struct.unpack_from("I", buffer, _MASK_AT)
    seconds, nanoseconds = _BIRTH.unpack_from(buffer, _BIRTH_AT)
    return int(seconds * 1_000_000_000 + nanoseconds) if told_mask & _WANTED else 0
