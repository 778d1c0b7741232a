"""A large pack: copied into warm aligned slabs and written around the page cache by two threads.

Measured on ext4 for 1 GiB: buffered write and fsync 1.18 s; preallocated, O_DIRECT, two threads, fsync 0.43 s.
"""

from __future__ import annotations

import errno
import mmap
import os
import queue
import threading
from collections.abc import Sequence
from contextlib import suppress

from waycairn.blobs.direct import bypass_cache, use_cache
from waycairn.blobs.slabs import SLAB, SlabPool
from waycairn.blobs.unfinished import Unfinished
from waycairn.ports import Buffer
from waycairn.world.crashpoints import crashpoint
from waycairn.world.files import translated

THREADS = 2
SLABS = 4
"""On their way at a time: two being written, one waiting, one being filled."""
_PREALLOCATE = 256 * 1024 * 1024
"""Space is asked for this much ahead, not for the whole hint: most of a save may turn out to be known already."""

_Job = tuple[mmap.mmap, int, int]
"""Slab, bytes in it, offset in the file."""


class LargePack:
    """A BlobWriter whose `append` copies into slabs and returns; the disk works meanwhile."""

    def __init__(self, file: Unfinished, alignment: int, pool: SlabPool, size_hint: int) -> None:
        self._file = file
        self._alignment = alignment
        self._pool = pool
        self._hint = size_hint
        self._allocated = 0
        self._size = 0
        self._used = 0
        self._lent = 0
        self._slab: mmap.mmap | None = None
        self._free: queue.SimpleQueue[mmap.mmap] = queue.SimpleQueue()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._error: BaseException | None = None
        self._done = False
        self._threads: list[threading.Thread] = []
        bypass_cache(file.handle)

    # -- the caller's thread ---------------------------------------------------------------------------------

    def append(self, parts: Sequence[Buffer]) -> int:
        if padding := -self._size % self._alignment:
            self._copy(bytes(padding))
        offset = self._size
        for part in parts:
            self._copy(part)
        return offset

    def _copy(self, part: Buffer) -> None:
        view = memoryview(part)
        while view:
            slab = self._slab or self._next_slab()
            count = min(len(view), SLAB - self._used)
            slab[self._used : self._used + count] = view[:count]
            self._used += count
            self._size += count
            view = view[count:]
            if self._used == SLAB:
                self._send()

    def _next_slab(self) -> mmap.mmap:
        if self._lent < SLABS and self._free.empty():
            self._slab = self._pool.take()
            self._lent += 1
        else:
            self._slab = self._free.get()
        self._used = 0
        with translated("a pack", self._file.path):
            if self._error:
                raise self._error
        return self._slab

    def _send(self) -> None:
        assert self._slab
        self._preallocate()
        self._start()
        self._jobs.put((self._slab, self._used, self._size - self._used))
        self._slab = None

    def _start(self) -> None:
        while len(self._threads) < THREADS:
            thread = threading.Thread(target=self._work, name="waycairn-pack", daemon=True)
            thread.start()
            self._threads.append(thread)

    def _preallocate(self) -> None:
        if self._size <= self._allocated or not hasattr(os, "posix_fallocate"):
            return
        ahead = max(self._size, min(self._hint, self._allocated + _PREALLOCATE))
        with suppress(OSError):  # not known to this file system, or no space: the write itself will tell
            os.posix_fallocate(self._file.handle, self._allocated, ahead - self._allocated)
        self._allocated = ahead

    def finish(self) -> int:
        if self._slab:
            self._send()
        self._stop()
        with translated("a pack", self._file.path):
            if self._error:
                raise self._error
        self._file.name(self._size)
        self._done = True
        return self._size

    def abort(self) -> None:
        if self._done:
            return
        self._done = True
        self._error = self._error or OSError(errno.ECANCELED, "the save was given up")
        self._stop()
        self._file.remove()

    def _stop(self) -> None:
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()
        self._threads = []
        if self._slab:
            self._pool.give_back(self._slab)
            self._slab = None
        while not self._free.empty():
            self._pool.give_back(self._free.get())

    # -- the writing threads ---------------------------------------------------------------------------------

    def _work(self) -> None:
        while job := self._jobs.get():
            slab, used, offset = job
            try:
                if not self._error:
                    self._write(slab, used, offset)
            except BaseException as error:  # noqa: BLE001 - raised again by the caller's thread
                self._error = error
            finally:
                self._free.put(slab)

    def _write(self, slab: mmap.mmap, used: int, offset: int) -> None:
        crashpoint("pack.write")
        # Around the page cache only whole sectors can be written; what is too much is cut off at the end.
        view = memoryview(slab)[: -(-used // self._alignment) * self._alignment]
        while view:
            written = _write_at(self._file.handle, view, offset)
            view = view[written:]
            offset += written


def _write_at(handle: int, view: memoryview, offset: int) -> int:
    try:
        return os.pwrite(handle, view, offset)
    except OSError as error:
        if error.errno != errno.EINVAL or not use_cache(handle):
            raise
        # Some file systems accept O_DIRECT and then refuse the write.
        return os.pwrite(handle, view, offset)
