"""Connections and fork: the child drops what its parent opened, without closing it.

Closing would release the parent's locks and end its server sessions; SQLite across a fork corrupts files
(sqlite.org/howtocorrupt.html 2.6; reported for Ruby on Rails in 2024).
"""

from __future__ import annotations

import os
import weakref
from typing import Any, Protocol

from waycairn.errors import UsedAfterFork


class Opened(Protocol):
    def abandon(self) -> list[Any]:
        """In the child: refuse further use, and hand over everything that must never be closed."""
        ...


_opened: weakref.WeakSet[Any] = weakref.WeakSet()
_graveyard: list[Any] = []


def drop_in_children(database: Opened) -> None:
    _opened.add(database)


def refuse_after_fork() -> None:
    raise UsedAfterFork(
        f"this store was opened by a parent of process {os.getpid()}. Nothing was changed. "
        "Open the store again in this process, or start workers with the spawn method."
    )


def _in_child() -> None:
    import ctypes

    for database in list(_opened):
        for connection in database.abandon():
            # One reference more than anybody will ever give back: at exit the interpreter clears this list too,
            # and must still not close them.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
            _graveyard.append(connection)
    _opened.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
