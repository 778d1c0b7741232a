"""A fair queue of processes in front of one SQLite file: a kernel file lock, granted in the order of asking.

SQLite's own busy handler polls with growing pauses, so with 50 writers some starve for seconds. A held flock costs
about 2 µs when nobody else wants it, and the kernel frees it in the instant its holder dies.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from pathlib import Path

from waycairn.world.files import translated

_log = logging.getLogger(__name__)
PATIENCE = 10.0
"""Seconds of waiting after which one warning names the holder."""


class FairQueue:
    """One place in the queue for this process; the threads of a process take turns elsewhere (see `group`)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with translated("the queue file", path):
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._since: float | None = None
        self._watch: threading.Thread | None = None
        self._closed = threading.Event()

    def acquire(self) -> None:
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._wait()

    def release(self) -> None:
        fcntl.flock(self._handle, fcntl.LOCK_UN)

    def close(self) -> None:
        if self._closed.is_set():
            return
        self._closed.set()
        if self._watch is not None:
            self._watch.join()
        os.close(self._handle)

    def abandon(self) -> None:
        """In a forked child: drop the shared open file, or this process would keep its parent's lock alive."""
        if not self._closed.is_set():
            os.close(self._handle)

    def _wait(self) -> None:
        if self._watch is None:
            self._watch = threading.Thread(target=self._warn_once, name="waycairn-queue", daemon=True)
            self._watch.start()
        self._since = time.monotonic()
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX)
        finally:
            self._since = None

    def _warn_once(self) -> None:
        """Runs beside a blocked flock, which cannot look at the time itself."""
        warned: float | None = None
        while not self._closed.wait(PATIENCE / 2):
            since = self._since
            if since is None or since == warned or time.monotonic() - since < PATIENCE:
                continue
            warned = since
            _log.warning(
                "waiting for the catalog for more than %.0f s: %s. Nothing is lost, this process goes on as soon as "
                "it is free. If that process is stopped or hangs, continue it (kill -CONT) or end it.",
                PATIENCE,
                describe_holder(self._path),
            )


def describe_holder(path: Path) -> str:
    """Who holds the flock on `path`, in words, from /proc."""
    try:
        found = path.stat()
        pid = holder_of(found.st_dev, found.st_ino, Path("/proc/locks").read_text(encoding="ascii"))
    except OSError:
        return "its holder cannot be found out on this platform"
    if pid is None:
        return "its holder is not visible from here (another container?)"
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


def _state_of(pid: int) -> str:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "gone"
    # The name in brackets may hold anything, also brackets.
    letter = stat.rpartition(")")[2].split()[0]
    words = {"T": "stopped", "t": "stopped by a debugger", "D": "waiting for the disk", "Z": "dead, not reaped"}
    return words.get(letter, "running" if letter == "R" else "sleeping")
