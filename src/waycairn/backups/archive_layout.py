"""Where everything lies in a .tar of which only names and sizes are known: so its length is told before a byte of it is read, and
it is read from anywhere. The same entries give the same bytes, whenever and wherever that is.

What it makes is POSIX pax, as `tarfile` writes it: names that are long or not ASCII, and sizes of 8 GiB and more, have a header of
their own before.
"""

from __future__ import annotations

import tarfile
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_BLOCK = tarfile.BLOCKSIZE
_USTAR_NAME, _USTAR_SIZE = 100, 8**11
"""Beyond these it takes more than one block."""


@dataclass(frozen=True, slots=True)
class Entry:
    name: str
    """A relative path; of a folder it ends with a slash."""
    size: int


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes of an entry, from the first one to before the last."""

    number: int
    first: int
    last: int


class ArchiveLayout:
    """Immutable: any thread may use it."""

    def __init__(self, entries: Sequence[Entry], moment: int) -> None:
        """`moment`: when all of it was last changed, in seconds since 1970."""
        self._entries = entries
        self._moment = moment
        self._starts = array("Q")
        at = 0
        for entry in entries:
            self._starts.append(at)
            at += _header_length(entry) + entry.size + _padding(entry.size)
        self._ends = at
        self.size = at + len(self._trailer())
        """Bytes of the whole archive."""

    def pieces(self, start: int, stop: int) -> Iterator[bytes | Content]:
        """What lies there, in order: bytes, or of which entry they are."""
        at = max(0, bisect_right(self._starts, start) - 1)
        for number in range(at, len(self._entries)):
            if self._starts[number] >= stop:
                return
            yield from self._pieces_of(number, start, stop)
        yield from _cut(self._trailer(), self._ends, start, stop)

    def _pieces_of(self, number: int, start: int, stop: int) -> Iterator[bytes | Content]:
        entry = self._entries[number]
        header = self._header(entry)
        begin = self._starts[number]
        yield from _cut(header, begin, start, stop)
        begin += len(header)
        first, last = max(start - begin, 0), min(stop - begin, entry.size)
        if first < last:
            yield Content(number, first, last)
        yield from _cut(bytes(_padding(entry.size)), begin + entry.size, start, stop)

    def _header(self, entry: Entry) -> bytes:
        info = tarfile.TarInfo(entry.name)
        info.size, info.mtime = entry.size, self._moment
        info.type, info.mode = (tarfile.DIRTYPE, 0o700) if entry.name.endswith("/") else (tarfile.REGTYPE, 0o600)
        return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")

    def _trailer(self) -> bytes:
        """Two empty blocks, and as many as fill the last record."""
        return bytes(2 * _BLOCK + -(self._ends + 2 * _BLOCK) % tarfile.RECORDSIZE)


def _header_length(entry: Entry) -> int:
    """Without making it: a header of its own, and the records in it, for what the plain one cannot hold."""
    name = entry.name.encode("utf-8", "surrogateescape")
    records = 0
    if len(name) > _USTAR_NAME or not entry.name.isascii():
        records += _record_length("path", len(name))
    if entry.size >= _USTAR_SIZE:
        records += _record_length("size", len(str(entry.size)))
    return _BLOCK if records == 0 else 2 * _BLOCK + records + _padding(records)


def _record_length(key: str, value: int) -> int:
    """Of `LENGTH KEY=VALUE` and a line break, where LENGTH counts itself."""
    rest = len(key) + value + 3
    length = rest + len(str(rest))
    return rest + len(str(length))


def _padding(size: int) -> int:
    return -size % _BLOCK


def _cut(data: bytes, begin: int, start: int, stop: int) -> Iterator[bytes]:
    """Of `data`, which lies at `begin`, what is in between."""
    part = data[max(start - begin, 0) : max(stop - begin, 0)]
    if part:
        yield part
