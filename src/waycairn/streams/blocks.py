"""The bytes of a growing file, block after block.

Every block is read together with the last bytes of the one before it, and these must be what they were. So a file that
was truncated and has grown past the place again is found by the very read that would have gone wrong.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from waycairn.streams.descriptors import NotTheFile
from waycairn.streams.marks import REACH

BLOCK = 1 << 20
_SMALLEST = 4096


class PlainBlocks:
    """Of a file that is not compressed. `open` gives its descriptor, again whenever it had to be closed."""

    is_complete = False
    """Only a compressed file tells that it ends here."""
    damage = ""

    def __init__(self, open_handle: Callable[[], int], position: int, recent: bytes, block: int = BLOCK) -> None:
        self._open = open_handle
        self._recent = recent
        self._block = block
        self.position = position

    def read(self, expected: int = BLOCK) -> tuple[bytes, int]:
        """Bytes, and from where in them it goes on; nothing new if that is their end. `expected` is how much may be
        there, so that a small file takes a small block."""
        recent = self._recent
        wanted = min(self._block, max(_SMALLEST, expected + 1))
        data = os.pread(self._open(), len(recent) + wanted, self.position - len(recent))
        if not data.startswith(recent):
            raise NotTheFile
        self.position += len(data) - len(recent)
        self._recent = data[-REACH:]
        return data, len(recent)

    @property
    def size_read(self) -> int:
        """What the file must have at least."""
        return self.position

    def skip_hole(self) -> int:
        """Go over NULs that take no room on the disk; how many that were."""
        handle = self._open()
        size = os.fstat(handle).st_size
        try:
            data = os.lseek(handle, self.position, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:  # EINVAL: the file system does not know holes
                return 0
            data = size
        skipped = min(data, size) - self.position
        if skipped <= 0:
            return 0
        self.position += skipped
        self._recent = (self._recent + bytes(min(REACH, skipped)))[-REACH:]
        return skipped
