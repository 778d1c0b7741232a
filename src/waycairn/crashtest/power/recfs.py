"""A file system in memory (FUSE) that keeps a tape of everything that changes it.

    python -m waycairn.crashtest.power.recfs MOUNTPOINT TAPE

serves until it is unmounted, then writes the tape. Lines written to /ACK in its root are not stored: they become marks
on the tape. So does whatever is written to /SETTLED: all that was done before counts as durable.

Files, directories, hard and symbolic links, permissions, times, locks (the kernel's) and shared mappings are as on
any file system; extended attributes are refused, and everything that is ever written stays in memory.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from waycairn.crashtest.power.oplog import (
    ROOT,
    Ack,
    AnyOp,
    Attributes,
    DataOp,
    FileImage,
    FlushDirectory,
    FlushFile,
    Make,
    Move,
    Remove,
    Settled,
    Truncate,
    Write,
    save,
)

__all__ = ["RecordingFileSystem", "serve"]

ACK = "ACK"
SETTLED = "SETTLED"
_HIDDEN = ".fuse_hidden"
"""How libfuse names a file that is deleted while somebody has it open; it deletes that name after the last close."""
_FALLOC_KEEP_SIZE = 1


@dataclass
class Node:
    """What an inode is: a file with an image, a directory with names, or a symbolic link with a target."""

    kind: int
    image: FileImage
    names: dict[str, int] | None = None
    target: str | None = None
    links: int = 1
    changed: int = field(default_factory=time.time_ns)

    @property
    def modified(self) -> int:
        return self.changed if self.image.modified is None else self.image.modified


def _file(mode: int) -> Node:
    return Node(stat.S_IFREG, FileImage(stat.S_IMODE(mode)))


def _directory(mode: int) -> Node:
    return Node(stat.S_IFDIR, FileImage(stat.S_IMODE(mode)), names={})


def _refuse_bytes(name: str) -> None:
    """A tape is text: what is no UTF-8 cannot be on it."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise OSError(errno.EILSEQ, "a name that is no UTF-8") from error


def _seen(names: Iterable[str]) -> Iterator[str]:
    return (name for name in names if not name.startswith(_HIDDEN))


class RecordingFileSystem:
    """The operations as libfuse calls them; handles are inode numbers, so a file can be used after its name went.

    Single-threaded (mount with nothreads), so that the tape has one order. Operations that are not here the kernel
    does by itself (locks, access) or refuses (extended attributes).
    """

    use_ns = True

    def __init__(self) -> None:
        self.tape: list[AnyOp] = []
        self.nodes: dict[int, Node] = {ROOT: _directory(0o755)}
        self.next_inode = ROOT + 1
        self._removed: Remove | None = None
        """Deleted while open: libfuse does that too before it renames over an open file, where it is one act."""
        self._begun: dict[int, bytes] = {}
        """Lines of marks whose end has not come yet."""
        self._marks: dict[int, Callable[[bytes], AnyOp]] = {
            self._add(ROOT, ACK, _file(0o600)): lambda data: Ack(data.decode(errors="replace")),
            self._add(ROOT, SETTLED, _file(0o600)): lambda _: Settled(),
        }

    # -- names ---------------------------------------------------------------------------------------------

    def _find(self, path: str) -> int:
        inode = ROOT
        for part in path.split("/"):
            if part:
                inode = self._names(inode).get(part, 0)
                if not inode:
                    raise OSError(errno.ENOENT, path)
        return inode

    def _names(self, inode: int) -> dict[str, int]:
        names = self.nodes[inode].names
        if names is None:
            raise OSError(errno.ENOTDIR, "not a directory")
        return names

    def _place(self, path: str) -> tuple[int, str, dict[str, int]]:
        directory, _, name = path.rpartition("/")
        _refuse_bytes(name)
        parent = self._find(directory)
        return parent, name, self._names(parent)

    def _add(self, parent: int, name: str, node: Node) -> int:
        inode, self.next_inode = self.next_inode, self.next_inode + 1
        self.nodes[inode] = node
        self._names(parent)[name] = inode
        return inode

    def _make(self, path: str, node: Node) -> int:
        parent, name, _ = self._place(path)
        inode = self._add(parent, name, node)
        is_directory = node.names is not None
        self._record(Make(parent, name, inode, is_directory, node.image.mode, node.target))
        return inode

    def _record(self, op: AnyOp) -> None:
        removed, self._removed = self._removed, None
        if removed and not (isinstance(op, Move) and (op.new_parent, op.new_name) == (removed.parent, removed.name)):
            self.tape.append(removed)
        self.tape.append(op)

    def finish(self) -> list[AnyOp]:
        """The whole tape, when nobody uses this any more."""
        removed, self._removed = self._removed, None
        return self.tape + ([removed] if removed else [])

    def mkdir(self, path: str, mode: int) -> int:
        self._make(path, _directory(mode))
        return 0

    def create(self, path: str, mode: int, _flags: int) -> int:
        return self._make(path, _file(mode))

    def symlink(self, path: str, target: str) -> int:
        _refuse_bytes(target)
        self._make(path, Node(stat.S_IFLNK, FileImage(0o777), target=target))
        return 0

    def readlink(self, path: str) -> str:
        target = self.nodes[self._find(path)].target
        if target is None:
            raise OSError(errno.EINVAL, "not a symbolic link")
        return target

    def link(self, path: str, source: str) -> int:
        inode = self._find(source)
        parent, name, names = self._place(path)
        names[name] = inode
        node = self.nodes[inode]
        node.links += 1
        self._record(Make(parent, name, inode, mode=node.image.mode, target=node.target))
        return 0

    def unlink(self, path: str) -> int:
        parent, name, names = self._place(path)
        inode = names.pop(name)
        if not name.startswith(_HIDDEN):
            self.nodes[inode].links -= 1
            self._record(Remove(parent, name))
        return 0

    def rmdir(self, path: str) -> int:
        self._refuse_full(self._find(path))
        return self.unlink(path)

    def rename(self, old: str, new: str) -> int:
        parent, name, names = self._place(old)
        new_parent, new_name, new_names = self._place(new)
        replaced = new_names.get(new_name)
        if replaced is not None:
            self._refuse_full(replaced)
            self.nodes[replaced].links -= 1
        inode = new_names[new_name] = names.pop(name)
        if new_name.startswith(_HIDDEN):
            self.nodes[inode].links -= 1
            self._removed = Remove(parent, name)
        else:
            self._record(Move(parent, name, new_parent, new_name, inode))
        return 0

    def _refuse_full(self, inode: int) -> None:
        if any(_seen(self.nodes[inode].names or ())):
            raise OSError(errno.ENOTEMPTY, "the directory is not empty")

    def readdir(self, path: str, _handle: int) -> list[tuple[str, dict[str, int], int]]:
        """With inode numbers: names without one count as deleted, and no program would see them."""
        here = self._find(path)
        names = self._names(here)
        listed = [(".", here), ("..", here), *((name, names[name]) for name in _seen(names))]
        return [(name, {"st_ino": inode, "st_mode": self.nodes[inode].kind}, 0) for name, inode in listed]

    # -- content -------------------------------------------------------------------------------------------

    def open(self, path: str, _flags: int) -> int:
        return self._find(path)

    def opendir(self, path: str) -> int:
        return self._find(path)

    def releasedir(self, _path: str, _handle: int) -> int:
        return 0

    def read(self, _path: str, size: int, offset: int, handle: int) -> bytes:
        with memoryview(self.nodes[handle].image.data) as data:
            return bytes(data[offset : offset + size])

    def write(self, _path: str, data: bytes, offset: int, handle: int) -> int:
        mark = self._marks.get(handle)
        if mark:
            # A long line comes in several writes, a page each; what is told is told with its end.
            told, end, begun = (self._begun.pop(handle, b"") + data).rpartition(b"\n")
            if end:
                self._record(mark(told + end))
            if begun:
                self._begun[handle] = begun
        else:
            self._change(handle, Write(handle, offset, data))
        return len(data)

    def truncate(self, path: str, length: int, handle: int | None = None) -> int:
        inode = handle or self._find(path)
        if inode not in self._marks:
            self._change(inode, Truncate(inode, length))
        return 0

    def fallocate(self, _path: str, mode: int, offset: int, size: int, handle: int) -> int:
        if mode & ~_FALLOC_KEEP_SIZE:
            raise OSError(errno.EOPNOTSUPP, "no holes here")
        if not mode and offset + size > len(self.nodes[handle].image.data):
            self._change(handle, Truncate(handle, offset + size))
        return 0

    def _change(self, inode: int, op: DataOp) -> None:
        node = self.nodes[inode]
        node.image.apply(op)
        node.changed = time.time_ns()
        self._record(op)

    def fsync(self, _path: str, _data_only: int, handle: int) -> int:
        self._record(FlushFile(handle))
        return 0

    def fsyncdir(self, _path: str, _data_only: int, handle: int) -> int:
        self._record(FlushDirectory(handle))
        return 0

    # -- attributes ----------------------------------------------------------------------------------------

    def getattr(self, path: str, handle: int | None = None) -> dict[str, int]:
        inode = handle or self._find(path)
        node = self.nodes[inode]
        size = len(node.target.encode()) if node.target is not None else len(node.image.data)
        return {
            "st_ino": inode,
            "st_mode": node.kind | node.image.mode,
            "st_nlink": 2 if node.names is not None else node.links,
            "st_size": size,
            "st_blocks": (size + 511) // 512,
            "st_uid": os.getuid(),
            "st_gid": os.getgid(),
            "st_atime": node.modified,
            "st_mtime": node.modified,
            "st_ctime": node.changed,
        }

    def chmod(self, path: str, mode: int) -> int:
        inode = self._find(path)
        self._change(inode, Attributes(inode, mode=stat.S_IMODE(mode)))
        return 0

    def chown(self, _path: str, _uid: int, _gid: int) -> int:
        """Every file stays that of the one user who mounted this."""
        return 0

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> int:
        inode = self._find(path)
        self._change(inode, Attributes(inode, modified=times[1] if times else time.time_ns()))
        return 0

    def statfs(self, _path: str) -> dict[str, int]:
        many = 1 << 20
        sizes = {"f_bsize": 4096, "f_frsize": 4096, "f_blocks": many, "f_bfree": many, "f_bavail": many}
        return sizes | {"f_files": many, "f_ffree": many, "f_namemax": 255}


def serve(mountpoint: Path, tape: Path) -> None:
    """Serve until somebody unmounts it, then write the tape."""
    import mfusepy

    file_system = RecordingFileSystem()
    mfusepy.FUSE(
        file_system,
        str(mountpoint),
        foreground=True,
        nothreads=True,
        fsname="recfs",
        big_writes=True,  # one write(2) up to 128 KiB is one op
        use_ino=True,  # so that samestat and hard links work
        attr_timeout=0,  # libfuse knows names, not inodes: what it remembers of one hard link is wrong for the other
        default_permissions=True,
    )
    save(tape, file_system.finish())


if __name__ == "__main__":
    serve(Path(sys.argv[1]), Path(sys.argv[2]))
