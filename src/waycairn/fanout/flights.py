"""Which items run right now, in a file: the death of this process leaves their names behind.

The file is mapped into memory, so that naming an item costs less than a microsecond, and what is written there
survives the process, which is all that is asked: a power cut is no fault of an item. It is not flushed, and a file
that a power cut left torn is ignored.

Layout: head (magic, counts, a hash of the suspects, whether one item runs alone, version), suspects (digest and number of
deaths), slots (the digest of the item that a worker runs, or zeros).
"""

from __future__ import annotations

import logging
import mmap
import os
import struct
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from blake3 import blake3

from waycairn.world.crashpoints import crashpoint
from waycairn.world.files import translated, write_all

log = logging.getLogger("waycairn")

_HEAD = struct.Struct("<8sII16s?B6x")
_MAGIC, _VERSION = b"WCFLIGHT", 1
_ALONE = 32
"""Offset of the mark that one item runs alone."""
_DIGEST = 16
_NOBODY = bytes(_DIGEST)
_SUSPECT = struct.Struct("<16sB")
_ALONE_FROM = 200
"""From here on the number counts deaths while the item ran alone."""
PROVEN = _ALONE_FROM + 3
"""One such death may be the fault of whoever killed the process from outside; three are not."""


class FlightLog:
    """Implements `ports.Flights`; `suspects` are those of the entry before.

    `begin` and `end` are called by the worker that has the slot, everything else by the owner's thread.
    """

    def __init__(self, path: Path | None, slots: int) -> None:
        """At `path`, or where that cannot be written (None: there is no such place) in a temporary file, which tells
        which worker process ran what, and nothing to the next entry."""
        self.suspects: dict[bytes, int] = _read(path) if path is not None else {}
        """Items that ran when the process died, and how often that was."""
        self._file, self._slots = self._create(path, slots)
        self.path = str(self._file)

    def _create(self, path: Path | None, slots: int) -> tuple[Path, int]:
        content = _content(self.suspects, slots)
        if path is not None:
            try:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._map = _write(path, content)
            except OSError as error:
                with suppress(OSError):
                    path.unlink()
                log.warning("items that kill this process cannot be found: %s cannot be written (%s)", path, error)
            else:
                return path, len(content) - slots * _DIGEST
        handle, name = tempfile.mkstemp(prefix="waycairn-flights-")
        os.close(handle)
        with translated("the list of running items", name):
            self._map = _write(Path(name), content)
        return Path(name), len(content) - slots * _DIGEST

    def begin(self, slot: int, digest: bytes) -> None:
        """The worker of that slot begins an item."""
        at = self._slots + slot * _DIGEST
        self._map[at : at + _DIGEST] = digest

    def end(self, slot: int) -> None:
        """It does nothing now."""
        self.begin(slot, _NOBODY)

    def running(self, slot: int) -> bytes | None:
        """What it runs."""
        at = self._slots + slot * _DIGEST
        found = self._map[at : at + _DIGEST]
        return None if found == _NOBODY else found

    def alone(self, is_alone: bool) -> None:
        """From here on one item runs alone, or no longer."""
        self._map[_ALONE] = is_alone
        crashpoint("flights.alone")

    def close(self) -> None:
        """The work ended, well or not, but the process lives: nothing is suspect."""
        crashpoint("flights.close")
        with suppress(FileNotFoundError):
            self._file.unlink()
        crashpoint("flights.close.done")
        self._map.close()


class Slots:
    """The same file, seen from a worker process."""

    def __init__(self, path: str) -> None:
        with Path(path).open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        _, slots, *_ = _HEAD.unpack_from(self._map)
        self._start = len(self._map) - slots * _DIGEST
        self.path = path

    def begin(self, slot: int, digest: bytes) -> None:
        at = self._start + slot * _DIGEST
        self._map[at : at + _DIGEST] = digest

    def end(self, slot: int) -> None:
        self.begin(slot, _NOBODY)


def _content(suspects: Mapping[bytes, int], slots: int) -> bytes:
    body = b"".join(_SUSPECT.pack(digest, deaths) for digest, deaths in suspects.items())
    head = _HEAD.pack(_MAGIC, slots, len(suspects), blake3(body).digest(16), False, _VERSION)
    return head + body + bytes(slots * _DIGEST)


def _write(path: Path, content: bytes) -> mmap.mmap:
    """A new file in place of the old one: a former owner that still lives keeps writing to its own."""
    new = path.with_name(f"{path.name}.new")
    handle = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        crashpoint("flights.write")
        write_all(handle, content)  # all of it: a full disk must refuse here, not kill when the memory is written
        crashpoint("flights.written")
        new.replace(path)
        crashpoint("flights.named")
        return mmap.mmap(handle, len(content))
    finally:
        os.close(handle)


def _read(path: Path) -> dict[bytes, int]:
    """The suspects of the entry before: those that were suspect, and those that ran when it died."""
    try:
        content = path.read_bytes()
        magic, slots, count, digest, is_alone, version = _HEAD.unpack_from(content)
    except (OSError, struct.error):
        return {}
    body = content[_HEAD.size : _HEAD.size + count * _SUSPECT.size]
    if (magic, version) != (_MAGIC, _VERSION) or blake3(body).digest(16) != digest:
        return {}
    suspects = dict(_SUSPECT.iter_unpack(body))
    start = _HEAD.size + count * _SUSPECT.size
    # The number of slots is under no hash: a damaged one must not keep the owner counting.
    for at in range(start, min(start + slots * _DIGEST, len(content)), _DIGEST):
        running = content[at : at + _DIGEST]
        if len(running) == _DIGEST and running != _NOBODY:
            before = suspects.get(running, 0)
            if is_alone:
                suspects[running] = min(max(before, _ALONE_FROM) + 1, PROVEN)
            else:
                suspects[running] = min(before + 1, _ALONE_FROM)
    return suspects
