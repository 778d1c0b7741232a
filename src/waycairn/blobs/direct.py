"""Around the page cache (O_DIRECT), where the file system allows it."""

from __future__ import annotations

import os


def bypass_cache(handle: int) -> bool:
    """From now on reads and writes of this handle go straight to the disk; False if that cannot be. Memory, offset
    and length must then be multiples of the sector size, or the call fails with EINVAL."""
    return _set_direct(handle, direct=True)


def use_cache(handle: int) -> bool:
    """Undo `bypass_cache`; False if it was not in force."""
    return _set_direct(handle, direct=False)


def _set_direct(handle: int, *, direct: bool) -> bool:
    flag = getattr(os, "O_DIRECT", 0)
    if not flag:
        return False
    import fcntl

    flags = fcntl.fcntl(handle, fcntl.F_GETFL)
    wanted = flags | flag if direct else flags & ~flag
    if wanted == flags:
        return False
    try:
        fcntl.fcntl(handle, fcntl.F_SETFL, wanted)
    except OSError:  # older tmpfs, overlays
        return False
    return True
