"""A small file that stands where a framework expects its checkpoint, and names the one in the store.

    {"waycairn": 1, "store": "/data/.waycairn", "checkpoint": "9f2c…-1"}

`waycairn` is the version of this format. A stub is there only while its checkpoint is: it is written after the commit
and goes before the content does. While content is being removed its stub has another name, `.NAME.removing`, so that
a process that dies in between leaves a trace which the next one finishes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from waycairn.errors import Damaged, StoreTooNew
from waycairn.world.crashpoints import crashpoint
from waycairn.world.files import flush, flush_directory, make_directory, translated, write_all

VERSION = 1
_LARGEST = 65536
"""Bytes; what is longer is no stub, and a checkpoint of the framework's own may have gigabytes."""
_REMOVING = ".removing"


class Stub(msgspec.Struct, frozen=True, kw_only=True):
    """Where the content of a checkpoint lies."""

    waycairn: int = VERSION
    store: str
    """Address of the store, without a password."""
    checkpoint: str


class NoStub(ValueError):
    """The file is none of ours."""


def read_stub(path: Path) -> Stub:
    """Raises FileNotFoundError; NoStub for a file of another program, Damaged for a stub that cannot be read,
    StoreTooNew for one of a newer version."""
    if path.is_dir():
        raise NoStub(f"{path} is a directory")
    with path.open("rb") as file:
        text = file.read(_LARGEST)
    if not text.startswith(b'{"waycairn":'):
        raise NoStub(f"{path} is no stub of waycairn")
    try:
        stub = msgspec.json.decode(text, type=Stub)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Damaged(
            f"the stub {path} is damaged ({error}). Its checkpoint may be intact: `waycairn checkpoints` lists those "
            "of the store, with the path of each as its description.",
            path=str(path),
        ) from error
    if stub.waycairn > VERSION:
        raise StoreTooNew(f"{path} was written by a newer waycairn. Nothing was changed. Upgrade waycairn to load it.")
    return stub


def write_stub(path: Path, stub: Stub) -> None:
    """Put a stub at a path, in the place of what stood there. Whole or not at all; durable when this returns."""
    draft = path.with_name(f".{path.name}.part")  # one name, so that what a kill leaves is written over
    with translated("the stub of a checkpoint", path):
        make_directory(path.parent, 0o777)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        try:
            write_all(handle, msgspec.json.encode(stub))
            flush(handle)
        finally:
            os.close(handle)
        crashpoint("stub.written")
        draft.replace(path)
        crashpoint("stub.replaced")
        flush_directory(path.parent)
    crashpoint("stub.durable")


def note_former(path: Path) -> Path | None:
    """Before another stub takes this path: note what the present one names, to be removed afterwards. None if nothing
    is to be removed: there is no stub, or it has another name as well (a hard link, a symbolic one)."""
    if path.is_symlink() or not _is_ours_alone(path):
        return None
    note = _note_of(path)
    with translated("the note of a removal", note):
        note.write_bytes(path.read_bytes())  # not flushed: losing it leaves content behind, and no checkpoint is lost
    crashpoint("stub.noted")
    return note


def take_away(path: Path) -> Path | None:
    """Remove a stub; its content is to be removed next, with the note that is returned. None if that is to stay."""
    note = _note_of(path) if not path.is_symlink() and _is_ours_alone(path) else None
    with translated("a checkpoint that is removed", path):
        if note is None:
            path.unlink()
        else:
            path.replace(note)
        crashpoint("stub.taken")
        flush_directory(path.parent)
    crashpoint("stub.gone")
    return note


def notes_in(folder: Path) -> Iterator[Path]:
    """Notes of removals that were begun by a process that died."""
    yield from folder.glob(f".*{_REMOVING}")


def to_remove(note: Path) -> Stub | None:
    """What a note names, None if nothing: it is torn, or its stub stands still."""
    path = note.with_name(note.name.removeprefix(".").removesuffix(_REMOVING))
    try:
        noted = read_stub(note)
    except (NoStub, Damaged):
        return None
    try:
        return None if read_stub(path).checkpoint == noted.checkpoint else noted
    except (FileNotFoundError, NoStub, Damaged):
        return noted


def _note_of(path: Path) -> Path:
    return path.with_name(f".{path.name}{_REMOVING}")


def _is_ours_alone(path: Path) -> bool:
    try:
        read_stub(path)
    except (FileNotFoundError, NoStub, Damaged):
        return False
    return path.stat().st_nlink == 1
