"""A part of a member, read so that nothing is handed on that was not verified."""

from __future__ import annotations

from collections.abc import Iterator

from waycairn.backups.catalogue import BackupContents
from waycairn.errors import Damaged


def read_span(contents: BackupContents, name: str, start: int, stop: int) -> Iterator[bytes]:
    """The bytes from `start` to before `stop`, in pieces, each compared with its hash. All of a member is compared with its sum
    as well, before the last piece is given. Raises Damaged, KeyError."""
    size = contents.members[name].size
    if (start, stop) == (0, size):
        yield from _held_back(contents.payload.checked(name))
        return
    left = stop - start
    for piece in contents.read(name, start):
        if left <= 0:
            return
        yield piece[:left]
        left -= len(piece)
    if left > 0:
        raise Damaged(f"member {name!r} of backup {contents.record.id} is {left} bytes shorter than it was exported.")


def _held_back(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """One behind: what is wrong is told at the end, and before the last of them is given."""
    held = b""
    for piece in pieces:
        if held:
            yield held
        held = piece
    if held:
        yield held
