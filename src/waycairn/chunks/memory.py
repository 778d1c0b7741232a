"""Memory that arrays can take over as it is."""

from __future__ import annotations

import mmap
from contextlib import suppress

PAGE = 4096
_OWN_MAPPING = 256 * 1024
_HUGE = 2 * 1024 * 1024


def allocate(size: int) -> memoryview:
    """Writable zeroed bytes, aligned to 16 bytes at least and to a page from 256 KiB up. It lives as long as a view
    of it does."""
    if size < _OWN_MAPPING or not hasattr(mmap, "MAP_PRIVATE"):
        return memoryview(bytearray(size))
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if size >= _HUGE and hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # a kernel without huge pages
            memory.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(memory)
