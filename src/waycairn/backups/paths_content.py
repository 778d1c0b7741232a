"""The bytes of a file, without its holes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence

from waycairn.backups.paths_entry import Entry
from waycairn.backups.paths_sparse import is_hole
from waycairn.chunks.sealing import sample_pays
from waycairn.errors import Damaged
from waycairn.world.crashpoints import crashpoint
from waycairn.world.files import write_all_at

_PIECE = 4 * 2**20
_NOISE_FROM = 2**20
"""Smaller files share chunks, and are compressed with their neighbours."""
_SAMPLES = 4
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""Not blocking: a pipe may have taken the name of the file."""


class CutShort(Exception):
    """The file ends before it should."""


def pieces(handle: int, ranges: Sequence[tuple[int, int]]) -> Iterator[bytes]:
    """What lies there, up to 4 MiB at a time. Raises CutShort."""
    for offset, length in ranges:
        at, end = offset, offset + length
        if length > _PIECE and hasattr(os, "posix_fadvise"):
            os.posix_fadvise(handle, offset, length, os.POSIX_FADV_SEQUENTIAL)
        while at < end:
            piece = os.pread(handle, min(_PIECE, end - at), at)
            if not piece:
                raise CutShort
            yield piece
            at += len(piece)


def is_noise(piece: bytes) -> bool:
    """Much that hardly compresses, by samples of it: weights, archives, videos. Stored as it is, in chunks of its own: cut,
    compressed and copied on the way, 128 MiB of weights took 0.75 s more of processor time, and became 8 % smaller."""
    if len(piece) < _NOISE_FROM:
        return False
    view, size = memoryview(piece), len(piece) // _SAMPLES
    return not any(sample_pays(view[at * size : (at + 1) * size]) for at in range(_SAMPLES))


def holds(folder: int, name: bytes, entry: Entry, sha256: str) -> bool:
    """A file has exactly the bytes of the backup."""
    handle = os.open(name, READ, dir_fd=folder)
    try:
        if os.fstat(handle).st_size != entry.size:
            return False
        found = hashlib.sha256()
        for piece in pieces(handle, entry.ranges):
            found.update(piece)
        return found.hexdigest() == sha256 and all(is_hole(handle, *hole) for hole in _holes(entry))
    except CutShort:
        return False
    finally:
        os.close(handle)


def _holes(entry: Entry) -> Iterator[tuple[int, int]]:
    at = 0
    for offset, length in (*entry.ranges, (entry.size, 0)):
        if offset > at:
            yield at, offset
        at = offset + length


def pour(handle: int, entry: Entry, data: Iterable[bytes]) -> None:
    """Write the bytes of a backup to where they were; holes are left. Raises Damaged if they do not fit."""
    ranges = iter(entry.ranges)
    offset = room = 0
    for piece in data:
        view = memoryview(piece)
        while view:
            while not room:
                offset, room = next(ranges, (-1, -1))
            if room < 0:
                raise _misfit(entry)
            part = view[:room]
            write_all_at(handle, part, offset)
            offset, room, view = offset + len(part), room - len(part), view[len(part) :]
            crashpoint("backup.paths.poured")
    if room or any(length for _, length in ranges):
        raise _misfit(entry)
    os.ftruncate(handle, entry.size)


def _misfit(entry: Entry) -> Damaged:
    return Damaged(
        f"the backup holds more or fewer bytes of {entry.name} than its facts say. The file was not restored. "
        "See `waycairn backup verify`.",
        entry=entry.name,
    )
