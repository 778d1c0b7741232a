"""Temporary files of ours that nobody needs any more: their writers died.

- `flights/RUN-…`: which items a dead process ran. The next entry of the run reads it; once the run is finished or gone, and
  nobody holds it, nobody does. `….new`: one that was never put in its place.
- `mirror/…/.N.json.part`: a readable copy that was never finished.
- `catalog.db.….tmp`: a copy before a migration that was never finished; `catalog.db.format-N` the copies themselves, only if
  the settings say how long they stay.

All of them only once they are old enough. Nothing else is touched, whatever it is called.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from waycairn.model.ids import RunId
from waycairn.model.units import seconds
from waycairn.store import StoreCore
from waycairn.upkeep.mirror_folder import mirror_root
from waycairn.world.crashpoints import crashpoint
from waycairn.world.files import translated

_FLIGHT = re.compile(r"(?P<run>[0-9a-z]{12})-[0-9a-f]{16}(?P<new>\.new)?").fullmatch
_PART = re.compile(r"\.\d+\.json\.part").fullmatch
_COPY = re.compile(r"catalog\.db\.format-\d+(?P<unfinished>\.tmp)?").fullmatch


@dataclass(frozen=True, slots=True)
class Leftover:
    path: Path
    size: int
    what: str


def leftovers(core: StoreCore, now: float) -> list[Leftover]:
    """What is old enough (`now` by the clock of the file system) and can go."""
    if core.scratch is None:
        return []
    settings = core.settings.upkeep
    before = now - settings.temporary_age
    found = [*_flights(core, core.scratch, before), *_parts(core, before), *_copies(core, before, unfinished=True)]
    if settings.migration_copies != "never":
        age = seconds("upkeep.migration_copies", settings.migration_copies)
        found += _copies(core, now - age, unfinished=False)
    return found


def remove_leftovers(found: list[Leftover]) -> None:
    for one in found:
        with translated("the removal of a temporary file", one.path):
            crashpoint("sweep.temporary")
            one.path.unlink(missing_ok=True)


def _flights(core: StoreCore, folder: Path, before: float) -> Iterator[Leftover]:
    for path, size in _old(folder, before):
        name = _FLIGHT(path.name)
        if name and (name["new"] or _is_over(core, RunId(name["run"]))):
            yield Leftover(path, size, "items that a dead process ran")


def _is_over(core: StoreCore, run: RunId) -> bool:
    found = core.catalog.get_run(run)
    if found is None:
        return True
    root = core.catalog.get_run(found.root) or found
    return root.status.is_finished and core.ownership.holder(root) is None


def _parts(core: StoreCore, before: float) -> Iterator[Leftover]:
    root = mirror_root(core)
    for folder in sorted(root.rglob("*")) if root is not None and root.is_dir() else ():
        if folder.is_dir():
            yield from (
                Leftover(path, size, "an unfinished copy") for path, size in _old(folder, before) if _PART(path.name)
            )


def _copies(core: StoreCore, before: float, *, unfinished: bool) -> Iterator[Leftover]:
    assert core.scratch is not None
    for path, size in _old(core.scratch.parent, before):
        name = _COPY(path.name)
        if name and bool(name["unfinished"]) == unfinished:
            yield Leftover(path, size, "a copy of the catalog before it was migrated")


def _old(folder: Path, before: float) -> Iterator[tuple[Path, int]]:
    """Files in a folder that were not touched since, and their sizes; nothing if there is no such folder."""
    with suppress(FileNotFoundError, NotADirectoryError):
        for path in sorted(folder.iterdir()):
            with suppress(FileNotFoundError):
                stat = path.lstat()
                if path.is_file() and not path.is_symlink() and stat.st_mtime < before:
                    yield path, stat.st_size
