"""Packs as files of a directory of this host: `ab/ab3f…`, two levels so that no folder gets too long."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from waycairn.blobs.direct import bypass_cache, use_cache
from waycairn.blobs.large_pack import THREADS, LargePack
from waycairn.blobs.slabs import SlabPool
from waycairn.blobs.small_pack import SmallPack
from waycairn.blobs.unfinished import SUFFIX, Unfinished, remove_if_left
from waycairn.errors import Damaged
from waycairn.model.ids import PackId
from waycairn.ports import BlobCapabilities, BlobInfo, BlobWriter
from waycairn.world.clock import SystemClock
from waycairn.world.crashpoints import crashpoint
from waycairn.world.files import flush_directory, make_directory, reading, translated

ALIGNMENT = 4096
LARGE = 2 * 1024 * 1024
"""From here up two threads and slabs are faster than one buffered write."""
_NAME_LENGTH = 32
_DIRECT_READ = 1024 * 1024
"""From here up reading around the page cache is faster, cold (1 GiB: 0.74 against 1.32 s), and evicts nothing."""


class LocalBlobs:
    """Blobs on a local file system. Thread-safe. No thread outlives the pack it wrote."""

    def __init__(self, directory: os.PathLike[str] | str) -> None:
        """`directory` is created with the first pack."""
        self.directory = Path(directory)
        self._pool = SlabPool(keep=THREADS)
        self._lock = threading.Lock()
        self._durable_folders: set[str] | None = None

    @property
    def capabilities(self) -> BlobCapabilities:
        return BlobCapabilities(alignment=ALIGNMENT, local_path=True)

    def create(self, name: PackId, size_hint: int) -> BlobWriter:
        file = Unfinished(self.path(name), self._prepare_folder)
        if size_hint < LARGE:
            return SmallPack(file, ALIGNMENT)
        return LargePack(file, ALIGNMENT, self._pool, size_hint)

    def path(self, name: PackId) -> Path:
        """Where the pack lies, or would lie."""
        if not _is_name(name):
            raise ValueError(f"{name!r} is not the name of a pack; they are 32 hexadecimal characters")
        return self.directory / name[:2] / name

    def _prepare_folder(self, folder: Path) -> None:
        """The folder exists and its name is durable. That another process made it does not say that it flushed it."""
        with self._lock:
            if self._durable_folders is None:
                make_directory(self.directory)
                present = {entry.name for entry in os.scandir(self.directory)}
                flush_directory(self.directory)
                self._durable_folders = present
            if folder.name not in self._durable_folders:
                crashpoint("pack.mkdir")
                folder.mkdir(mode=0o700, exist_ok=True)
                crashpoint("pack.mkdir.flush")
                flush_directory(self.directory)
                crashpoint("pack.mkdir.done")
                self._durable_folders.add(folder.name)

    def read_into(self, name: PackId, offset: int, target: memoryview) -> None:
        path = self.path(name)
        try:
            with reading(path):
                handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise Damaged(
                f"pack {name} is missing: there is no file {path}. Checkpoints that need it cannot be read. "
                "Put the file back if it was moved, or see `waycairn doctor`.",
                pack=name,
            ) from None
        try:
            with reading(path):
                _read_fully(handle, name, path, offset, target)
        finally:
            os.close(handle)

    def head(self, name: PackId) -> BlobInfo | None:
        path = self.path(name)
        try:
            with reading(path):
                return _info(name, path.stat())
        except FileNotFoundError:
            return None

    def list(self) -> Iterator[BlobInfo]:
        for entry in self._entries():
            # What somebody else put here, or moved here, is nothing of ours.
            if _is_name(entry.name) and Path(entry.path) == self.path(PackId(entry.name)) and (stat := _stat(entry)):
                yield _info(entry.name, stat)

    def delete(self, name: PackId) -> None:
        path = self.path(name)
        with translated("the removal of a pack", path):
            crashpoint("pack.delete")
            try:
                path.unlink()
            except FileNotFoundError:
                return
            # Else a power cut brings the file back when nothing remembers it any more.
            crashpoint("pack.delete.flush")
            flush_directory(path.parent)
            crashpoint("pack.deleted")

    def now(self) -> float:
        """As the file system sees it: the folder is touched and looked at, so that nothing new has to find room."""
        if not self.directory.exists():
            return SystemClock.now()  # no pack was ever written
        with translated("the folder of the packs", self.directory):
            os.utime(self.directory)
            return self.directory.stat().st_mtime

    def delete_unfinished(self, before: float, *, dry_run: bool = False) -> int:
        """Remove what saves that died left behind, if it was not touched since `before` (seconds since 1970)."""
        old = (
            Path(entry.path)
            for entry in self._entries()
            if entry.name.endswith(SUFFIX) and (stat := _stat(entry)) and stat.st_mtime < before
        )
        return sum(remove_if_left(path, dry_run=dry_run) for path in old)

    def _entries(self) -> Iterator[os.DirEntry[str]]:
        try:
            with reading(self.directory):
                for folder in sorted(self.directory.iterdir()):
                    if folder.is_dir():
                        yield from os.scandir(folder)
        except FileNotFoundError:
            return


def _read_fully(handle: int, name: PackId, path: Path, offset: int, target: memoryview) -> None:
    if len(target) >= _DIRECT_READ:
        bypass_cache(handle)
    while target:
        # Around the page cache only whole sectors can be read: the last few bytes come through it.
        if len(target) < ALIGNMENT:
            use_cache(handle)
        try:
            count = os.preadv(handle, [target[: _whole_sectors(len(target))]], offset)
        except OSError as error:
            if error.errno == errno.EINVAL and use_cache(handle):
                continue
            raise
        if not count:
            raise Damaged(
                f"pack {name} is too short: {path} ends at byte {offset} and {len(target)} more are needed. "
                "Checkpoints that need them cannot be read. See `waycairn doctor`.",
                pack=name,
                offset=offset,
            )
        target = target[count:]
        offset += count


def _is_name(name: str) -> bool:
    return len(name) == _NAME_LENGTH and set(name) <= set("0123456789abcdef")


def _whole_sectors(length: int) -> int:
    return length - length % ALIGNMENT if length > ALIGNMENT else length


def _stat(entry: os.DirEntry[str]) -> os.stat_result | None:
    """None if it is gone by now: another process finished, renamed or removed it."""
    try:
        return entry.stat()
    except FileNotFoundError:
        return None


def _info(name: str, stat: os.stat_result) -> BlobInfo:
    return BlobInfo(PackId(name), stat.st_size, stat.st_mtime)
