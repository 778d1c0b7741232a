"""One act in a process of its own, which is killed or stopped at a crash point."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from waycairn.world import crashpoints

NOBODY = 65534


def start(act: Callable[[], object], point: str = "", hit: int = 1, how: str = "KILL", user: int | None = None) -> int:
    """Its process id."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        if user is not None and os.getuid() == 0:
            os.setgid(user)
            os.setuid(user)
        if point:
            crashpoints.arm(point, hit, how)
        act()
        code = 0
    except Exception:
        traceback.print_exc()
        code = 1
    finally:
        os._exit(code)


def ended(child: int) -> int:
    """Exit code; negative for the signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_at(act: Callable[[], object], point: str, hit: int, user: int | None = None) -> bool:
    """False if it did not come there."""
    code = ended(start(act, point, hit, user=user))
    assert code in (0, -signal.SIGKILL)
    return code != 0


def while_stopped_at(act: Callable[[], object], point: str, meanwhile: Callable[[], object]) -> int:
    child = start(act, point, how="STOP")
    _, status = os.waitpid(child, os.WUNTRACED)
    assert os.WIFSTOPPED(status), f"it never came to {point}"
    meanwhile()
    os.kill(child, signal.SIGCONT)
    return ended(child)


def points_of(act: Callable[[], object]) -> list[tuple[str, int]]:
    """All crash points that it passes, each with the number of its hit. The act is done."""
    hits = crashpoints.arm("none")
    try:
        act()
    finally:
        crashpoints.disarm()
    return [(name, hit) for name, count in hits.items() for hit in range(1, count + 1)]


@contextmanager
def anybodys_folder() -> Iterator[Path]:
    """That a process without rights may use."""
    with tempfile.TemporaryDirectory(prefix="waycairn-paths-", ignore_cleanup_errors=True) as place:
        folder = Path(place) / "free"
        folder.mkdir()
        for one in (Path(place), folder):
            one.chmod(0o777)
        yield folder
