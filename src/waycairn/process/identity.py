"""Which process is this, and is that one dead?"""

from __future__ import annotations

import functools
import os
import socket
import sys
from pathlib import Path

from waycairn.model.records import Owner
from waycairn.world.randomness import new_nonce

__all__ = ["current_owner", "is_dead"]


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
    if (owner.boot, owner.namespace) != (_boot(), _namespace()):
        return False
    return _started(owner.pid) != owner.started


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
