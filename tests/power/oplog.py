"""What a file system was asked to do, in order: the tape that a recording file system writes and `states` plays.

Inodes are numbers that are never used twice; 1 is the root. Only acts that change something are on the tape, and
the flushes and marks between them.
"""

from __future__ import annotations

from pathlib import Path

import msgspec


class Op(msgspec.Struct, frozen=True, tag=True, array_like=True):
    pass


class Make(Op):
    """A new name for an inode: a new file or directory, or a hard link."""

    parent: int
    name: str
    inode: int
    directory: bool = False


class Remove(Op):
    parent: int
    name: str


class Move(Op):
    """A rename: the old name goes and the new one comes in one act."""

    parent: int
    name: str
    new_parent: int
    new_name: str
    inode: int


class Write(Op):
    inode: int
    offset: int
    data: bytes


class Truncate(Op):
    inode: int
    length: int


class FlushFile(Op):
    inode: int


class FlushDirectory(Op):
    inode: int


class Ack(Op):
    """The job told the world that something is safe."""

    text: str


NameOp = Make | Remove | Move
DataOp = Write | Truncate
AnyOp = Make | Remove | Move | Write | Truncate | FlushFile | FlushDirectory | Ack


def save(path: Path, ops: list[AnyOp]) -> None:
    path.write_bytes(msgspec.msgpack.encode(ops))


def load(path: Path) -> list[AnyOp]:
    return msgspec.msgpack.decode(path.read_bytes(), type=list[AnyOp])


def apply_data(content: bytearray, op: DataOp, length: int | None = None) -> None:
    """Change a file's content as the op does; `length` applies only the first bytes of a write (a torn one)."""
    if isinstance(op, Truncate):
        if len(content) > op.length:
            del content[op.length :]
        else:
            content.extend(bytes(op.length - len(content)))
        return
    data = op.data[:length]
    if len(content) < op.offset:
        content.extend(bytes(op.offset - len(content)))
    content[op.offset : op.offset + len(data)] = data
