"""Holes of files: where there is data, without reading what is none."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence

_MOST = 10_000
"""Stretches of data that are remembered of one file; with more, its smallest holes are read as zeros."""
_BLOCK = 512


def data_of(handle: int, state: os.stat_result) -> list[tuple[int, int]] | None:
    """Offset and length of each stretch of data; None if the file has no holes, or the system does not tell."""
    if state.st_blocks * _BLOCK >= state.st_size or not hasattr(os, "SEEK_DATA"):
        return None
    try:
        found = list(_stretches(handle, state.st_size))
    except OSError as error:
        if error.errno == errno.EINVAL:
            return None
        raise
    if found == [(0, state.st_size)]:
        return None  # compressed by the file system, or not laid out yet
    least = 64 * 1024
    while len(found) > _MOST:
        found = _joined(found, least)
        least *= 4
    return found


def _stretches(handle: int, size: int, start: int = 0) -> Iterator[tuple[int, int]]:
    while start < size:
        try:
            begin = os.lseek(handle, start, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return  # a hole to the end
            raise
        if begin >= size:
            return
        start = min(os.lseek(handle, begin, os.SEEK_HOLE), size)
        yield begin, start - begin


def _joined(found: Sequence[tuple[int, int]], least: int) -> list[tuple[int, int]]:
    """Without the holes that are smaller than `least`."""
    joined = [found[0]]
    for offset, length in found[1:]:
        before, size = joined[-1]
        if offset - (before + size) < least:
            joined[-1] = (before, offset + length - before)
        else:
            joined.append((offset, length))
    return joined


def is_hole(handle: int, start: int, end: int) -> bool:
    """There are only zeros from here to there. Reads what the system does not know to be a hole."""
    if not hasattr(os, "SEEK_DATA"):
        return _is_zero(handle, start, end)
    return all(_is_zero(handle, begin, begin + length) for begin, length in _stretches(handle, end, start))


def _is_zero(handle: int, start: int, end: int) -> bool:
    while start < end:
        piece = os.pread(handle, min(2**20, end - start), start)
        if not piece or piece.count(0) != len(piece):
            return False
        start += len(piece)
    return True
