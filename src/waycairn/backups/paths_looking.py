"""Whether a tree is still what was exported."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping

from waycairn.backups.paths_attributes import attributes_of, kind_of
from waycairn.backups.paths_content import READ, holds
from waycairn.backups.paths_entry import Entry, Kind, identity_of
from waycairn.backups.paths_tree import Tree
from waycairn.model.backups import Member

_CTIME = 4
"""Where it stands in an identity."""


def differences(
    tree: Tree, entries: Mapping[bytes, Entry], members: Mapping[str, Member], *, is_begun: bool
) -> Iterator[tuple[bytes, str]]:
    """Path and what is other than exported. `is_begun`: some of it was deleted already, by us."""
    seen = set()
    for path, state in tree.walk():
        seen.add(path)
        entry = entries.get(path)
        if entry is None:
            yield path, "is new"
        elif not _is_unchanged(tree, path, entry, state, members, is_begun=is_begun):
            yield path, "was changed"
    if not is_begun:
        yield from ((path, "is gone") for path in entries if path not in seen)


def is_that(entry: Entry, state: os.stat_result) -> bool:
    """The same thing, not replaced; a file also not written. The last look before it goes: its links may have gone before."""
    if (state.st_dev, state.st_ino) != (entry.dev, entry.ino) or not _is_kind(entry, state):
        return False
    return entry.is_folder or (state.st_mtime_ns == entry.mtime and identity_of(state)[-1] == entry.size)


def _is_kind(entry: Entry, state: os.stat_result) -> bool:
    return kind_of(state) is (Kind.FILE if entry.kind is Kind.TWIN else entry.kind)


def _is_unchanged(
    tree: Tree, path: bytes, entry: Entry, state: os.stat_result, members: Mapping[str, Member], *, is_begun: bool
) -> bool:
    if not is_that(entry, state):
        return False
    if is_begun and entry.is_folder:
        return stat.S_IMODE(state.st_mode) == entry.mode
    now, then = identity_of(state), entry.identity
    if _without_ctime(now) != _without_ctime(then):
        return False
    if now == then and (entry.kind is not Kind.FILE or entry.is_settled):
        return True
    return _is_same_within(tree, path, entry, members)


def _without_ctime(identity: tuple[int, ...]) -> tuple[int, ...]:
    return identity[:_CTIME] + identity[_CTIME + 1 :]


def _is_same_within(tree: Tree, path: bytes, entry: Entry, members: Mapping[str, Member]) -> bool:
    """Something about it changed that need not concern its content: a rename, another name, a right given and taken back.
    A twin is looked at by its first name."""
    folder, name = tree.place(path)
    if entry.kind is Kind.FILE:
        return _attributes(folder, name) == entry.attributes and holds(folder, name, entry, members[entry.name].sha256)
    if entry.kind is Kind.FOLDER:
        return attributes_of(tree.folder(path)) == entry.attributes
    if entry.kind is Kind.LINK:
        return os.readlink(name, dir_fd=folder) == entry.link_target
    return True


def _attributes(folder: int, name: bytes) -> dict[str, str]:
    handle = os.open(name, READ, dir_fd=folder)
    try:
        return attributes_of(handle)
    finally:
        os.close(handle)
