"""Which call of a job fails, how, and what the device did with the data of a flush that failed."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import struct
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal

from programme.system_calls import Call, Listener

__all__ = ["CALLS", "Fault", "Refusing", "Report"]

KINDS = {
    "flush": ("fsync", "fdatasync"),
    "write": ("write", "pwrite64", "writev", "pwritev"),
    "open": ("open", "openat"),
    "truncate": ("truncate", "ftruncate"),
    "allocate": ("fallocate",),
    "rename": ("rename", "renameat", "renameat2"),
    "link": ("link", "linkat"),
    "unlink": ("unlink", "unlinkat", "rmdir"),
    "mkdir": ("mkdir", "mkdirat"),
    "read": ("read", "pread64", "readv", "preadv"),
    "list": ("getdents64",),
    "look": ("stat", "lstat", "fstat", "newfstatat", "statx"),
    "lock": ("flock",),
    "range lock": ("fcntl",),
    "map": ("mmap",),
}
_KIND = {name: kind for kind, names in KINDS.items() for name in names}
CALLS = frozenset(_KIND)
"""What a job must hand over."""

CHANGING = {"flush", "write", "truncate", "allocate", "rename", "link", "unlink", "mkdir"}
_NAMING = {"open", "truncate", "rename", "link", "unlink", "rmdir", "mkdir", "stat", "lstat"}
"""Calls whose first argument is a path."""
_NAMING_AT = {"openat", "renameat", "renameat2", "linkat", "unlinkat", "mkdirat", "newfstatat", "statx"}
"""Calls whose second argument is a path beside the directory that is the first."""
_LOCKS = {6, 7, 37, 38}
"""F_SETLK, F_SETLKW and those of an open file, among all that fcntl(2) does."""
_CREATE = os.O_CREAT
_GET_HANDLE = 438
"""pidfd_getfd(2), the same number everywhere."""
_PAGE = 4096

Lasts = Literal["once", "for ever", "dead"]
"""dead: from there on every call that changes something fails, as on a device that is gone."""


@dataclass(frozen=True, slots=True)
class Fault:
    """The `number`-th call of a kind below the job's folder fails with `error`."""

    kind: str
    number: int
    error: int
    lasts: Lasts = "once"
    short: bool = False
    """A write writes its first half, and the call after that fails: as a disk that fills up."""
    loses: Literal["", "late", "at once"] = ""
    """The data of a flush that fails never reach the medium: they are gone when the cache is, or at once."""

    def __str__(self) -> str:
        words = (self.kind.replace(" ", "-"), self.number, errno.errorcode[self.error], self.lasts.replace(" ", "-"))
        extra = (["half"] if self.short else []) + ([self.loses.replace(" ", "-")] if self.loses else [])
        return " ".join(map(str, (*words, *extra)))

    @classmethod
    def read(cls, text: str) -> Fault:
        """From what `str` gives."""
        kind, number, error, lasts, *extra = (word.replace("-", " ") for word in text.split())
        loses = next((word for word in extra if word != "half"), "")
        return cls(kind, int(number), getattr(errno, error), lasts, short="half" in extra, loses=loses)


@dataclass
class Report:
    """What was seen and done."""

    seen: Counter[str] = field(default_factory=Counter)
    """Calls below the folder, by kind."""
    refused: list[str] = field(default_factory=list)
    """Calls that were answered with an error, with the paths of their files."""


class Refusing:
    """Answers the calls of one job by one plan."""

    def __init__(self, folder: Path, fault: Fault | None) -> None:
        self._folder = f"{folder}/"
        self._fault = fault
        self._is_broken = False
        self._is_half = False
        self.report = Report()
        self._medium = _Medium(folder, fault.loses) if fault and fault.loses else None

    def serve(self, listener: Listener) -> Report:
        for call in listener.calls():
            try:
                self._answer(listener, call)
            except (FileNotFoundError, ProcessLookupError):  # the job is ending, with this thread still at work
                listener.go_on(call)
        if self._medium:
            self._medium.evict()
        return self.report

    def _answer(self, listener: Listener, call: Call) -> None:
        kind = _KIND[call.name]
        path = _file_of(call)
        if not path.startswith(self._folder):
            listener.go_on(call)
            return
        self.report.seen[kind] += 1
        if self._is_due(kind, call):
            assert self._fault
            if self._fault.short and not self._is_half and (written := _write_half(call)):
                self._is_half = True
                listener.return_value(call, written)
                return
            self.report.refused.append(f"{call.name} {path.removeprefix(self._folder)}")
            if self._medium and kind == "flush":
                self._medium.lose(call)
            listener.refuse(call, self._fault.error)
            return
        if self._medium:
            self._medium.note(kind, call)
        listener.go_on(call)

    def _is_due(self, kind: str, call: Call) -> bool:
        fault = self._fault
        if fault is None:
            return False
        if kind == fault.kind and self.report.seen[kind] == fault.number:
            self._is_broken = True
            return True
        if not self._is_broken:
            return False
        if self._is_half and not self.report.refused:
            return kind == fault.kind  # the other half
        if fault.lasts == "dead":
            return kind in CHANGING or (kind == "open" and bool(_flags_of_open(call) & _CREATE))
        return fault.lasts == "for ever" and kind == fault.kind


def _file_of(call: Call) -> str:
    """The path of the file that the call is about; nothing if it is about none."""
    if call.name in _NAMING:
        return call.path(0)
    if call.name in _NAMING_AT and not _is_nameless(call):
        return call.path(1, beside=0)
    if _is_no_lock(call):
        return ""
    return call.path_of_handle(4 if call.name == "mmap" else 0)


def _is_no_lock(call: Call) -> bool:
    """What else fcntl(2) does; and giving a lock back, which no kernel refuses."""
    if call.name == "flock":
        return call.arguments[1] & fcntl.LOCK_UN != 0
    if call.name != "fcntl":
        return False
    return call.arguments[1] not in _LOCKS or call.memory(call.arguments[2], 2) == struct.pack("h", fcntl.F_UNLCK)


def _is_nameless(call: Call) -> bool:
    """fstat(2) is made as newfstatat(handle, "") by newer C libraries."""
    return call.name in {"newfstatat", "statx"} and call.memory(call.arguments[1], 1) == b"\0"


def _flags_of_open(call: Call) -> int:
    return call.arguments[1 if call.name == "open" else 2]


# -- half a write --------------------------------------------------------------------------------------------------


def _write_half(call: Call) -> int:
    """Write the first half of what the call would write, in whole sectors if it is longer; how many bytes."""
    address, length = call.arguments[1], call.arguments[2]
    if call.name in {"writev", "pwritev"}:
        address, length = struct.unpack("QQ", call.memory(address, 16))
    half = length // 2 if length < 2 * _PAGE else length // 2 // _PAGE * _PAGE
    if not half:
        return 0
    # Page-aligned, since the file may be open around the page cache.
    with mmap.mmap(-1, half) as buffer, _same_file(call) as handle:
        buffer[:] = call.memory(address, half)
        if call.name in {"pwrite64", "pwritev"}:
            return os.pwrite(handle.fileno(), buffer, call.arguments[3])
        return os.write(handle.fileno(), buffer)


def _same_file(call: Call) -> BinaryIO:
    """The job's open file itself, with its position."""
    process = os.pidfd_open(call.process)
    try:
        handle = ctypes.CDLL(None, use_errno=True).syscall(_GET_HANDLE, process, call.handle(), 0)
    finally:
        os.close(process)
    if handle < 0:
        # Its first thread is gone, and with it the table of its files.
        raise ProcessLookupError(ctypes.get_errno(), "pidfd_getfd")
    return open(handle, "rb+", buffering=0)


# -- data that never reached the medium ------------------------------------------------------------------------------


class _Medium:
    """What Linux does with pages that could not be written: it marks them clean and forgets them. They are still to be
    read until the cache needs the room, a second flush says OK, and then the old bytes are back."""

    def __init__(self, folder: Path, loses: str) -> None:
        self._at_once = loses == "at once"
        self._durable = {_identity(path.stat()): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        self._lost: dict[tuple[int, int], tuple[int, dict[int, bytes]]] = {}

    def note(self, kind: str, call: Call) -> None:
        """A flush makes durable what is there; a page that is written again after it was lost is dirty again."""
        if kind == "flush" and (found := _open_again(call)):
            handle, identity = found
            self._durable[identity] = _content(handle)
            os.close(handle)
        if kind == "write" and self._lost:
            self._dirty_again(call)

    def lose(self, call: Call) -> None:
        found = _open_again(call)
        if not found:
            return
        handle, identity = found
        before, now = self._durable.get(identity, b""), _content(handle)
        pages = {
            page: before[page : page + _PAGE].ljust(min(_PAGE, len(now) - page), b"\0")
            for page in range(0, len(now), _PAGE)
            if before[page : page + _PAGE] != now[page : page + _PAGE]
        }
        if self._at_once:
            _put_back(handle, pages)
            os.close(handle)
        else:
            self._lost[identity] = handle, pages

    def evict(self) -> None:
        """The cache is gone: the old bytes are there."""
        for handle, pages in self._lost.values():
            _put_back(handle, pages)
            os.close(handle)

    def _dirty_again(self, call: Call) -> None:
        state = os.stat(f"/proc/{call.thread}/fd/{call.handle()}")
        if _identity(state) not in self._lost:
            return
        _, pages = self._lost[_identity(state)]
        start, length = _range_of_write(call)
        for page in range(start // _PAGE * _PAGE, start + length, _PAGE):
            pages.pop(page, None)


def _range_of_write(call: Call) -> tuple[int, int]:
    length = call.arguments[2]
    if call.name in {"writev", "pwritev"}:
        vectors = call.memory(call.arguments[1], 16 * length)
        length = sum(one for _, one in struct.iter_unpack("QQ", vectors))
    if call.name in {"pwrite64", "pwritev"}:
        return call.arguments[3], length
    position = Path(f"/proc/{call.thread}/fdinfo/{call.handle()}").read_text().split()[1]
    return int(position), length


def _open_again(call: Call) -> tuple[int, tuple[int, int]] | None:
    """The file of a flush, opened by us, and its inode; None for a directory."""
    place = f"/proc/{call.thread}/fd/{call.handle()}"
    if os.path.isdir(place):
        return None
    handle = os.open(place, os.O_RDWR | os.O_CLOEXEC)
    return handle, _identity(os.fstat(handle))


def _identity(state: os.stat_result) -> tuple[int, int]:
    return state.st_dev, state.st_ino


def _content(handle: int) -> bytes:
    return os.pread(handle, os.fstat(handle).st_size, 0)


def _put_back(handle: int, pages: dict[int, bytes]) -> None:
    size = os.fstat(handle).st_size
    for page, old in pages.items():
        if page < size:
            os.pwrite(handle, old[: size - page], page)
