"""One thing in a tree, as a backup remembers it: of a file the facts of its member, of all else a line of `tree.jsonl`."""

from __future__ import annotations

import os
import stat
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgspec

from waycairn.backups.lines import lines
from waycairn.backups.paths_names import TREE, checked_path, escaped, member_name, root_names, split, unescaped
from waycairn.backups.source import Contents
from waycairn.errors import Damaged
from waycairn.model.backups import Member

VERSION = 1
_TICK = 50_000_000
_WHOLE_SECONDS = 2_500_000_000
"""Nanoseconds. Kernels stamp files by a clock of 1 to 10 ms, some file systems round that to two seconds."""


class Kind(StrEnum):
    FILE = "file"
    FOLDER = "folder"
    LINK = "link"
    """A symbolic link. It is not followed."""
    TWIN = "twin"
    """Another name of a file that is there already: a hard link."""
    PIPE = "pipe"
    SOCKET = "socket"


class Entry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Times are nanoseconds since 1970. Device and inode only say whether it is still the same one."""

    name: str = ""
    """Of its member, or as that would be called."""
    kind: Kind = Kind.FILE
    raw: str = ""
    """Its path below the root, base64, where the name does not say it."""
    mode: int
    uid: int
    gid: int
    mtime: int
    ctime: int
    dev: int
    ino: int
    size: int = 0
    """Of a file with its holes, as `ls -l` shows it."""
    links: int = 1
    read: int = 0
    """When its bytes were about to be read."""
    data: Sequence[tuple[int, int]] | None = None
    """Offset and length of what lies between the holes: the member has these bytes only. None: all are data."""
    target: str = ""
    """Where a link leads, base64; of which member a twin is another name."""
    attributes: Mapping[str, str] = {}
    """Extended ones, base64."""

    @property
    def is_folder(self) -> bool:
        return self.kind is Kind.FOLDER

    @property
    def root(self) -> str:
        return self.name.partition("/")[0]

    @property
    def path(self) -> bytes:
        """Below its root. Raises Damaged if that would lead out of there."""
        path = b64decode(self.raw) if self.raw else unescaped(self.name.partition("/")[2])
        return checked_path(self.name, path)

    @property
    def link_target(self) -> bytes:
        return b64decode(self.target)

    @property
    def ranges(self) -> Sequence[tuple[int, int]]:
        return ((0, self.size),) if self.data is None else self.data

    @property
    def is_settled(self) -> bool:
        """A change after its bytes were read would show in its times. One in the same tick of the clock would not."""
        tick = _WHOLE_SECONDS if self.ctime % 10**9 == 0 else _TICK
        return self.read - self.ctime > tick

    @property
    def identity(self) -> tuple[int, ...]:
        """What changes when it is written, replaced, or given other rights; compare `identity_of`."""
        return (self.mode, self.uid, self.gid, self.mtime, self.ctime, self.dev, self.ino, self.size)


def identity_of(state: os.stat_result) -> tuple[int, ...]:
    return (
        stat.S_IMODE(state.st_mode),
        state.st_uid,
        state.st_gid,
        state.st_mtime_ns,
        state.st_ctime_ns,
        state.st_dev,
        state.st_ino,
        state.st_size if stat.S_ISREG(state.st_mode) else 0,
    )


def entry_of(root: str, path: bytes, kind: Kind, state: os.stat_result, **more: Any) -> Entry:
    name = member_name(root, path)
    says_path = unescaped(name.partition("/")[2]) == path
    mode, uid, gid, mtime, ctime, dev, ino, size = identity_of(state)
    return Entry(
        name=name,
        kind=kind,
        raw="" if says_path else b64encode(path).decode(),
        mode=mode,
        uid=uid,
        gid=gid,
        mtime=mtime,
        ctime=ctime,
        dev=dev,
        ino=ino,
        size=size,
        links=state.st_nlink,
        **more,
    )


def facts_of(entry: Entry) -> dict[str, Any]:
    """Of the member of a file: all but what the member itself says."""
    facts: dict[str, Any] = msgspec.to_builtins(entry)
    del facts["name"]
    return facts


def line_of(entry: Entry) -> bytes:
    return msgspec.json.encode(entry) + b"\n"


def head_of(roots: Sequence[str]) -> bytes:
    """The first line of `tree.jsonl`."""
    return msgspec.json.encode({"version": VERSION, "roots": roots}) + b"\n"


def file_entry(member: Member) -> Entry:
    try:
        return msgspec.convert({**member.facts, "name": member.name}, Entry)
    except msgspec.ValidationError as error:
        raise _damaged(f"member {member.name!r}", str(error)) from None


def entries_of(contents: Contents) -> dict[str, Entry]:
    """All that a backup holds, by name, each folder before what is in it. Raises Damaged."""
    found = {name: file_entry(member) for name, member in contents.members.items() if name != TREE}
    for entry in _tree_v1(contents):
        found[entry.name] = entry
    # Raises for a path that leads out.
    return dict(sorted(found.items(), key=lambda item: (item[1].root, split(item[1].path))))


def roots_of(contents: Contents) -> dict[str, bytes]:
    """The absolute path of each root, by its name in the backup."""
    paths = [unescaped(str(path)) for path in contents.record.source.get("paths", ())]
    return dict(zip(root_names(paths), paths, strict=True))


def _tree_v1(contents: Contents) -> Iterator[Entry]:
    if TREE not in contents.members:
        raise _damaged(f"the member {TREE}", "it is not there")
    written = lines(contents.read(TREE))
    try:
        version = msgspec.json.decode(next(written, b"{}")).get("version")
        if version != VERSION:
            raise _damaged(f"the member {TREE}", f"version {version} of its format is not known here")
        yield from msgspec.json.Decoder(Entry).decode_lines(b"\n".join(written))
    except msgspec.MsgspecError as error:
        raise _damaged(f"the member {TREE}", str(error)) from None


def _damaged(what: str, why: str) -> Damaged:
    return Damaged(
        f"{what} of the backup cannot be used: {why}. Nothing was changed. See `waycairn backup verify`.", member=what
    )


def shown(root: bytes, path: bytes) -> str:
    """A path for people."""
    return escaped(root + b"/" + path if path else root)
