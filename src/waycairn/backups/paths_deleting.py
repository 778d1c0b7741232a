"""Trees, deleted: exactly what was exported, or nothing.

1. Look that each tree is what was exported.
2. Give it another name, in one step: who opens paths does not find it any more.
3. Look again: somebody may have written between. On a difference it gets its name back.
4. Remove one thing after the other, the deepest first. On an error what is gone is put back, then the name.

Killed in the midst and called again, it finds the other name and goes on at 3.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

from waycairn.backups.paths_aside import aside_of, bring_back, is_there, put_aside
from waycairn.backups.paths_entry import Entry, entries_of, roots_of, shown
from waycairn.backups.paths_exporting import refuse_mounts
from waycairn.backups.paths_looking import differences, is_that
from waycairn.backups.paths_names import escaped
from waycairn.backups.paths_restoring import Manner, Restoring
from waycairn.backups.paths_tree import Tree
from waycairn.backups.source import Contents
from waycairn.errors import BackupError, BackupRefused, SourceChanged, WaycairnError
from waycairn.world.crashpoints import crashpoint
from waycairn.world.files import flush

_NAMED = 5
"""Differences that a message names."""


@dataclass(frozen=True, slots=True)
class _Root:
    name: str
    at: bytes
    aside: bytes
    entries: dict[bytes, Entry]
    """By path, each folder before what is in it."""


class _Differs(Exception):
    """Something is not what was exported."""


def delete(contents: Contents) -> None:
    """Raises SourceChanged, or BackupError after an error; then all is where it was, or the message says where."""
    Deletion(contents).run()


def asides_of(contents: Contents) -> list[tuple[bytes, bytes]]:
    """Where each root was, and where a delete that was killed left it."""
    backup = contents.record.id
    return [(at, aside_of(at, backup, number)) for number, at in enumerate(roots_of(contents).values())]


class Deletion:
    """One delete, by one thread."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self._all = entries_of(contents)
        self._has_removed = False
        """Things may be gone."""
        places = zip(roots_of(contents).items(), asides_of(contents), strict=True)
        self._roots = [_Root(name, at, aside, {}) for (name, at), (_, aside) in places]
        by_name = {root.name: root for root in self._roots}
        for entry in self._all.values():
            by_name[entry.root].entries[entry.path] = entry

    def run(self) -> None:
        begun = [root for root in self._roots if is_there(root.aside)]
        there = [root for root in self._roots if root not in begun and self._is_ours(root, is_begun=bool(begun))]
        if not begun and not there:
            return
        self._has_removed = bool(begun)
        moved = list(begun)
        with self._put_back_on_error(moved):
            for root in there if begun else self._roots:
                self._compare(root, root.at, is_begun=False)
            for root in there:
                put_aside(root.at, root.aside)
                moved.append(root)
            for root in moved:
                self._compare(root, root.aside, is_begun=root in begun)
            crashpoint("backup.paths.remove")
            self._has_removed = True
            for root in moved:
                self._remove(root)

    def _is_ours(self, root: _Root, *, is_begun: bool) -> bool:
        """Once the others have been put aside, what is at the old place and is another thing came later."""
        try:
            with Tree(root.at) as tree:
                state = tree.state_if_there(b"")
        except (FileNotFoundError, NotADirectoryError):
            return False
        return state is not None and (not is_begun or state.st_ino == root.entries[b""].ino)

    def _compare(self, root: _Root, where: bytes, *, is_begun: bool) -> None:
        if not is_there(where):
            raise _Differs(f"{escaped(root.at)} is gone")
        refuse_mounts(where)
        with Tree(where) as tree:
            found = differences(tree, root.entries, self._contents.members, is_begun=is_begun)
            named = [f"{shown(root.at, path)} {what}" for path, what in islice(found, _NAMED)]
        if named:
            raise _Differs(", ".join(named))

    def _remove(self, root: _Root) -> None:
        with Tree(root.aside) as tree:
            for path, entry in reversed(root.entries.items()):
                _remove_one(tree, root.at, path, entry)
                crashpoint("backup.paths.unlinked")
            flush(tree.above())
            crashpoint("backup.paths.gone")

    # -- putting back --------------------------------------------------------------------------------------------

    @contextmanager
    def _put_back_on_error(self, moved: Sequence[_Root]) -> Iterator[None]:
        """`moved` as it is by then."""
        try:
            yield
        except (_Differs, BackupRefused) as error:
            self._put_back(moved, str(error))
            if isinstance(error, BackupRefused):
                raise
            raise SourceChanged(
                f"it is not what was backed up any more: {error}. Nothing was deleted, all is where it was. Make a new backup, "
                "and delete with that.",
                differences=error.args[0],
            ) from None
        except OSError as error:
            why = reason_of(error)
            self._put_back(moved, why)
            put_back = (
                "what was gone already has been put back from the backup"
                if self._has_removed
                else "nothing was changed"
            )
            raise BackupError(
                f"{self._label} could not be deleted ({why}). All of it is where it was: {put_back}. See the permissions and "
                "the disk, then make a new backup and delete with that.",
            ) from error

    def _put_back(self, moved: Sequence[_Root], why: str) -> None:
        try:
            if self._has_removed:
                self._restore_missing(moved)
            for root in moved:
                if is_there(root.aside):
                    bring_back(root.at, root.aside)
        except (OSError, WaycairnError) as error:
            left = ", ".join(escaped(root.aside) for root in moved if is_there(root.aside)) or "nowhere"
            raise BackupError(
                f"{self._label} could not be deleted ({why}), and putting it back failed ({reason_of(error)}). What is left of it lies at {left}. All of it is in the backup: "
                f"`waycairn backup restore {self._contents.record.id}` puts it back once the disk allows.",
                left=[os.fsdecode(root.aside) for root in moved if is_there(root.aside)],
            ) from error

    def _restore_missing(self, moved: Sequence[_Root]) -> None:
        places = {root.name: root.aside if is_there(root.aside) else root.at for root in self._roots}
        names = {entry.name for root in moved for entry in root.entries.values()}
        with_times = Manner(is_missing_only=True, dresses_all=True)
        Restoring(self._contents, self._all, places, with_times).run(names)

    @property
    def _label(self) -> str:
        return ", ".join(escaped(root.at) for root in self._roots)


def _remove_one(tree: Tree, at: bytes, path: bytes, entry: Entry) -> None:
    state = tree.state_if_there(path)
    if state is None:
        return
    if not is_that(entry, state):
        raise _Differs(f"{shown(at, path)} was changed")
    try:
        remove_thing(tree, path, is_folder=entry.is_folder)
    except OSError as error:
        if error.errno == errno.ENOTEMPTY:
            raise _Differs(f"something in {shown(at, path)} is new") from None
        raise


def remove_thing(tree: Tree, path: bytes, *, is_folder: bool) -> None:
    """An empty folder, or anything else; of a link the link."""
    folder, name = tree.place(path)
    if is_folder:
        os.rmdir(name, dir_fd=folder)
    else:
        os.unlink(name, dir_fd=folder)


def reason_of(error: Exception) -> str:
    if not isinstance(error, OSError):
        return str(error)
    name = f" at {escaped(os.fsencode(error.filename))}" if isinstance(error.filename, (str, bytes)) else ""
    return f"{error.strerror or error}{name}"
