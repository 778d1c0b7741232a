"""Connections and fork: the child drops what its parent opened, without closing it.

Closing would release the parent's locks and end its server sessions; SQLite across a fork corrupts files
(sqlite.org/howtocorrupt.html 2.6; reported for Ruby on Rails in 2024).

What SQLite remembers of open files and locks is of the process, and a child inherits it: while a connection of its parent is
open it takes locks for its own that it does not hold. Then whoever closes the file last elsewhere removes the log that the
child commits to. So before a fork all idle connections are closed, after waiting for those at work; a child that begins in
the midst of a call all the same may not open that file.
"""

from __future__ import annotations

import os
import weakref
from pathlib import Path
from typing import Any, Protocol

from waycairn.errors import UsedAfterFork
from waycairn.world.forking import undivided


class Opened(Protocol):
    def rest(self) -> None:
        """Before a fork, when nobody is at work: close what can be opened again."""
        ...

    def abandon(self) -> list[Any]:
        """In the child: refuse further use, and hand over everything that must never be closed."""
        ...


_opened: weakref.WeakSet[Any] = weakref.WeakSet()
_graveyard: list[Any] = []
_inherited: set[Path] = set()
"""Files that were open in the parent when this process began."""


def drop_in_children(database: Opened) -> None:
    _opened.add(database)


def refuse_after_fork() -> None:
    raise UsedAfterFork(
        f"this store was opened by a parent of process {os.getpid()}. Nothing was changed. "
        "Open the store again in this process, or start workers with the spawn method."
    )


def inherits(path: Path) -> None:
    """To be called in the child: the file was in use."""
    _inherited.add(path)


def refuse_inherited(path: Path) -> None:
    if path in _inherited:
        raise UsedAfterFork(
            f"process {os.getpid()} was forked while its parent was in the midst of using {path}, and cannot lock that file "
            "any more. Nothing was changed. Start workers with the spawn method, or fork before the store is used."
        )


def _before() -> None:
    for database in list(_opened):
        database.rest()


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
    undivided.before_fork(_before)
    os.register_at_fork(after_in_child=_in_child)
