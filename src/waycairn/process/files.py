"""Ownership on one host: a kernel lock on the owner file of a run.

The kernel frees the lock in the instant of death, so there is no heartbeat to starve and no reuse of process ids
to fear. The file of an epoch is also the PID file: JSON of `Owner`, for people and for `waycairn orphans`.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import RLock

import msgspec

from waycairn.errors import UnsafeFileSystem
from waycairn.model.ids import RunId
from waycairn.model.records import Owner, RunRecord
from waycairn.ports import Clock
from waycairn.process.identity import current_owner
from waycairn.world.crashpoints import crashpoint
from waycairn.world.files import make_directory, reading, translated, write_all

__all__ = ["FileHold", "FileOwnership"]

_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}
_PATIENCE = 2.0
"""Seconds to wait for probers: each holds its shared lock for some microseconds."""
_PAUSE = 0.001
_DISPLACED = ".displaced"
"""Ends the second name of a file whose owner was displaced and lives."""


class FileHold:
    """A locked owner file. The lock is this object's open descriptor: it ends when that is closed, or with us."""

    def __init__(self, path: Path, handle: int, owner: Owner) -> None:
        self.owner = owner
        self._path = path
        self._handle: int | None = handle

    def is_lost(self) -> bool:
        """True after `release`, in a forked child, and when a later owner marked or removed the file of this epoch."""
        with _forks:
            return self._handle is None or os.fstat(self._handle).st_nlink != 1

    def release(self) -> None:
        """Remove the file and free the lock. Idempotent; does nothing in a forked child."""
        with _forks:
            if self._handle is None:
                return
            crashpoint("owner.release")
            # Unlinked under the lock: who opened the file before finds after locking that its name is gone.
            for path in (self._path, _displaced(self._path)):
                with suppress(OSError):
                    if _is_at(path, self._handle):
                        path.unlink()
            crashpoint("owner.unlock")
            self._close()
            crashpoint("owner.released")

    def _close(self) -> None:
        """Never unlock: in a child that would free the parent's lock, which lies on the same open file."""
        if self._handle is not None:
            os.close(self._handle)
        self._handle = None
        _holds.discard(self)


class FileOwnership:
    """Owner files in one directory of a local file system. Thread-safe; two claims of one process exclude each
    other like those of two processes."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self.directory = directory
        self._clock = clock

    def claim(self, run: RunId, epoch: int) -> FileHold | None:
        """Lock the file of this epoch and write our name into it; None if a living process has it.

        Not flushed to the medium: after a power cut no owner lives, and what the file says is only information.
        """
        path = self._path(run, epoch)
        with translated("the owner file", path):
            if not self.directory.exists():
                make_directory(self.directory)
            crashpoint("owner.claim")
            with _forks, _refusing_without_locks(path):
                handle = self._lock(path)
                hold = None if handle is None else self._signed(path, handle)
            crashpoint("owner.claimed")
        return hold

    def holder(self, run: RunRecord) -> Owner | None:
        """Who holds the file of the run's present epoch; None if it is free or there is none.

        The owner is the one of the catalog's row while the file is still being written.
        """
        path = self._path(run.root, run.epoch)
        with _forks, reading(path), _refusing_without_locks(path):
            try:
                handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return None
            try:
                # Shared, so that probers never exclude each other.
                if _try_lock(handle, fcntl.LOCK_SH):
                    return None
                return _read_owner(handle) or run.owner or _UNSIGNED
            finally:
                os.close(handle)

    def has_rival(self, run: RunRecord) -> bool:
        """Whether a file of this epoch or an older one is still locked; so the kernel says, however many came between."""
        with reading(self.directory):
            return any(epoch <= run.epoch and not self._is_free(path) for path, epoch in self._files_of(run.root))

    def forget(self, run: RunId, before_epoch: int) -> None:
        """Remove the files of older epochs. That of a living owner, displaced by force, stays and gets a second name: so
        it notices by `is_lost`, and others see that it lives. Idempotent."""
        with translated("the owner files", self.directory):
            for path, epoch in self._files_of(run):
                if epoch < before_epoch:
                    crashpoint("owner.forget")
                    if self._is_free(path):
                        path.unlink(missing_ok=True)
                    elif not path.name.endswith(_DISPLACED):
                        _mark_displaced(path)
                    crashpoint("owner.forget.done")

    def sweep(self) -> int:
        """Remove the files that no living process holds: what owners left that died, also before the catalog knew
        their run. Safe at any time, since an unlocked file means as little as a missing one. Returns how many."""
        removed = 0
        for path in self._all():
            with translated("the owner file", path), _forks, suppress(FileNotFoundError):
                handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
                try:
                    if _try_lock(handle, fcntl.LOCK_EX) and _is_at(path, handle):
                        crashpoint("owner.sweep")
                        path.unlink()
                        crashpoint("owner.sweep.done")
                        removed += 1
                finally:
                    os.close(handle)
        return removed

    def abandoned(self) -> list[Path]:
        """The files that no living process holds; what `sweep` would remove at this moment."""
        with reading(self.directory):
            return [path for path in self._all() if path.exists() and self._is_free(path)]

    def _all(self) -> list[Path]:
        with reading(self.directory):
            return list(self.directory.glob("*.*"))

    def _files_of(self, run: RunId) -> list[tuple[Path, int]]:
        """The owner files of a run with their epochs, those of displaced owners too."""
        found = (
            (path, path.name.removesuffix(_DISPLACED).rpartition(".")[2]) for path in self.directory.glob(f"{run}.*")
        )
        return [(path, int(epoch)) for path, epoch in found if epoch.isdigit()]

    def _is_free(self, path: Path) -> bool:
        """Whether no living process holds the file, or it is gone."""
        with _forks:
            try:
                handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return True
            try:
                return _try_lock(handle, fcntl.LOCK_SH)
            finally:
                os.close(handle)

    def _path(self, run: RunId, epoch: int) -> Path:
        return self.directory / f"{run}.{epoch}"

    def _lock(self, path: Path) -> int | None:
        """A descriptor that holds the lock on the file which is at the path; None if another has it."""
        deadline = self._clock.monotonic() + _PATIENCE
        while True:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if _try_lock(handle, fcntl.LOCK_EX):
                if _is_at(path, handle):
                    return handle
                os.close(handle)  # its owner removed it between our open and our lock
                continue
            only_probed = _try_lock(handle, fcntl.LOCK_SH)
            os.close(handle)
            if not only_probed or self._clock.monotonic() > deadline:
                return None
            self._clock.sleep(_PAUSE)

    def _signed(self, path: Path, handle: int) -> FileHold:
        try:
            owner = current_owner(self._clock.now())
            crashpoint("owner.sign")
            os.ftruncate(handle, 0)
            write_all(handle, msgspec.json.encode(owner))
        except BaseException:
            os.close(handle)
            raise
        hold = FileHold(path, handle, owner)
        _holds.add(hold)
        return hold


_UNSIGNED = Owner(host="", boot="", namespace="", pid=0, started=0.0, nonce="", since=0.0)
"""Somebody who holds the lock and was stopped before writing a name."""


def _try_lock(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(path: Path, handle: int) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(there, os.fstat(handle))


def _displaced(path: Path) -> Path:
    return path.with_name(path.name + _DISPLACED)


def _mark_displaced(path: Path) -> None:
    """A second name, which the owner sees at the file that it holds; where there are no hard links, none."""
    try:
        os.link(path, _displaced(path))
    except FileExistsError:
        pass
    except OSError:
        path.unlink(missing_ok=True)


def _read_owner(handle: int) -> Owner | None:
    try:
        return msgspec.json.decode(os.pread(handle, 4096, 0), type=Owner)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


@contextmanager
def _refusing_without_locks(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        raise UnsafeFileSystem(
            f"{path} lies on a file system without file locks ({error.strerror}). Nothing was written. "
            "Use a local disk or PostgreSQL.",
            path=str(path),
        ) from error


# -- forks -----------------------------------------------------------------------------------------------------
# A child inherits the parent's open files and with them its locks, which would outlive the owner: the child closes
# them at once. Held while a descriptor is between open and `_holds`, so that no fork can fall in there; re-entrant
# because a signal handler may fork.

_holds: set[FileHold] = set()
_forks = RLock()


def _close_inherited() -> None:
    for hold in list(_holds):
        hold._close()  # noqa: SLF001 - one module
    _forks.release()


os.register_at_fork(before=_forks.acquire, after_in_parent=_forks.release, after_in_child=_close_inherited)
