"""Memory that arrays can take over as it is."""

from __future__ import annotations

import mmap
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache

PAGE = 4096
_OWN_MAPPING = 256 * 1024
_HUGE = 2 * 1024 * 1024
_TOUCHED_FROM = 8 * 1024 * 1024
_STEP = 4 * 1024 * 1024
_POPULATE_WRITE = 23
"""MADV_POPULATE_WRITE of Linux 5.14: pages are made, and what is in them stays. Python's mmap has no name for it."""


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


@contextmanager
def touched_meanwhile(memories: Sequence[memoryview]) -> Iterator[None]:
    """While the block fills fresh memory, another thread has the kernel make its pages: whoever copies into a page that is not
    there yet waits for it and holds the interpreter (0.2 s for 500 MB, of 1 s that it takes to load as much). Where the
    kernel cannot, and for little, nothing is done."""
    advise = _advise() if sum(map(len, memories)) >= _TOUCHED_FROM else None
    if advise is None:
        yield
        return
    ended = threading.Event()
    thread = threading.Thread(target=_touch, args=(memories, advise, ended), name="waycairn-memory")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _touch(memories: Sequence[memoryview], advise: Callable[[int, int, int], int], ended: threading.Event) -> None:
    import ctypes

    for memory in memories:
        if len(memory) < _OWN_MAPPING:
            continue
        start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        end = -(-(start + len(memory)) // PAGE) * PAGE
        for at in range(start // PAGE * PAGE, end, _STEP):
            if ended.is_set() or advise(at, min(_STEP, end - at), _POPULATE_WRITE) != 0:
                return  # an older kernel, or no memory: who fills it will be told


@cache
def _advise() -> Callable[[int, int, int], int] | None:
    """madvise, by address."""
    if sys.platform != "linux":
        return None
    import ctypes

    try:
        found = ctypes.CDLL(None).madvise
    except (OSError, AttributeError):
        return None
    found.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    advise: Callable[[int, int, int], int] = found
    return advise
