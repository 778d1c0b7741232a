"""Open files, as few as the limit of the process allows: those that were read longest ago are closed first."""

from __future__ import annotations

import errno
import os
import resource
from collections import OrderedDict
from collections.abc import Hashable

from waycairn.streams.births import born_open
from waycairn.streams.records import Identity

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
"""Not to block: between looking and opening, a name may have become that of a FIFO."""
_TOO_MANY = {errno.EMFILE, errno.ENFILE}


class NotTheFile(Exception):
    """The name belongs to another file now, or its bytes are not those that were there."""


def open_file(path: bytes, identity: Identity) -> int:
    """Open for reading. NotTheFile if another file has the name by now; OSError as the system says."""
    handle = os.open(path, _FLAGS)
    status = os.fstat(handle)
    found = Identity(status.st_dev, status.st_ino, born_open(handle, status))
    if not is_same(found, identity):
        os.close(handle)
        raise NotTheFile
    return handle


def is_same(one: Identity, other: Identity) -> bool:
    """Whether both are the same file, as far as the kernel tells times of birth."""
    is_same_birth = one.born == other.born or not one.born or not other.born
    return (one.device, one.inode) == (other.device, other.inode) and is_same_birth


class Descriptors:
    """Keeps up to `limit` files open, by a key of the caller's. Not thread-safe."""

    def __init__(self, limit: int) -> None:
        allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        # Half of what is allowed: the other half belongs to the database and to the rest of the program.
        self._limit = max(4, limit if allowed == resource.RLIM_INFINITY else min(limit, allowed // 2))
        self._open: OrderedDict[Hashable, int] = OrderedDict()
        self._kept: set[Hashable] = set()

    def get(self, key: Hashable) -> int | None:
        """The file of this key, if it is open."""
        handle = self._open.get(key)
        if handle is not None:
            self._open.move_to_end(key)
        return handle

    def open(self, key: Hashable, path: bytes, identity: Identity) -> int:
        while len(self._open) >= self._limit and self._close_oldest():
            pass
        try:
            handle = open_file(path, identity)
        except OSError as error:
            if error.errno not in _TOO_MANY or not self._close_oldest():
                raise
            return self.open(key, path, identity)
        self._open[key] = handle
        return handle

    def keep(self, key: Hashable) -> bool:
        """Not to be closed for want of room, since its file has no name any more; whether it is open at all."""
        if key in self._open:
            self._kept.add(key)
        return key in self._open

    def close(self, key: Hashable) -> None:
        self._kept.discard(key)
        handle = self._open.pop(key, None)
        if handle is not None:
            os.close(handle)

    def close_all(self) -> None:
        for key in list(self._open):
            self.close(key)

    def _close_oldest(self) -> bool:
        key = next((key for key in self._open if key not in self._kept), None)
        if key is None:
            return False
        self.close(key)
        return True
