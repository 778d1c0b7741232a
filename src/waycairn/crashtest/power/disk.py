"""Show states on a real directory, one after the other, rewriting only what differs."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections import defaultdict
from pathlib import Path

from blake3 import blake3

from waycairn.crashtest.power.oplog import AnyOp, DataOp, FileImage, Make
from waycairn.crashtest.power.states import Content, State

__all__ = ["Disk"]

Signature = tuple[int, int, int, int]


class Disk:
    """A directory that looks like one state, then like the next. Put it on a file system in memory: it is faster."""

    def __init__(self, tape: list[AnyOp], root: Path) -> None:
        self.root = root
        self._history: defaultdict[int, list[DataOp]] = defaultdict(list)
        self._modes = {op.inode: op.mode for op in tape if isinstance(op, Make)}
        for op in tape:
            if isinstance(op, DataOp):
                self._history[op.inode].append(op)
        self._images: dict[int, tuple[int, FileImage]] = {}
        """Of each file the newest image without gaps, and how many acts are in it."""
        self._digests: dict[Content, bytes] = {}
        self._there: dict[str, tuple[Content | str, Signature]] = {}
        self._long_ago = time.time_ns() - 10**9
        """Time of change of files that are shown: whoever changes one afterwards gives it another."""
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)

    def digests(self, state: State) -> dict[str, bytes]:
        """By path; two states with equal digests look the same, byte for byte, whatever acts led there."""
        directories = {path: b"%o" % mode for path, mode in state.directories}
        return directories | {
            path: os.fsencode(content) if isinstance(content, str) else self._digest(content)
            for path, content in state.files
        }

    def _digest(self, content: Content) -> bytes:
        known = self._digests.get(content)
        if known is None:
            image = self._image(content)
            facts = b"%o %d " % (image.mode, image.modified or 0)
            known = self._digests[content] = blake3(facts + image.data).digest(16)
        return known

    def show(self, state: State) -> Path:
        """Make the directory look like the state; returns it. What somebody changed in it meanwhile is undone."""
        files, directories = dict(state.files), dict(state.directories)
        self._remove_all_but(files, directories)
        for directory, mode in directories.items():
            place = self.root / directory
            place.mkdir(exist_ok=True)
            place.chmod(mode | stat.S_IRWXU)  # for us, whatever the job may do there
        first: dict[int, str] = {}
        for path, content in files.items():
            if not isinstance(content, str) and content.inode in first:
                self._link(path, first[content.inode], content)
            else:
                self._put(path, content)
                if not isinstance(content, str):
                    first[content.inode] = path
        for directory, mode in directories.items():
            if mode & stat.S_IRWXU != stat.S_IRWXU:
                (self.root / directory).chmod(mode)
        return self.root

    def _remove_all_but(self, files: dict[str, Content | str], directories: dict[str, int]) -> None:
        for folder, subfolders, names in os.walk(self.root):
            base = os.path.relpath(folder, self.root)
            prefix = "" if base == "." else f"{base}/"
            for name in names:
                if prefix + name not in files:
                    (self.root / prefix / name).unlink()
                    self._there.pop(prefix + name, None)
            for name in [one for one in subfolders if prefix + one not in directories]:
                _remove_directory(self.root / prefix / name)
                subfolders.remove(name)

    def _put(self, path: str, content: Content | str) -> None:
        place = self.root / path
        if self._there.get(path) == (content, _signature(place)):
            return
        place.unlink(missing_ok=True)  # never through a descriptor that a former check may have left open
        if isinstance(content, str):
            place.symlink_to(content)
        else:
            self._write(place, self._image(content))
        self._there[path] = (content, _signature(place))

    def _write(self, place: Path, image: FileImage) -> None:
        place.write_bytes(image.data)
        place.chmod(image.mode)
        modified = self._long_ago if image.modified is None else image.modified
        os.utime(place, ns=(modified, modified))

    def _link(self, path: str, first: str, content: Content) -> None:
        place, other = self.root / path, self.root / first
        place.unlink(missing_ok=True)
        place.hardlink_to(other)
        self._there[path] = self._there[first] = (content, _signature(other))

    def _image(self, content: Content) -> FileImage:
        history = self._history[content.inode]
        number, base = self._images.get(content.inode, (0, None))
        if base is None or number > content.durable:
            number, base = 0, FileImage(self._modes.get(content.inode, 0o644))
        for op in history[number : content.durable]:
            base.apply(op)
        self._images[content.inode] = (content.durable, base)
        if not content.extra:
            return base
        image = base.copy()
        for part in content.extra:
            image.apply(history[part.act], part.begin, part.end)
        return image


def _remove_directory(place: Path) -> None:
    """Also where a link stands in its place, which must not be followed."""
    if place.is_symlink():
        place.unlink()
    else:
        shutil.rmtree(place)


def _signature(place: Path) -> Signature:
    """Changes with whatever is done to a file (but for its reading)."""
    try:
        there = place.lstat()
    except FileNotFoundError:
        return (0, 0, 0, 0)
    return (there.st_mtime_ns, there.st_size, there.st_ino, there.st_mode)
