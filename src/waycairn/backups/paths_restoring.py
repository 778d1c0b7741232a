"""Trees, brought back: first a look over all of it, then one thing after the other."""

from __future__ import annotations

import errno
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path

from msgspec.structs import replace

from waycairn.backups.paths_attributes import kind_of
from waycairn.backups.paths_content import holds
from waycairn.backups.paths_entry import Entry, Kind, shown
from waycairn.backups.paths_names import escaped
from waycairn.backups.paths_tree import Tree
from waycairn.backups.paths_writing import BEING_RESTORED, Writer
from waycairn.backups.source import Contents
from waycairn.errors import BackupError, Damaged, StoreFull, WouldOverwrite
from waycairn.model.backups import Restored
from waycairn.world.crashpoints import crashpoint
from waycairn.world.files import make_directory

_NAMED = 5
"""Conflicts that a message names."""
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class _Found(Enum):
    NOTHING = auto()
    SAME = auto()
    OTHER = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a tree is put where it belongs."""

    overwrite: bool = False
    is_missing_only: bool = False
    dresses_all: bool = False
    """Folders that are there get their rights and times too, not only those that were made."""
    progress: Callable[[int, int], None] | None = None


@dataclass(slots=True)
class _Plan:
    todo: list[Entry] = field(default_factory=list)
    replaced: set[str] = field(default_factory=set)
    unfinished: set[str] = field(default_factory=set)
    """Folders that a restore which was killed made."""
    conflicts: list[str] = field(default_factory=list)
    skipped: int = 0


class Restoring:
    """One restore, by one thread; a context manager."""

    def __init__(
        self, contents: Contents, entries: Mapping[str, Entry], places: Mapping[str, bytes], manner: Manner
    ) -> None:
        """`entries` is all of the backup, `places` where each root goes."""
        self._contents = contents
        self._entries = entries
        self._places = places
        self._manner = manner
        self._trees: dict[str, Tree] = {}
        self._open = ExitStack()
        self._missing: set[str] = set()
        """Folders that are not there: nothing in them needs to be looked for."""
        self._first: dict[str, Entry] = {}
        """Where the content of a member was put, for its twins."""
        self._counted: Counter[str] = Counter()
        self._size = 0

    def run(self, names: set[str]) -> Restored:
        """Bring these back. Raises WouldOverwrite before anything was changed."""
        with self._open, Writer(may_replace=self._manner.overwrite) as writer:
            plan = self._plan(names)
            if plan.conflicts:
                raise self._would_overwrite(plan.conflicts)
            with self._told(writer, plan):
                self._write(writer, plan)
                writer.finish(self._to_dress(plan, names))
        crashpoint("backup.paths.restored")
        kinds = {str(kind): count for kind, count in self._counted.items()}
        done = sum(count for kind, count in kinds.items() if kind != Kind.FOLDER)
        return Restored(records=done, skipped=plan.skipped, overwritten=len(plan.replaced), details=kinds)

    # -- looking -------------------------------------------------------------------------------------------------

    def _plan(self, names: set[str]) -> _Plan:
        plan = _Plan()
        scaffold = {above for name in names for above in _above(name)}
        for name in (name for name in self._entries if name in names or name in scaffold):
            entry = self._entries[name]
            try:
                found = self._look(entry)
            except OSError as error:
                plan.conflicts.append(f"{self._shown(entry)} ({error.strerror or error})")
                continue
            self._sort(plan, entry, found)
        return plan

    def _sort(self, plan: _Plan, entry: Entry, found: _Found) -> None:
        if found is _Found.NOTHING:
            plan.todo.append(entry)
            if entry.is_folder:
                self._missing.add(entry.name)
        elif found is _Found.SAME or (self._manner.is_missing_only and not entry.is_folder):
            plan.skipped += not entry.is_folder
            if entry.is_folder and self._trees[entry.root].state(entry.path).st_mode & 0o7777 == BEING_RESTORED:
                plan.unfinished.add(entry.name)
        elif self._manner.overwrite and self._may_go(entry):
            plan.todo.append(entry)
            plan.replaced.add(entry.name)
            if entry.is_folder:
                self._missing.add(entry.name)
        else:
            plan.conflicts.append(self._shown(entry))

    def _look(self, entry: Entry) -> _Found:
        if entry.name.rpartition("/")[0] in self._missing:
            return _Found.NOTHING
        tree = self._tree(entry)
        if tree is None or (state := tree.state_if_there(entry.path)) is None:
            return _Found.NOTHING
        return _Found.SAME if self._is_same(tree, entry, state) else _Found.OTHER

    def _is_same(self, tree: Tree, entry: Entry, state: os.stat_result) -> bool:
        content = self._content(entry)
        if kind_of(state) is not content.kind:
            return False
        if content.kind is Kind.FILE:
            if self._manner.is_missing_only:
                return True
            member = self._contents.members[content.name]
            return state.st_size == content.size and holds(*tree.place(entry.path), content, member.sha256)
        if content.kind is Kind.LINK:
            folder, name = tree.place(entry.path)
            return os.readlink(name, dir_fd=folder) == entry.link_target
        return True

    def _may_go(self, entry: Entry) -> bool:
        """A folder with something in it is never replaced by something else."""
        tree = self._trees[entry.root]
        return not stat.S_ISDIR(tree.state(entry.path).st_mode) or not tree.names(entry.path)

    # -- writing -------------------------------------------------------------------------------------------------

    def _write(self, writer: Writer, plan: _Plan) -> None:
        twins = []
        for entry in plan.todo:
            if entry.kind is Kind.TWIN:
                twins.append(entry)
            else:
                self._write_one(writer, plan, entry)
        writer.settle()
        for entry in twins:
            self._write_twin(writer, plan, entry)

    def _write_one(self, writer: Writer, plan: _Plan, entry: Entry) -> None:
        tree = self._made_tree(entry)
        self._make_room(writer, plan, tree, entry)
        if entry.is_folder:
            writer.folder(tree, entry.path)
        elif entry.kind is Kind.FILE:
            writer.file(tree, entry, self._contents.read(entry.name))
        else:
            writer.special(tree, entry)
        self._tell(entry)

    def _write_twin(self, writer: Writer, plan: _Plan, entry: Entry) -> None:
        """Where the file itself is not there, or is another by now, the first of its other names becomes the file."""
        tree, content = self._made_tree(entry), self._content(entry)
        self._make_room(writer, plan, tree, entry)
        first = self._first_of(content)
        if first is not None:
            writer.twin(tree, entry, self._trees[first.root], first.path)
        else:
            first = replace(content, name=entry.name, raw=entry.raw)
            writer.file(tree, first, self._contents.read(content.name))
            writer.settle()
        self._first[content.name] = first
        self._tell(entry)

    def _first_of(self, content: Entry) -> Entry | None:
        """Under which name the file is in place."""
        if content.name in self._first:
            return self._first[content.name]
        tree = self._tree(content)
        try:
            state = None if tree is None else tree.state_if_there(content.path)
        except NotADirectoryError:
            return None
        if tree is None or state is None or kind_of(state) is not Kind.FILE:
            return None
        return (
            content if holds(*tree.place(content.path), content, self._contents.members[content.name].sha256) else None
        )

    def _make_room(self, writer: Writer, plan: _Plan, tree: Tree, entry: Entry) -> None:
        """A file replaces a file in one step; other kinds do not replace one another."""
        if entry.name in plan.replaced:
            there = stat.S_ISDIR(tree.state(entry.path).st_mode)
            if entry.is_folder or there:
                writer.clear(tree, entry.path)

    def _to_dress(self, plan: _Plan, names: set[str]) -> Iterator[tuple[Tree, Entry]]:
        made = {entry.name for entry in plan.todo if entry.is_folder} | plan.unfinished
        if self._manner.overwrite or self._manner.dresses_all:
            made |= {name for name in names if self._entries[name].is_folder}
        for entry in reversed(list(self._entries.values())):
            if entry.name in made:
                yield self._made_tree(entry), entry

    # -- together ------------------------------------------------------------------------------------------------

    def _content(self, entry: Entry) -> Entry:
        """The entry itself, or that of the file which it is another name of."""
        if entry.kind is not Kind.TWIN:
            return entry
        first = self._entries.get(entry.target)
        if first is None or first.kind is not Kind.FILE:
            raise Damaged(
                f"{entry.name} is another name of {entry.target}, which is not in the backup.", entry=entry.name
            )
        return first

    def _tree(self, entry: Entry) -> Tree | None:
        """None where even the folder that it goes to is not there."""
        if entry.root not in self._trees:
            if entry.root not in self._places:
                raise Damaged(
                    f"the backup does not say where {entry.root} came from. Nothing was changed.", entry=entry.name
                )
            try:
                self._trees[entry.root] = self._open.enter_context(Tree(self._places[entry.root]))
            except FileNotFoundError:
                return None
        return self._trees[entry.root]

    def _made_tree(self, entry: Entry) -> Tree:
        tree = self._tree(entry)
        if tree is None:
            make_directory(Path(os.fsdecode(self._places[entry.root])).parent, 0o777)
            tree = self._tree(entry)
        assert tree is not None
        return tree

    def _tell(self, entry: Entry) -> None:
        self._counted[entry.kind] += 1
        self._size += entry.size if entry.kind is Kind.FILE else 0
        if self._manner.progress is not None:
            self._manner.progress(self._counted.total() - self._counted[Kind.FOLDER], self._size)

    def _shown(self, entry: Entry) -> str:
        return shown(self._places[entry.root], entry.path)

    def _would_overwrite(self, conflicts: Sequence[str]) -> WouldOverwrite:
        more = f" and {len(conflicts) - _NAMED} more" if len(conflicts) > _NAMED else ""
        kept = "They are folders with something in them, or lead elsewhere" if self._manner.overwrite else "They differ"
        return WouldOverwrite(
            f"the restore would replace what is there: {', '.join(conflicts[:_NAMED])}{more}. {kept} from what the backup "
            "holds. Nothing was changed. Restore to another place (to=), or with overwrite=True.",
            conflicts=conflicts,
        )

    @contextmanager
    def _told(self, writer: Writer, plan: _Plan) -> Iterator[None]:
        """An OSError says what is there and how it goes on."""
        try:
            yield
        except OSError as error:
            where = escaped(next(iter(self._places.values()), b""))
            done = (
                f"{writer.placed} of {len(plan.todo)} things were put at {where} and stay there; the rest is in the "
                f"backup {self._contents.record.id} as before."
            )
            reason = error.strerror or str(error)
            if error.errno in _FULL:
                raise StoreFull(
                    f"no space left while restoring to {where} ({reason}). {done} Free space, and restore again: it goes on.",
                    path=where,
                    restored=writer.placed,
                ) from error
            raise BackupError(
                f"restoring to {where} failed ({reason}{_at(error)}). {done} See the permissions and the disk, and restore "
                "again: it goes on.",
                path=where,
                restored=writer.placed,
            ) from error


def _above(name: str) -> Iterator[str]:
    while name := name.rpartition("/")[0]:
        yield name


def _at(error: OSError) -> str:
    name = error.filename
    return f": {escaped(os.fsencode(name))}" if isinstance(name, (str, bytes)) else ""
