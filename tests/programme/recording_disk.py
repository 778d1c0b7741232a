"""A disk in memory (FUSE) that keeps a log of everything that is written to it, and of every flush.

    python recording_disk.py MOUNTPOINT IMAGE LOG

serves MOUNTPOINT/disk, which begins as a copy of IMAGE, until it is unmounted, then writes the log. A loop device on
that file is a block device on which a real file system lives. Text written to MOUNTPOINT/mark becomes a mark in the log.
"""

from __future__ import annotations

import errno
import stat
import sys
from pathlib import Path

import mfusepy
import msgspec

__all__ = ["Entry", "Flush", "Mark", "Write", "load"]

DISK, MARK = "disk", "mark"


class Write(msgspec.Struct, frozen=True, tag=True, array_like=True):
    offset: int
    data: bytes


class Flush(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Everything written before is on the medium."""


class Mark(msgspec.Struct, frozen=True, tag=True, array_like=True):
    text: str


Entry = Write | Flush | Mark


def load(path: Path) -> list[Entry]:
    return msgspec.msgpack.decode(path.read_bytes(), type=list[Entry])


class RecordingDisk:
    """Two files: the disk and the mark. Single-threaded, so that the log has one order."""

    use_ns = True

    def __init__(self, image: Path) -> None:
        self.data = bytearray(image.read_bytes())
        self.log: list[Entry] = []
        self.sizes = {f"/{DISK}": len(self.data), f"/{MARK}": 0}

    def getattr(self, path: str, handle: int | None = None) -> dict[str, int]:
        if path == "/":
            return {"st_mode": stat.S_IFDIR | 0o755, "st_nlink": 2}
        if path not in self.sizes:
            raise OSError(errno.ENOENT, path)
        return {"st_mode": stat.S_IFREG | 0o600, "st_nlink": 1, "st_size": self.sizes[path]}

    def readdir(self, path: str, handle: int) -> list[str]:
        return [".", "..", DISK, MARK]

    def open(self, path: str, flags: int) -> int:
        return int(path == f"/{DISK}")

    def truncate(self, path: str, length: int, handle: int | None = None) -> int:
        return 0

    def read(self, path: str, size: int, offset: int, handle: int) -> bytes:
        with memoryview(self.data) as data:
            return bytes(data[offset : offset + size])

    def write(self, path: str, data: bytes, offset: int, handle: int) -> int:
        if handle:
            self.data[offset : offset + len(data)] = data
            self.log.append(Write(offset, data))
        else:
            self.log.append(Mark(data.decode()))
        return len(data)

    def fsync(self, path: str, data_only: int, handle: int) -> int:
        if handle:
            self.log.append(Flush())
        return 0


def main(mountpoint: str, image: str, log: str) -> None:
    disk = RecordingDisk(Path(image))
    mfusepy.FUSE(disk, mountpoint, foreground=True, nothreads=True, fsname="recording_disk", big_writes=True)
    Path(log).write_bytes(msgspec.msgpack.encode(disk.log))


if __name__ == "__main__":
    main(*sys.argv[1:])
