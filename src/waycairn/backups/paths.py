"""Files and folders as a source of a backup: `paths("old-exports/", "notes.txt")`.

What comes back is what was there: content with its holes, mode, owner (set by root only), times, extended attributes where
the file system has them, symbolic and hard links, pipes, sockets, empty folders, names of any bytes. Devices and folders
that another file system is mounted in are refused. A path that is a symbolic link itself is backed up as that link, not as
what it leads to.
"""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from waycairn.backups.paths_aside import bring_back, is_there
from waycairn.backups.paths_attributes import kind_of
from waycairn.backups.paths_deleting import asides_of, delete
from waycairn.backups.paths_entry import Entry, Kind, entries_of, roots_of
from waycairn.backups.paths_exporting import Export, missing, refuse_mounts
from waycairn.backups.paths_names import chosen, escaped, root_names, unescaped
from waycairn.backups.paths_restoring import Manner, Restoring
from waycairn.backups.paths_tree import Tree, join
from waycairn.backups.paths_unguarded import delete_without_backup
from waycairn.backups.source import Contents, Target, Wish
from waycairn.errors import BackupError, BackupRefused
from waycairn.model.backups import Count, Restored

KIND = "paths"
_KINDS = {
    Kind.FILE: "files",
    Kind.FOLDER: "folders",
    Kind.LINK: "links",
    Kind.PIPE: "pipes",
    Kind.SOCKET: "sockets",
    None: "devices",
}


def paths(*where: str | os.PathLike[str]) -> Paths:
    """Files and folders, to be backed up together. Raises ValueError if one of them lies in another."""
    return Paths([_absolute(os.fsencode(Path(one).expanduser())) for one in where])


def source_of(description: Mapping[str, Any], _to: Any) -> Paths:
    """From what `describe` said; where to is told by a Wish."""
    return Paths([unescaped(path) for path in description["paths"]])


class Paths:
    """A Source. See `paths`. Used by one thread at a time."""

    kind = KIND

    def __init__(self, where: Sequence[bytes]) -> None:
        """`where` is absolute, without links on the way to it."""
        if not where:
            raise ValueError("paths() needs at least one path")
        for path in where:
            if path == b"/" or b"\0" in path:
                raise ValueError(f"{os.fsdecode(path)!r} cannot be backed up as a path")
            if any(path != other and _is_in(path, other) for other in where) or where.count(path) > 1:
                raise ValueError(f"{os.fsdecode(path)} lies in another of the paths: name it once")
        self._where = list(where)
        self._stores: list[bytes] = []

    @property
    def label(self) -> str:
        return ", ".join(escaped(path) for path in self._where)

    def refuse_store(self, url: str | os.PathLike[str]) -> None:
        """Where the backup goes; told once for each place. Raises BackupRefused if that lies in one of the paths, or one of them in it."""
        address = os.fspath(url)
        if "://" in address and not address.startswith("sqlite:///"):
            return
        store = os.path.realpath(os.fsencode(address.removeprefix("sqlite:///")))
        self._stores.append(store)
        for path in self._where:
            if _is_in(store, path) or _is_in(path, store):
                raise BackupRefused(
                    f"the store at {escaped(store)} and {escaped(path)} lie in one another: the store would be deleted, and "
                    "the backup with it. Nothing was backed up, nothing was deleted. Use a store somewhere else.",
                    path=os.fsdecode(path),
                )

    def describe(self) -> Mapping[str, Any]:
        return {"paths": [escaped(path) for path in self._where], "host": socket.gethostname()}

    def count(self) -> Count:
        """Folders are told in the details only. Raises BackupError if there is nothing at a path."""
        found: Counter[str] = Counter()
        size = 0
        seen: set[tuple[int, int]] = set()
        for at in self._where:
            refuse_mounts(at)
            try:
                with Tree(at) as tree:
                    tree.state(b"")
                    for _, state in tree.walk():
                        kind = kind_of(state)
                        same = (state.st_dev, state.st_ino)
                        found[_KINDS[kind]] += 1
                        size += state.st_size if kind is Kind.FILE and same not in seen else 0
                        if state.st_nlink > 1:
                            seen.add(same)
            except FileNotFoundError as error:
                raise missing(at) from error
            except OSError as error:
                raise BackupError(
                    f"{escaped(at)} cannot be looked at ({error}). Nothing was deleted. See its owner and its permissions.",
                    path=os.fsdecode(at),
                ) from error
        return Count(records=found.total() - found["folders"], size=size, details=dict(found))

    def export(self, target: Target, before: Contents | None) -> None:
        names = root_names(self._where)
        export = Export(target, before.members if before else {})
        for name, at in zip(names, self._where, strict=True):
            export.add(name, at)
        export.finish(names)

    def delete(self, contents: Contents) -> None:
        delete(contents)

    def delete_without_backup(self) -> None:
        delete_without_backup(self._where)

    def restore(self, contents: Contents, wish: Wish) -> Restored:
        """`wish.to` is a folder, in which each root gets its name of the backup; it is made if need be."""
        entries = entries_of(contents)
        names = _wished(entries, wish)
        places, came_back = self._places(contents, wish)
        manner = Manner(
            overwrite=wish.overwrite,
            is_missing_only=wish.is_missing_only,
            dresses_all=came_back,
            progress=wish.progress,
        )
        done = Restoring(contents, entries, places, manner).run(names)
        return replace(
            done, to=", ".join(escaped(place) for place in places.values()) if wish.to is None else str(wish.to)
        )

    def _places(self, contents: Contents, wish: Wish) -> tuple[dict[str, bytes], bool]:
        """Where each root goes; and whether one came back from a delete that was killed."""
        roots = roots_of(contents)
        if wish.to is None:
            return roots, _bring_back_all(contents)
        to = os.path.realpath(os.fsencode(Path(wish.to).expanduser()))
        for store in (store for store in self._stores if _is_in(to, store)):
            raise BackupRefused(
                f"{escaped(to)} lies in the store at {escaped(store)}. Nothing was restored. Restore to another folder.",
                path=os.fsdecode(to),
            )
        return {name: join(to, _own_name(name, at)) for name, at in roots.items()}, False


def _own_name(name: str, at: bytes) -> bytes:
    """The name that it had, unless another root has it too."""
    own = os.path.split(at)[1]
    return own if root_names([at]) == [name] else name.encode()


def _wished(entries: Mapping[str, Entry], wish: Wish) -> set[str]:
    names = chosen(entries, wish.only)
    if wish.only is not None and not names:
        raise BackupError(
            f"nothing in the backup is called {', '.join(wish.only)}. Nothing was restored. Its names are listed by "
            "`waycairn backup show`; `*` stands for any letters.",
        )
    return names


def _bring_back_all(contents: Contents) -> bool:
    """What a delete that was killed left under other names gets its own back, unless something else has it."""
    left = [(at, aside) for at, aside in asides_of(contents) if is_there(aside) and not is_there(at)]
    for at, aside in left:
        bring_back(at, aside)
    return bool(left)


def _absolute(path: bytes) -> bytes:
    """The way to it is followed, it itself is not."""
    above, name = os.path.split(path.rstrip(b"/") or b"/")
    if name in (b"", b".", b".."):
        return os.path.realpath(path)
    return join(os.path.realpath(above or b"."), name)


def _is_in(path: bytes, folder: bytes) -> bool:
    return path == folder or path.startswith(folder.rstrip(b"/") + b"/")
