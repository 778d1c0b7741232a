"""Which files are there: paths and patterns into files seen.

A directory is listed and its files are asked for size and times, nothing more: a file that has not changed costs about
3 µs. Paths are bytes and made absolute; symbolic links are followed for the identity and kept in the path.
"""

# ruff: noqa: PTH100, PTH116, PTH118 - paths are bytes, which pathlib cannot hold

from __future__ import annotations

import fnmatch
import os
import re
import stat
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from waycairn.streams.births import born
from waycairn.streams.records import Identity, Noticed
from waycairn.streams.rotation import LIVE, Rank, base_of, rank_of

AnyPath = str | bytes | os.PathLike[str] | os.PathLike[bytes]

_MAGIC = re.compile(rb"[*?[]")
_REMEMBERED = 100_000
"""Names whose meaning is remembered; then it is found anew."""
_SETTLED = 1_000_000_000
"""Nanoseconds after which a directory's time of change tells of every change: it moves in ticks of up to 10 ms."""


class Seen(msgspec.Struct, frozen=True):
    """A file as it was found. The same object again as long as nothing about it changed."""

    path: bytes
    identity: Identity
    inode: int
    size: int
    modified: int
    changed: int
    """The inode, in any way: rename and chmod too, and nobody can set it back."""
    base: bytes
    """The path of which this is a rotated form; its own if it is none."""
    rank: Rank
    is_asked: bool
    """Its own name matches what was asked for; otherwise only that of which it is a rotated form does."""

    @property
    def is_rotated(self) -> bool:
        return self.rank != LIVE


class _Name(msgspec.Struct, frozen=True):
    """What a name is to this stream."""

    base: bytes
    rank: Rank
    is_asked: bool


class _Folder:
    """One directory, and the names in it that were asked for."""

    def __init__(self, path: bytes, names: Sequence[bytes]) -> None:
        self.path = path
        self._match = re.compile(b"|".join(_translated(name) for name in names)).match
        self._is_literal = not any(_MAGIC.search(name) for name in names)
        self._what_it_is: dict[bytes, _Name | None] = {}
        self._listed = (0, 0)
        self.seen: dict[bytes, Seen] = {}

    def scan(self, notes: _Notes) -> bool:
        """Look again; whether anything is not as it was."""
        before, self.seen = self.seen, {}
        try:
            changed = os.stat(self.path).st_mtime_ns
            if self._is_literal and changed == self._listed[0] and changed + _SETTLED < self._listed[1]:
                return self._look_at(before, before, notes)
            self._listed = (changed, time.time_ns())
            with os.scandir(self.path) as entries:
                return self._look_through(entries, before, notes)
        except FileNotFoundError:
            return bool(before)
        except OSError as error:
            notes.fail(self.path, f"cannot be listed: {error.strerror}")
            return bool(before)

    def _look_through(self, entries: Iterable[os.DirEntry[bytes]], before: dict[bytes, Seen], notes: _Notes) -> bool:
        """The loop that 10,000 quiet files go through at each look. A change of any kind changes the inode's time."""
        now, unknown = self.seen, []
        for entry in entries:
            name = entry.name
            seen = before.get(name)
            if seen is None:
                if self._what(name):
                    unknown.append(name)
                continue
            try:
                status = entry.stat()
            except OSError:
                unknown.append(name)
                continue
            if status.st_ctime_ns == seen.changed and status.st_ino == seen.inode:
                now[name] = seen
            else:
                unknown.append(name)
        return self._look_at(unknown, before, notes)

    def _look_at(self, names: Iterable[bytes], before: dict[bytes, Seen], notes: _Notes) -> bool:
        for name in names:
            path = os.path.join(self.path, name)
            try:
                status = os.stat(path)
            except FileNotFoundError:  # it went between the list and the look
                continue
            except OSError as error:
                notes.fail(path, f"cannot be looked at: {error.strerror}")
                self._listed = (0, 0)  # looked for again
                continue
            seen = before.get(name)
            if seen is None or status.st_ctime_ns != seen.changed or status.st_ino != seen.inode:
                seen = self._looked(name, path, status, notes)
            if seen:
                self.seen[name] = seen
        return len(self.seen) != len(before) or any(before.get(name) is not self.seen[name] for name in self.seen)

    def _what(self, name: bytes) -> _Name | None:
        try:
            return self._what_it_is[name]
        except KeyError:
            if len(self._what_it_is) > _REMEMBERED:  # names of files that went long ago
                self._what_it_is.clear()
            what = self._what_it_is[name] = self._recognised(name)
            return what

    def _recognised(self, name: bytes) -> _Name | None:
        is_asked = self._match(name) is not None
        base = base_of(name)
        if base is not None and self._match(base):
            return _Name(os.path.join(self.path, base), rank_of(name), is_asked)
        return _Name(os.path.join(self.path, name), LIVE, is_asked) if is_asked else None

    def _looked(self, name: bytes, path: bytes, status: os.stat_result, notes: _Notes) -> Seen | None:
        if not stat.S_ISREG(status.st_mode):
            notes.tell(path, _reason(status.st_mode))
            return None
        what = self._what(name)
        assert what
        return Seen(
            path=path,
            identity=Identity(status.st_dev, status.st_ino, born(path, status)),
            inode=status.st_ino,
            size=status.st_size,
            modified=status.st_mtime_ns,
            changed=status.st_ctime_ns,
            base=what.base,
            rank=what.rank,
            is_asked=what.is_asked,
        )


class _Notes:
    """What cannot be read, told once until it changes."""

    def __init__(self) -> None:
        self._told: dict[bytes, str] = {}
        self._now: dict[bytes, str] = {}
        self._new: list[Noticed] = []
        self.failed: dict[bytes, str] = {}

    def tell(self, path: bytes, reason: str) -> None:
        self._now[path] = reason
        if self._told.get(path) != reason:
            message = f"{path.decode(errors='backslashreplace')} is left out: it {reason}"
            self._new.append(Noticed(kind="unreadable", path=path, message=message))

    def fail(self, path: bytes, reason: str) -> None:
        """As tell, of what should be read and cannot be."""
        self.failed[path] = reason
        self.tell(path, reason)

    def collect(self) -> list[Noticed]:
        new, self._new = self._new, []
        self._told, self._now = self._now, {}
        return new


class Discovery:
    """Looks for the files of patterns: paths, and globs with `*`, `?`, `[...]`, and `**` for any directories. As in a
    shell, wildcards do not match names that begin with a dot."""

    def __init__(self, patterns: Iterable[AnyPath]) -> None:
        self._patterns = [os.path.abspath(os.fsencode(pattern)) for pattern in patterns]
        if not self._patterns:
            raise ValueError("a stream needs at least one path to read")
        self._folders: dict[tuple[bytes, tuple[bytes, ...]], _Folder] = {}
        self._seen: dict[bytes, Seen] = {}
        self._bases: dict[bytes, bytes] = {}
        self._notes = _Notes()

    def scan(self) -> tuple[dict[bytes, Seen], list[Noticed]]:
        """All files that are there, by path, each file once; the same dict again if nothing changed. And what was met
        that cannot be read, told once."""
        self._notes.failed.clear()
        folders = self._current_folders()
        changed = [folder.scan(self._notes) for folder in folders.values()]
        if any(changed) or folders.keys() != self._folders.keys():
            self._seen = _each_once(folders.values())
        self._folders = folders
        return self._seen, self._notes.collect()

    @property
    def failed(self) -> Mapping[bytes, str]:
        """What the last scan could not look at, and why."""
        return self._notes.failed

    def base_of(self, path: bytes) -> bytes:
        """The path of which this one, which may not be there any more, is a rotated form; itself if of none."""
        if path not in self._bases:
            if len(self._bases) > _REMEMBERED:
                self._bases.clear()
            folder, name = os.path.split(path)
            base = base_of(name)
            is_asked = base is not None and any(self._asks(pattern, folder, base) for pattern in self._patterns)
            self._bases[path] = os.path.join(folder, base) if is_asked and base else path
        return self._bases[path]

    @staticmethod
    def _asks(pattern: bytes, folder: bytes, name: bytes) -> bool:
        root, last = os.path.split(pattern)
        if not re.fullmatch(_translated(last), name):
            return False
        return root == folder or (_MAGIC.search(root) is not None and fnmatch.fnmatchcase(folder, root))

    def _current_folders(self) -> dict[tuple[bytes, tuple[bytes, ...]], _Folder]:
        names: dict[bytes, dict[bytes, None]] = {}
        for pattern in self._patterns:
            root, last = os.path.split(pattern)
            if last == b"**":
                root, last = pattern, b"*"
            for folder in _folders(root, self._notes):
                names.setdefault(folder, {})[last] = None
        keys = [(folder, tuple(asked)) for folder, asked in names.items()]
        return {key: self._folders.get(key) or _Folder(*key) for key in keys}


def _each_once(folders: Iterable[_Folder]) -> dict[bytes, Seen]:
    chosen: dict[tuple[int, int], Seen] = {}
    for folder in folders:
        for seen in folder.seen.values():
            other = chosen.setdefault((seen.identity.device, seen.inode), seen)
            if other is not seen and _order(seen) < _order(other):
                chosen[seen.identity.device, seen.inode] = seen
    return {seen.path: seen for seen in chosen.values()}


def _order(seen: Seen) -> tuple[bool, int, bytes]:
    """Of two names of one file: the one that was asked for, then the live one, then the first."""
    return not seen.is_asked, -seen.rank[0], seen.path


def _folders(root: bytes, notes: _Notes) -> Iterator[bytes]:
    """The directories that the part of a pattern before its last `/` stands for."""
    if not _MAGIC.search(root):
        yield root
        return
    above, last = os.path.split(root)
    for folder in _folders(above, notes):
        if last == b"**":
            yield from _all_below(folder, notes)
        elif _MAGIC.search(last):
            match = re.compile(_translated(last)).match
            yield from (entry.path for entry in _subfolders(folder, notes) if match(entry.name))
        else:
            yield os.path.join(folder, last)


def _all_below(folder: bytes, notes: _Notes) -> Iterator[bytes]:
    """Symbolic links to directories are not gone into: they may lead back."""
    yield folder
    for entry in _subfolders(folder, notes):
        if not entry.name.startswith(b".") and not entry.is_symlink():
            yield from _all_below(entry.path, notes)


def _subfolders(folder: bytes, notes: _Notes) -> list[os.DirEntry[bytes]]:
    try:
        with os.scandir(folder) as entries:
            return sorted((entry for entry in entries if _is_folder(entry, notes)), key=lambda entry: entry.name)
    except FileNotFoundError:
        return []
    except OSError as error:
        notes.fail(folder, f"cannot be listed: {error.strerror}")
        return []


def _is_folder(entry: os.DirEntry[bytes], notes: _Notes) -> bool:
    """One that cannot be looked at hides none of the others."""
    try:
        return entry.is_dir()
    except OSError as error:
        notes.fail(entry.path, f"cannot be looked at: {error.strerror}")
        return False


def _translated(pattern: bytes) -> bytes:
    """As a regular expression; wildcards do not begin with a dot."""
    hidden = b"" if pattern.startswith(b".") else rb"(?!\.)"
    return hidden + fnmatch.translate(os.fsdecode(pattern)).encode("utf-8", "surrogateescape")


def _reason(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "is a directory; name the files in it, for example with /*.jsonl"
    if stat.S_ISFIFO(mode):
        return "is a FIFO: it cannot be read again from a place"
    return "is no regular file"
