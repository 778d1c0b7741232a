"""Who holds a file lock, from what the kernel tells in /proc."""

from __future__ import annotations

import os
from pathlib import Path


def describe_holder(path: Path) -> str:
    """Who holds the flock on `path`, in words."""
    try:
        found = path.stat()
        pid = holder_of(found.st_dev, found.st_ino, Path("/proc/locks").read_text(encoding="ascii"))
    except OSError:
        return "its holder cannot be found out on this platform"
    if pid is None:
        return "its holder is not visible from here (it may be in another container)"
    return f"it is held by pid {pid} ({_state_of(pid)})"


def holder_of(device: int, inode: int, locks: str) -> int | None:
    """The pid that holds a flock on that file, from the text of /proc/locks."""
    wanted = f"{os.major(device):02x}:{os.minor(device):02x}:{inode}"
    for line in locks.splitlines():
        fields = line.split()
        # Waiters have "->" as second field and are not holders.
        if len(fields) > 5 and fields[1] == "FLOCK" and fields[5] == wanted:
            return int(fields[4])
    return None


def is_stopped(pid: int) -> bool:
    """True if the process is seen to be stopped. False also where it cannot be seen."""
    return _letter(pid) in ("T", "t")


def _state_of(pid: int) -> str:
    words = {"T": "stopped", "t": "stopped by a debugger", "D": "waiting for the disk", "Z": "dead, not reaped"}
    return words.get(_letter(pid), {"R": "running", "": "gone"}.get(_letter(pid), "sleeping"))


def _letter(pid: int) -> str:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    # The name in brackets may hold anything, also brackets.
    return stat.rpartition(")")[2].split()[0]
