"""What a file system was asked to do, in order: the tape that a recording file system writes and `states` plays.

Inodes are numbers that are never used twice; 1 is the root. Only acts that change something are on the tape, and
the flushes and marks between them.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

__all__ = [
    "ROOT",
    "Ack",
    "AnyOp",
    "Attributes",
    "DataOp",
    "FileImage",
    "FlushDirectory",
    "FlushFile",
    "Make",
    "Move",
    "NameOp",
    "Op",
    "Remove",
    "Settled",
    "Truncate",
    "Write",
    "acknowledged",
    "load",
    "save",
]

ROOT = 1


class Op(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """One act, flush or mark."""


class Make(Op, frozen=True):
    """A new name for an inode: a new file, directory or symbolic link (with a target), or a hard link."""

    parent: int
    name: str
    inode: int
    directory: bool = False
    mode: int = 0o644
    target: str | None = None


class Remove(Op, frozen=True):
    """A name goes: of a file, a link or an empty directory."""

    parent: int
    name: str


class Move(Op, frozen=True):
    """A rename: the old name goes and the new one comes in one act."""

    parent: int
    name: str
    new_parent: int
    new_name: str
    inode: int


class Write(Op, frozen=True):
    """Bytes at an offset; a gap before them reads as zeros."""

    inode: int
    offset: int
    data: bytes


class Truncate(Op, frozen=True):
    """A new length, shorter or longer."""

    inode: int
    length: int


class Attributes(Op, frozen=True):
    """Permissions or the time of change (nanoseconds) were set; None: not this one."""

    inode: int
    mode: int | None = None
    modified: int | None = None


class FlushFile(Op, frozen=True):
    """fsync or fdatasync of a file."""

    inode: int


class FlushDirectory(Op, frozen=True):
    """fsync of a directory."""

    inode: int


class Ack(Op, frozen=True):
    """The job told the world that something is safe."""

    text: str


class Settled(Op, frozen=True):
    """Everything so far counts as durable, flushed or not: what lay there before the job began."""


NameOp = Make | Remove | Move
DataOp = Write | Truncate | Attributes
AnyOp = Make | Remove | Move | Write | Truncate | Attributes | FlushFile | FlushDirectory | Ack | Settled


def save(path: Path, ops: list[AnyOp]) -> None:
    """Write a tape to a file."""
    path.write_bytes(msgspec.msgpack.encode(ops))


def load(path: Path) -> list[AnyOp]:
    """Read a tape that `save` wrote."""
    return msgspec.msgpack.decode(path.read_bytes(), type=list[AnyOp])


def acknowledged(tape: list[AnyOp]) -> list[str]:
    """The lines that the job told the world, in order; `State.acks` says how many of them before a cut."""
    return [op.text.strip() for op in tape if isinstance(op, Ack)]


class FileImage:
    """A file that acts are played on: its bytes, its permissions, and its time of change if that was set by hand."""

    def __init__(self, mode: int = 0o644) -> None:
        self.data = bytearray()
        self.mode = mode
        self.modified: int | None = None

    def copy(self) -> FileImage:
        other = FileImage(self.mode)
        other.data[:] = self.data
        other.modified = self.modified
        return other

    def apply(self, op: DataOp, begin: int = 0, end: int | None = None) -> None:
        """Change the file as the op does; begin and end choose the bytes of a write that reach the medium (torn)."""
        match op:
            case Attributes():
                self.mode = self.mode if op.mode is None else op.mode
                self.modified = self.modified if op.modified is None else op.modified
            case Truncate():
                self._resize(op.length)
                self.modified = None
            case Write():
                self._write(op.offset + begin, op.data[begin:end] if begin or end is not None else op.data)
                self.modified = None

    def _resize(self, length: int) -> None:
        if len(self.data) > length:
            del self.data[length:]
        else:
            self.data.extend(bytes(length - len(self.data)))

    def _write(self, offset: int, data: bytes) -> None:
        if len(self.data) < offset:
            self._resize(offset)
        self.data[offset : offset + len(data)] = data
