"""A fork comes between calls, never into the midst of one that another thread of this process is in.

A child has no threads but the one that forked. What the others were doing stays half done in it for ever: locks of libraries
that nobody will release, modules that nobody will finish importing. So those who are in such a call say so, and a fork waits
for them; not for ever, as one of them may wait for the very thread that forks.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from threading import Condition, RLock, get_ident

PATIENCE = 10.0
"""Seconds that a fork waits at most."""


class Undivided:
    """`with undivided:` around calls that no fork may divide. Any number of threads at once, also one in itself; costs
    less than a microsecond."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._inside: dict[int, int] = {}
        """Threads, and how deep each is in."""
        self._forks = 0
        """Those that wait or are under way."""
        self._before: list[Callable[[], None]] = []
        # Re-entrant, because a signal handler may fork.
        self._lock = RLock()
        self._changed = Condition(self._lock)

    def __enter__(self) -> None:
        me = get_ident()
        with self._lock:
            if self._forks and me not in self._inside:
                self._changed.wait_for(lambda: not self._forks, self._patience)
            self._inside[me] = self._inside.get(me, 0) + 1

    def __exit__(self, *_: object) -> None:
        me = get_ident()
        with self._lock:
            depth = self._inside.pop(me, 1) - 1
            if depth:
                self._inside[me] = depth
            elif self._forks:
                self._changed.notify_all()

    def before_fork(self, work: Callable[[], None]) -> None:
        """To be called before each fork, when nobody is inside."""
        self._before.append(work)

    # -- around a fork ---------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Wait until nobody else is inside, and let nobody in."""
        me, until = get_ident(), time.monotonic() + self._patience
        self._lock.acquire()
        self._forks += 1
        self._changed.wait_for(lambda: not self._inside.keys() - {me}, max(0.0, until - time.monotonic()))
        if not self._inside:
            for work in self._before:
                work()

    def open(self) -> None:
        self._forks -= 1
        self._changed.notify_all()
        self._lock.release()

    def open_in_child(self) -> None:
        """Those who were inside, or waited, are not in this process."""
        me, lock = get_ident(), self._lock
        self._forks = 0
        self._inside = {me: self._inside[me]} if me in self._inside else {}
        self._lock = RLock()
        self._changed = Condition(self._lock)
        lock.release()


undivided = Undivided()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=undivided.close, after_in_parent=undivided.open, after_in_child=undivided.open_in_child)
