"""Which process is this, and is that one dead?"""

from __future__ import annotations

import functools
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from waycairn.model.records import Owner
from waycairn.world.randomness import new_nonce

__all__ = ["current_owner", "is_dead", "is_here", "send_signal"]


def current_owner(since: float) -> Owner:
    """This process as an owner from `since` on (seconds since 1970), under a fresh nonce."""
    pid = os.getpid()
    return Owner(
        host=socket.gethostname(),
        boot=_boot(),
        namespace=_namespace(),
        pid=pid,
        started=_started(pid) or 0.0,
        nonce=new_nonce(),
        since=since,
    )


def is_dead(owner: Owner) -> bool:
    """True if the owner's process surely is gone. False also where that cannot be seen from here: another host,
    another container."""
    return is_here(owner) and _started(owner.pid) != owner.started


def is_here(owner: Owner) -> bool:
    """Whether its process id means anything to us: this host since it was started, this container."""
    return (owner.boot, owner.namespace) == (_boot(), _namespace())


def send_signal(owner: Owner, number: int) -> bool:
    """To exactly that process; False, and nothing was sent, if it is gone or not of this host. Raises PermissionError."""
    if not is_here(owner):
        return False
    try:
        with _handle_of(owner.pid) as send:
            # Its number may be another process's by now. The handle is that of one process: so it is looked at behind it.
            if _started(owner.pid) != owner.started:
                return False
            send(number)
    except ProcessLookupError:
        return False
    return True


@contextmanager
def _handle_of(pid: int) -> Iterator[Callable[[int], None]]:
    """What sends signals to the process that has this number now, and to no later one where the system has such handles."""
    if not hasattr(os, "pidfd_open"):
        yield lambda number: os.kill(pid, number)
        return
    handle = os.pidfd_open(pid)
    try:
        yield lambda number: signal.pidfd_send_signal(handle, number)
    finally:
        os.close(handle)


if sys.platform == "linux":
    _TICKS = os.sysconf("SC_CLK_TCK")

    @functools.cache
    def _boot() -> str:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()

    def _namespace() -> str:
        return str(os.stat("/proc/self/ns/pid").st_ino)  # noqa: PTH116 - Path.stat would be the same, longer

    def _started(pid: int) -> float | None:
        """Seconds from boot to the start of a process; None if it is gone or only waits to be reaped.

        Counted from boot: seconds since 1970 move for all living processes when somebody sets the clock.
        """
        try:
            stat = Path(f"/proc/{pid}/stat").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            return None
        # The command stands in brackets and may hold anything, brackets too: what counts begins behind the last.
        fields = stat.rpartition(b")")[2].split()
        return None if fields[0] in b"ZXx" else int(fields[19]) / _TICKS

else:

    @functools.cache
    def _boot() -> str:
        import psutil

        return str(int(psutil.boot_time()))

    def _namespace() -> str:
        return ""

    def _started(pid: int) -> float | None:
        """Start of a process as the system tells it; None if it is gone or only waits to be reaped."""
        import psutil

        try:
            process = psutil.Process(pid)
            return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
        except psutil.NoSuchProcess:
            return None
