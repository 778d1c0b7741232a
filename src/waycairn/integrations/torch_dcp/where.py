"""Where a writer or reader keeps its checkpoints, and under which name."""

from __future__ import annotations

import os
import weakref
from typing import Any

from waycairn.model.policy import Durability
from waycairn.work.step import check_name
from waycairn.work.store import Store, open_store

DEFAULT_NAME = "checkpoint"


class Where:
    """Opens the store at first use, once in each process: a writer is sent to other processes and ranks."""

    def __init__(
        self, path: str | os.PathLike[str] | Store, packs: Any, durability: Durability | None, *, create: bool = True
    ) -> None:
        self._given = path if isinstance(path, Store) else None
        self._address = os.fspath(path) if not isinstance(path, Store) else path.url
        self._packs = packs
        self._durability = durability
        self._create = create
        self._opened: tuple[int, Store] | None = None

    def store(self) -> Store:
        if self._given is not None:
            return self._given
        if self._opened is None or self._opened[0] != os.getpid():
            store = open_store(self._address, packs=self._packs, durability=self._durability, create=self._create)
            self._opened = (os.getpid(), store)
            weakref.finalize(self, _close, os.getpid(), store)
        return self._opened[1]

    def close(self) -> None:
        """Close what was opened here; the next use opens it again. A store that was passed is left as it is."""
        if self._opened is not None:
            _close(*self._opened)
        self._opened = None

    def __getstate__(self) -> dict[str, Any]:
        """For another process: the address, never an open store."""
        if self._given is not None and "://" in self._address:
            raise TypeError(
                "this writer was made with an open store on a database, which cannot be opened again in another process "
                "without its password and its packs. Nothing was saved. Make it with the address: "
                "WaycairnWriter('postgresql://...', packs=...)."
            )
        return {**self.__dict__, "_given": None, "_opened": None}


def _close(pid: int, store: Store) -> None:
    if pid == os.getpid():
        store.close()


def name_of(checkpoint_id: str | os.PathLike[str] | None, rank: int | None = None) -> str:
    """The name of the runs that are saves of this id; with `rank` those of one rank that saved for itself alone."""
    name = DEFAULT_NAME if checkpoint_id is None else os.fspath(checkpoint_id)
    check_name("DCP checkpoint", name)
    return name if rank is None else f"{name}#rank{rank}"


def is_name(checkpoint_id: str | os.PathLike[str]) -> bool:
    try:
        name_of(checkpoint_id)
    except (TypeError, ValueError):
        return False
    return True
