"""A document that holds names and bytes, or texts, written to files while it is read: whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from waycairn.codec import codes
from waycairn.model.files import Files
from waycairn.world.files import write_all

_LOOK = 512
"""Bytes in which the head of a file is looked for first; more if its name is longer."""
_MAP = {0xDE: 2, 0xDF: 4}
_VALUE = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
"""msgpack: the first byte of maps, bytes and texts whose length stands in so many bytes behind it."""


@contextmanager
def writing_files(into: Files) -> Iterator[FileWriter]:
    """Take a document within the block: its files are there, readable by their owner only, when the block ends well, and none of
    them is when it does not. They are not flushed. Killed meanwhile it leaves `.NAME.PID.part` beside. Raises FileExistsError
    if there is something, ValueError for a document that is none of files, OSError if they cannot be written."""
    place = into.directory.absolute()
    if os.path.lexists(place) and not (place.is_dir() and not place.is_symlink() and not any(place.iterdir())):
        raise FileExistsError(
            f"{place} is there already. Nothing was written. Choose a directory that is new or empty."
        )
    draft = place.with_name(f".{place.name}.{os.getpid()}.part")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700, parents=True)
    writer = FileWriter(draft)
    try:
        try:
            yield writer
            writer.end()
        finally:
            writer.close()
        draft.replace(place)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


class FileWriter:
    """Takes the bytes of one document, in parts of any size."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made = {""}
        self._head = b""
        """What is known of the head of the document or of a file, as long as that is not all of it."""
        self._files: int | None = None
        """How many are still to come; None before the head of the document."""
        self._handle = -1
        self._left = 0
        """Bytes of the file at hand that are to come."""

    def take(self, data: memoryview) -> None:
        while len(data):
            if self._left:
                some = data[: self._left]
                write_all(self._handle, some)
                self._left -= len(some)
                data = data[len(some) :]
                if not self._left:
                    self.close()
                continue
            if self._files == 0:
                raise _no_files("there is more behind its last value")
            known = len(self._head)
            self._head += data[:_LOOK]
            read = self._begin() if self._files is None else self._next(self._files)
            if read is None:
                data = data[_LOOK:]
            else:
                self._head = b""
                data = data[read - known :]

    def end(self) -> None:
        if self._files != 0 or self._left:
            raise _no_files("it ends in the midst of a value")

    def close(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    # -- heads -----------------------------------------------------------------------------------------------------
    # Each of these reads what `_head` begins with: the bytes that it took, or None if more are needed.

    def _begin(self) -> int | None:
        if len(self._head) < 3:
            return None
        version, flags, first = self._head[:3]
        if version != codes.VERSION or flags:
            raise _no_files("it holds more than plain values")
        if 0x80 <= first <= 0x8F:
            self._files = first & 0x0F
            return 3
        if first not in _MAP:
            raise _no_files("it is no dict")
        end = 3 + _MAP[first]
        if len(self._head) < end:
            return None
        self._files = int.from_bytes(self._head[3:end], "big")
        return end

    def _next(self, files: int) -> int | None:
        key = _sized(self._head, 0)
        if key is None or len(self._head) <= key[1]:
            return None
        start, begins, is_text = key
        name = self._head[start:begins].decode()
        if not is_text:
            raise _no_files("a key is no text")
        value = _sized(self._head, begins, name)
        if value is None:
            return None
        self._files = files - 1
        self._open(name)
        self._left = value[1] - value[0]
        if not self._left:
            self.close()
        return value[0]

    def _open(self, name: str) -> None:
        folder, _, _ = name.rpartition("/")
        if "\0" in name or not all(part not in ("", ".", "..") for part in name.split("/")):
            raise _no_files(f"{name!r} is no relative name of a file")
        if folder not in self._made:
            (self._folder / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
            self._made.add(folder)
        self._handle = os.open(self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)


def _sized(head: bytes, at: int, of: str | None = None) -> tuple[int, int, bool] | None:
    """Where bytes or a text begin and end, and whether it is a text; None if that is not known yet."""
    if len(head) <= at:
        return None
    first = head[at]
    if 0xA0 <= first <= 0xBF:
        return at + 1, at + 1 + (first & 0x1F), True
    if first not in _VALUE:
        raise _no_files("a key is no text" if of is None else f"{of!r} is neither bytes nor a text")
    start = at + 1 + _VALUE[first]
    if len(head) < start:
        return None
    return start, start + int.from_bytes(head[at + 1 : start], "big"), first >= 0xD9


def _no_files(why: str) -> ValueError:
    return ValueError(
        f"what is stored is not a dict of names to bytes or texts: {why}. Nothing was written. Load it without into=."
    )
