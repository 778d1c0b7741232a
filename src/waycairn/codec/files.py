"""The files below a directory as a document: that of the same dict, `{"a/b.txt": b"..."}`, read section by section."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import msgspec

from waycairn.codec import codes
from waycairn.codec.cuts import ELEMENT
from waycairn.codec.tree import encode
from waycairn.errors import FilesChanged
from waycairn.model.encoded import Encoded, Section, Streamed
from waycairn.model.files import Files
from waycairn.model.grouping import groups_of
from waycairn.world.ahead import map_ahead

_SECTION = 16 * 1024 * 1024
"""Bytes that are read at once. A longer file is cut at each multiple of it, whatever it holds."""
_AHEAD = 2
"""Sections that are read while another is cut."""
_SMALL = 1024 * 1024
"""Files of fewer bytes together are read into a dict."""
_LARGEST = 2**32 - 1

_encode = msgspec.msgpack.Encoder().encode


class _File(NamedTuple):
    """As it was when it was listed."""

    name: str
    path: Path
    size: int
    mark: tuple[int, ...]

    @property
    def key(self) -> bytes:
        return _encode(self.name)


class _Part(NamedTuple):
    """Bytes of a file, and what stands before them in the document."""

    file: _File
    key: bytes
    head: bytes
    start: int
    taken: int

    @property
    def size(self) -> int:
        """In the document."""
        return len(self.key) + len(self.head) + self.taken


def encode_files(files: Files) -> Encoded | Streamed:
    """For a save. Raises FileNotFoundError or NotADirectoryError if there is no such directory, ValueError for what is neither a
    file nor a directory, TypeError for a file of 4 GiB or more, FilesChanged if one is written to meanwhile."""
    found = _listed(files.directory)
    size = sum(file.size for file in found)
    if size < _SMALL:
        return encode({file.name: _whole(file) for file in found})
    head = bytes((codes.VERSION, 0)) + _map_head(len(found))
    parts = [part for file in found for part in _parts(file)]
    return Streamed(len(head) + sum(part.size for part in parts), lambda: _sections(head, parts))


def _listed(directory: Path) -> list[_File]:
    def refuse(error: OSError) -> None:
        raise error

    found: list[_File] = []
    for place, folders, names in os.walk(directory, onerror=refuse):
        links = [name for name in folders if Path(place, name).is_symlink()]
        for name in (*names, *links):
            path = Path(place, name)
            facts = path.stat()
            if not stat.S_ISREG(facts.st_mode):
                raise ValueError(
                    f"{path} is neither a file nor a directory. Nothing was saved. Leave it out, or use `waycairn backup`, which "
                    "keeps links."
                )
            found.append(_File(_name_of(path, directory), path, facts.st_size, _mark(facts)))
    return sorted(found)


def _name_of(path: Path, directory: Path) -> str:
    name = path.relative_to(directory).as_posix()
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ValueError(f"the name of {os.fsencode(path)!r} is not UTF-8. Nothing was saved. Rename it.") from None
    return name


def _mark(facts: os.stat_result) -> tuple[int, ...]:
    """What differs once somebody has written to a file, or another one has its name."""
    return facts.st_size, facts.st_mtime_ns, facts.st_ino, facts.st_dev


# -- reading -------------------------------------------------------------------------------------------------------


def _whole(file: _File) -> bytes:
    data = bytearray(file.size)
    _read_into(file, memoryview(data), 0)
    return bytes(data)


def _read_into(file: _File, memory: memoryview, start: int) -> None:
    """Bytes of it from `start`, as many as there is memory for."""
    handle = os.open(file.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        done = 0
        while done < len(memory) and (count := os.preadv(handle, [memory[done:]], start + done)):
            done += count
        if done < len(memory) or _mark(os.fstat(handle)) != file.mark:
            raise FilesChanged(
                f"{file.path} was written to while it was saved. Nothing was saved. Save again when nobody writes to it, or a "
                "copy of it.",
                path=str(file.path),
            )
    finally:
        os.close(handle)


def _parts(file: _File) -> Iterator[_Part]:
    if file.size > _LARGEST:
        raise TypeError(f"{file.path} has {file.size} bytes: 4 GiB or more. Nothing was saved. Split it.")
    key, head = file.key, _bytes_head(file.size)
    for start in range(0, file.size or 1, _SECTION):
        yield _Part(file, key, head, start, min(_SECTION, file.size - start))
        key = head = b""


def _sections(head: bytes, parts: Sequence[_Part]) -> Iterator[Section]:
    yield Section(memoryview(head), ())
    memories = [bytearray()] * (_AHEAD + 1)

    def read(numbered: tuple[int, list[_Part]]) -> Section:
        number, together = numbered
        size = sum(part.size for part in together)
        if len(memories[number % len(memories)]) < size:
            memories[number % len(memories)] = bytearray(size)
        return _read(together, memoryview(memories[number % len(memories)])[:size])

    yield from map_ahead(read, enumerate(groups_of(parts, _SECTION)), threads=1, ahead=_AHEAD)


def _read(parts: Sequence[_Part], memory: memoryview) -> Section:
    cuts: dict[int, None] = {}
    at = 0
    for part in parts:
        start, value = at, at + len(part.key)
        at = value + len(part.head)
        memory[start:at] = part.key + part.head
        _read_into(part.file, memory[at : at + part.taken], part.start)
        at += part.taken
        # As `find_cuts` would.
        if at - start >= ELEMENT or part.taken < part.file.size:
            cuts[start] = cuts[at] = None
        elif crc32(memory[value:at]) % ELEMENT < at - start:
            cuts[at] = None
    return Section(memory, [cut for cut in cuts if 0 < cut < at])


# -- as msgpack has it ---------------------------------------------------------------------------------------------


def _map_head(count: int) -> bytes:
    if count < 16:
        return bytes((0x80 | count,))
    return b"\xde" + count.to_bytes(2, "big") if count < 2**16 else b"\xdf" + count.to_bytes(4, "big")


def _bytes_head(size: int) -> bytes:
    for first, width in ((0xC4, 1), (0xC5, 2), (0xC6, 4)):
        if size < 1 << 8 * width:
            return bytes((first,)) + size.to_bytes(width, "big")
    raise AssertionError(size)
