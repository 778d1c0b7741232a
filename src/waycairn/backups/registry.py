"""Which source brings back what kind of backup."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from waycairn.backups.source import Source
from waycairn.errors import BackupError
from waycairn.store import StoreCore

Maker = Callable[[Mapping[str, Any], Any], Source]
"""From what `Source.describe` told and from where to restore to (None: where it came from). What it makes restores there, and
deletes where it came from."""
PATHS = "paths"
_makers: dict[str, Maker] = {}


def _rows(_core: StoreCore, description: Mapping[str, Any], to: Any) -> Source:
    from waycairn.backups.rows_again import rows_again

    return rows_again(description, to)


def _paths(_core: StoreCore, description: Mapping[str, Any], to: Any) -> Source:
    from waycairn.backups.paths import source_of as made

    return made(description, to)


def _runs(core: StoreCore, description: Mapping[str, Any], _to: Any) -> Source:
    from waycairn.backups.runs import described_runs

    return described_runs(core, description)


_BUILT_IN = {"rows": _rows, PATHS: _paths, "runs": _runs}
"""Their modules are loaded when they are needed."""


def register_source(kind: str, maker: Maker) -> None:
    """Have backups of a kind of your own restored. The last one registered counts. ValueError for a kind of ours."""
    if kind in _BUILT_IN:
        raise ValueError(
            f"backups of the kind {kind!r} are restored by waycairn itself. Give your source a kind of its own."
        )
    _makers[kind] = maker


def source_of(core: StoreCore, kind: str, description: Mapping[str, Any], to: Any = None) -> Source:
    """Raises BackupError for a kind that nobody registered in this process; and what its maker raises."""
    if kind in _BUILT_IN:
        return _BUILT_IN[kind](core, description, to)
    if kind not in _makers:
        raise BackupError(
            f"nothing in this process knows backups of the kind {kind!r}. Nothing was changed. Import the module that calls "
            "waycairn.backups.registry.register_source for it, or extract the backup to a folder."
        )
    return _makers[kind](description, to)


def source_for(what: Source | str | os.PathLike[str]) -> Source:
    """A source as it is; of a path the one that backs it up."""
    if not isinstance(what, str | os.PathLike):
        return what
    from waycairn.backups.paths import paths

    return paths(what)
