"""Trees, deleted as they are: the backup was declined, and nothing brings them back.

1. Give each another name, in one step: who opens paths does not find it any more.
2. Remove one thing after the other, the deepest first. On an error what is left gets its name back.

Killed in the midst and called again, it finds the other name and goes on with that.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from waycairn.backups.paths_aside import aside_of, bring_back, is_there, put_aside
from waycairn.backups.paths_deleting import reason_of, remove_thing
from waycairn.backups.paths_exporting import missing, refuse_mounts
from waycairn.backups.paths_names import escaped
from waycairn.backups.paths_tree import Tree
from waycairn.errors import BackupError, BackupRefused
from waycairn.world.crashpoints import crashpoint
from waycairn.world.files import flush

_DECLINED = "declined"
"""In place of the id of a backup."""
_Moved = tuple[bytes, bytes]
"""Where it was, and its other name."""


def delete_without_backup(where: Sequence[bytes]) -> None:
    """Raises BackupRefused where another file system is mounted in one of them; BackupError where nothing is there, or after
    an error, which says what became of them."""
    roots = [(at, aside_of(at, _DECLINED, number)) for number, at in enumerate(where)]
    begun = [(at, aside) for at, aside in roots if is_there(aside)]
    there = [(at, aside) for at, aside in roots if is_there(at)]
    if not begun and not there:
        raise missing(where[0])
    for place in (place for root in roots for place in root):
        refuse_mounts(place)
    with _named_again(begun):
        _remove_all(begun)
    moved: list[_Moved] = []
    with _named_again(moved):
        for at, aside in there:
            put_aside(at, aside)
            moved.append((at, aside))
        _remove_all(moved)


def _remove_all(moved: Sequence[_Moved]) -> None:
    for _, aside in moved:
        refuse_mounts(aside)
    crashpoint("backup.paths.unguarded")
    for _, aside in moved:
        _remove(aside)


def _remove(aside: bytes) -> None:
    with Tree(aside) as tree:
        for path, state in reversed(list(tree.walk())):
            remove_thing(tree, path, is_folder=stat.S_ISDIR(state.st_mode))
            crashpoint("backup.paths.unguarded.unlinked")
        flush(tree.above())


@contextmanager
def _named_again(moved: Sequence[_Moved]) -> Iterator[None]:
    """On an error what is left of them gets its name back. `moved` as it is by then."""
    try:
        yield
    except (OSError, BackupRefused) as error:
        _bring_back(moved, error)
        if isinstance(error, BackupRefused):
            raise
        raise BackupError(
            f"not all could be deleted ({reason_of(error)}), and there is no backup. What was not deleted yet is where it was. "
            "See the permissions and the disk, then delete again.",
        ) from error


def _bring_back(moved: Sequence[_Moved], error: Exception) -> None:
    """Each that can be: one that cannot keeps none of the others away."""
    left: list[tuple[bytes, OSError]] = []
    for at, aside in moved:
        try:
            if is_there(aside):
                bring_back(at, aside)
        except OSError as failed:
            left.append((aside, failed))
    if left:
        places = ", ".join(f"{escaped(aside)} ({reason_of(failed)})" for aside, failed in left)
        raise BackupError(
            f"not all could be deleted ({reason_of(error)}), and there is no backup. What is left lies at {places}: it could not "
            "get its name back.",
            left=[os.fsdecode(aside) for aside, _ in left],
        ) from error
