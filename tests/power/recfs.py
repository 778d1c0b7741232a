"""A file system in memory (FUSE) that keeps a tape of everything that changes it.

    python recfs.py MOUNTPOINT TAPE        serves until it is unmounted, then writes the tape

Text written to /ACK in its root is not stored: it becomes a mark on the tape.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import mfusepy

from power.oplog import (
    Ack,
    AnyOp,
    FlushDirectory,
    FlushFile,
    Make,
    Move,
    Remove,
    Truncate,
    Write,
    apply_data,
    save,
)

ROOT = 1
ACK = "ACK"
_FALLOC_KEEP_SIZE = 1


@dataclass
class Node:
    mode: int
    names: dict[str, int] | None = None
    data: bytearray = field(default_factory=bytearray)
    links: int = 1
    changed: int = field(default_factory=time.time_ns)


class RecordingFileSystem(mfusepy.Operations):
    """Single-threaded (mount with nothreads), so that the tape has one order."""

    use_ns = True

    def __init__(self) -> None:
        self.tape: list[AnyOp] = []
        self.nodes: dict[int, Node] = {ROOT: Node(stat.S_IFDIR | 0o755, {})}
        self.next_inode = ROOT + 1
        self.ack_inode = self._make(ROOT, ACK, Node(stat.S_IFREG | 0o600), on_tape=False)

    # -- names ---------------------------------------------------------------------------------------------

    def _find(self, path: str) -> int:
        inode = ROOT
        for part in path.split("/"):
            if part:
                names = self.nodes[inode].names
                if names is None or part not in names:
                    raise mfusepy.FuseOSError(errno.ENOENT)
                inode = names[part]
        return inode

    def _place(self, path: str) -> tuple[int, str, dict[str, int]]:
        directory, _, name = path.rpartition("/")
        parent = self._find(directory)
        names = self.nodes[parent].names
        if names is None:
            raise mfusepy.FuseOSError(errno.ENOTDIR)
        return parent, name, names

    def _make(self, parent: int, name: str, node: Node, *, on_tape: bool = True) -> int:
        inode, self.next_inode = self.next_inode, self.next_inode + 1
        self.nodes[inode] = node
        names = self.nodes[parent].names
        assert names is not None
        names[name] = inode
        if on_tape:
            self.tape.append(Make(parent, name, inode, node.names is not None))
        return inode

    def mkdir(self, path: str, mode: int) -> int:
        parent, name, _ = self._place(path)
        self._make(parent, name, Node(stat.S_IFDIR | mode, {}))
        return 0

    def create(self, path: str, mode: int, fi: object = None) -> int:
        parent, name, _ = self._place(path)
        return self._make(parent, name, Node(stat.S_IFREG | stat.S_IMODE(mode)))

    def link(self, target: str, source: str) -> int:
        inode = self._find(source)
        parent, name, names = self._place(target)
        names[name] = inode
        self.nodes[inode].links += 1
        self.tape.append(Make(parent, name, inode))
        return 0

    def unlink(self, path: str) -> int:
        parent, name, names = self._place(path)
        self.nodes[names.pop(name)].links -= 1
        self.tape.append(Remove(parent, name))
        return 0

    def rmdir(self, path: str) -> int:
        if self.nodes[self._find(path)].names:
            raise mfusepy.FuseOSError(errno.ENOTEMPTY)
        return self.unlink(path)

    def rename(self, old: str, new: str) -> int:
        parent, name, names = self._place(old)
        new_parent, new_name, new_names = self._place(new)
        inode = names.pop(name)
        replaced = new_names.get(new_name)
        if replaced is not None:
            self.nodes[replaced].links -= 1
        new_names[new_name] = inode
        self.tape.append(Move(parent, name, new_parent, new_name, inode))
        return 0

    def readdir(self, path: str, fh: int) -> list[str]:
        return [".", "..", *(self.nodes[self._find(path)].names or ())]

    # -- content -------------------------------------------------------------------------------------------

    def open(self, path: str, flags: int) -> int:
        return self._find(path)

    def opendir(self, path: str) -> int:
        return self._find(path)

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        return bytes(self.nodes[fh].data[offset : offset + size])

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        if fh == self.ack_inode:
            self.tape.append(Ack(data.decode()))
        else:
            self._change(fh, Write(fh, offset, data))
        return len(data)

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        inode = fh or self._find(path)
        if inode != self.ack_inode:
            self._change(inode, Truncate(inode, length))
        return 0

    def fallocate(self, path: str, mode: int, offset: int, size: int, fh: int) -> int:
        if mode & ~_FALLOC_KEEP_SIZE:
            raise mfusepy.FuseOSError(errno.EOPNOTSUPP)
        if not mode and offset + size > len(self.nodes[fh].data):
            self._change(fh, Truncate(fh, offset + size))
        return 0

    def _change(self, inode: int, op: Write | Truncate) -> None:
        node = self.nodes[inode]
        apply_data(node.data, op)
        node.changed = time.time_ns()
        self.tape.append(op)

    def fsync(self, path: str, datasync: int, fh: int) -> int:
        self.tape.append(FlushFile(fh))
        return 0

    def fsyncdir(self, path: str, datasync: int, fh: int) -> int:
        self.tape.append(FlushDirectory(fh))
        return 0

    def flush(self, path: str, fh: int) -> int:
        return 0

    def release(self, path: str, fh: int) -> int:
        return 0

    # -- attributes ----------------------------------------------------------------------------------------

    def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:
        inode = fh or self._find(path)
        node = self.nodes[inode]
        return {
            "st_ino": inode,
            "st_mode": node.mode,
            "st_nlink": 2 if node.names is not None else node.links,
            "st_size": len(node.data),
            "st_blocks": (len(node.data) + 511) // 512,
            "st_uid": os.getuid(),
            "st_gid": os.getgid(),
            "st_atime": node.changed,
            "st_mtime": node.changed,
            "st_ctime": node.changed,
        }

    def access(self, path: str, amode: int) -> int:
        self._find(path)
        return 0

    def chmod(self, path: str, mode: int) -> int:
        node = self.nodes[self._find(path)]
        node.mode = stat.S_IFMT(node.mode) | stat.S_IMODE(mode)
        return 0

    def chown(self, path: str, uid: int, gid: int) -> int:
        return 0

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> int:
        return 0

    def statfs(self, path: str) -> dict[str, int]:
        many = 1 << 20
        sizes = {"f_bsize": 4096, "f_frsize": 4096, "f_blocks": many, "f_bfree": many, "f_bavail": many}
        return sizes | {"f_files": many, "f_ffree": many, "f_namemax": 255}


if __name__ == "__main__":
    file_system = RecordingFileSystem()
    # big_writes: one write(2) up to 128 KiB is one op; use_ino, so that samestat and hard links work.
    mfusepy.FUSE(
        file_system, sys.argv[1], foreground=True, nothreads=True, fsname="recfs", big_writes=True, use_ino=True
    )
    save(Path(sys.argv[2]), file_system.tape)
