"""Runs in a forked child: they raise on use, and leaving them does nothing."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class _Forkable(Protocol):
    def note_fork(self) -> None: ...


_alive: weakref.WeakSet[_Forkable] = weakref.WeakSet()


def watch(thing: _Forkable) -> None:
    """Tell the thing when it wakes up in a forked child."""
    _alive.add(thing)


def _in_child() -> None:
    for thing in list(_alive):
        thing.note_fork()


os.register_at_fork(after_in_child=_in_child)
