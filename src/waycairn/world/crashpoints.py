"""Named places where a process may die, shared by our tests and by `waycairn crashtest`.

`crashpoint("name")` stands at each durability step, before and after it. Off it costs one comparison (tens of ns).
It is armed from outside by environment variables, which child processes inherit:

    WAYCAIRN_CRASH=name@k:KILL      at the k-th hit of that name in this process
    WAYCAIRN_CRASH=*@k:KILL         at the k-th hit of any name in this process
    WAYCAIRN_CRASH_ONCE=file        strike only if this file can be made: once among all processes that inherit it
    WAYCAIRN_CRASH_RECORD=file      append "pid name k seconds" for every hit

What is done there: KILL, TERM, INT, STOP send that signal to this process; GROUP sends SIGKILL to its whole process
group; RAISE raises OSError(EIO), as a failing device would, and ENOSPC raises OSError(ENOSPC), as a full one.
"""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
from collections import Counter

__all__ = ["arm", "crashpoint", "disarm"]

_SIGNALS = {"KILL": "SIGKILL", "TERM": "SIGTERM", "INT": "SIGINT", "STOP": "SIGSTOP"}
_ERRORS = {"RAISE": errno.EIO, "ENOSPC": errno.ENOSPC}
_GROUP = "GROUP"
_ANY = "*"


class _Plan:
    def __init__(self, name: str | None, hit: int, act: str, record: str | None, once: str | None = None) -> None:
        if act not in _SIGNALS and act not in _ERRORS and act != _GROUP:
            raise ValueError(f"crash act {act!r} is none of {', '.join([*_SIGNALS, _GROUP, *_ERRORS])}")
        self.name, self.hit, self.act, self.record, self.once = name, hit, act, record, once
        self.hits: Counter[str] = Counter()
        self.lock = threading.Lock()

    def reach(self, name: str) -> None:
        with self.lock:
            self.hits[name] += 1
            count = self.hits[name]
            place = self.hits.total() if self.name == _ANY else count
            if self.record:
                self._write(name, count)  # here, so that all that was counted stands there if another thread strikes
        if self.name not in {name, _ANY} or place != self.hit or self._has_struck():
            return
        if self.act in _ERRORS:
            code = _ERRORS[self.act]
            raise OSError(code, f"injected at crash point {name}: {os.strerror(code)}")
        if self.act == _GROUP:
            os.killpg(os.getpgrp(), signal.SIGKILL)
        else:
            os.kill(os.getpid(), getattr(signal, _SIGNALS[self.act]))

    def _has_struck(self) -> bool:
        """In another process, which died of it or not."""
        if self.once is None:
            return False
        try:
            os.close(os.open(self.once, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            return True
        return False

    def _write(self, name: str, count: int) -> None:
        assert self.record
        handle = os.open(self.record, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, f"{os.getpid()} {name} {count} {time.time():.6f}\n".encode())
        finally:
            os.close(handle)


def _from_environment() -> _Plan | None:
    spec, record = os.environ.get("WAYCAIRN_CRASH"), os.environ.get("WAYCAIRN_CRASH_RECORD")
    if not spec:
        return _Plan(None, 0, "KILL", record) if record else None
    point, _, act = spec.partition(":")
    name, _, hit = point.partition("@")
    return _Plan(name, int(hit or 1), act or "KILL", record, os.environ.get("WAYCAIRN_CRASH_ONCE"))


_plan = _from_environment()


def crashpoint(name: str) -> None:
    """Die here if a test asked for it; otherwise do nothing. For your own jobs too: `wc.crashpoint("sent")` marks a
    place where `waycairn crashtest` may kill them."""
    if _plan is not None:
        _plan.reach(name)


def arm(name: str, hit: int = 1, act: str = "RAISE") -> Counter[str]:
    """Arm one point in this process (tests); returns the live counter of hits by name."""
    global _plan  # noqa: PLW0603 - the one switch of this module
    _plan = _Plan(name, hit, act, None)
    return _plan.hits


def disarm() -> None:
    global _plan  # noqa: PLW0603 - the one switch of this module
    _plan = None
