"""Runs of a store as a source: whole, with their phases, and all that was committed by them.

    store.safeguard(runs(store, "nightly", "q2w8e4…"))

What lies outside of the store is not in the backup: output files (their lengths are), databases that streams wrote to, the
readable copies of sessions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any

from waycairn.backups.runs_export import export_run
from waycairn.backups.runs_restore import RunInBackup, is_there, put_back, refuse_overwriting, runs_in_backup, there
from waycairn.backups.runs_rows import standing
from waycairn.backups.source import Contents, Target, Wish
from waycairn.errors import RunNotFound, SourceChanged
from waycairn.model.backups import Count, Restored
from waycairn.model.ids import RunId
from waycairn.model.records import RunFilter, RunRecord
from waycairn.ports import MovedRow, RunReader
from waycairn.store import StoreCore
from waycairn.upkeep.auditing import audited_commit
from waycairn.upkeep.holding import held
from waycairn.upkeep.mirror_folder import forget_copies
from waycairn.upkeep.row_sums import RowSum
from waycairn.upkeep.standing import is_backup
from waycairn.wiring import open_core
from waycairn.world import history
from waycairn.world.crashpoints import crashpoint

Check = Callable[[RunId, Iterator[MovedRow]], None]
KIND = "runs"


def runs(store: Any, *names: str) -> Runs:
    """Runs of a store (or of its core) by name or id, at least one. Raises RunNotFound; ValueError for a phase, or for what is
    a backup itself."""
    core = core_of(store)
    if not names:
        raise ValueError("name the runs that are to be backed up, or give their ids")
    found = {run.id: run for run in (_find(core, name) for name in names)}
    return Runs(core, [_checked(core, run) for run in found.values()])


def described_runs(core: StoreCore, description: Mapping[str, Any]) -> Runs:
    """The source of a backup that was made of this store or another one, to delete or restore with; its runs may be gone."""
    return Runs(core, [], description)


def core_of(store: Any) -> StoreCore:
    """Of a store, of what holds one, or itself. TypeError for anything else."""
    found = getattr(store, "core", store)
    if not isinstance(found, StoreCore):
        raise TypeError(f"runs are backed up from a store, as wc.open() gives it, not from a {type(store).__name__}")
    return found


class Runs:
    """Implements `Source`."""

    kind = KIND

    def __init__(
        self, core: StoreCore, found: Sequence[RunRecord], description: Mapping[str, Any] | None = None
    ) -> None:
        self._core = core
        self._found = found
        self._description = description or {
            "store": core.url,
            "store_id": core.catalog.info.id,
            "runs": [{"id": run.id, "name": run.name, "key": run.key} for run in found],
        }
        named = [
            run["name"] if run["key"] is None else f"{run['name']} ({run['key']})" for run in self._description["runs"]
        ]
        self.label = f"run {named[0]}" if len(named) == 1 else f"{len(named)} runs: {', '.join(named[:3])}"
        self.label += ", …" if len(named) > 3 else ""

    def describe(self) -> Mapping[str, Any]:
        return self._description

    def count(self) -> Count:
        details: dict[str, int] = {}
        left = [run.id for run in self._found if self._core.catalog.get_run(run.id) is not None]
        for run in left:
            for name, count in self._core.catalog.weigh_run(run).items():
                details[name] = details.get(name, 0) + count
        size = details.pop("bytes", 0)
        return Count(records=len(left), size=size, details=details)

    # -- export --------------------------------------------------------------------------------------------------------

    def export(self, target: Target, before: Contents | None) -> None:  # noqa: ARG002 - what is the same is found again
        """All of them as they are at one moment. Raises RunIsHeld, RunNotFound, Damaged."""
        for run in self._found:
            self._refuse_held(run.id)
        self._core.catalog.read_runs(lambda reader: self._export(reader, target))

    def _export(self, reader: RunReader, target: Target) -> None:
        records = size = 0

        def told(written: int) -> None:
            nonlocal size
            size += written
            target.progress(records, size)

        for run in self._found:
            if next(reader.rows_of(run.id), None) is None:
                raise RunNotFound(
                    f"run {run.name!r} ({run.id}) was removed meanwhile. Nothing was changed.", run=run.id
                )
            export_run(self._core, reader, run, target, told)
            records += 1
            told(0)

    def _refuse_held(self, run: RunId) -> None:
        """As it is now: who holds it is told by its newest epoch."""
        now = self._core.catalog.get_run(run)
        owner = None if now is None else self._core.ownership.holder(now)
        if now is not None and owner is not None:
            raise held(now, owner)

    # -- delete --------------------------------------------------------------------------------------------------------

    def delete(self, contents: Contents) -> None:
        """In one transaction, all of them. Raises RunIsHeld; SourceChanged if a row is not what was exported."""
        exported = {run.id: run for run in runs_in_backup(contents)}
        found = [run for run in map(self._core.catalog.get_run, exported) if run is not None]
        self._remove(found, lambda run, rows: _refuse_changed(exported[run], rows), backup=contents.record.id)

    def delete_without_backup(self) -> None:
        """As they are now, in one transaction. Raises RunIsHeld; SourceChanged if one was entered meanwhile."""
        named = [self._core.catalog.get_run(RunId(run["id"])) for run in self._description["runs"]]
        found = {run.id: run for run in named if run is not None}
        self._remove(list(found.values()), lambda run, rows: _refuse_entered(found[run], rows), backup=None)

    def _remove(self, found: Sequence[RunRecord], check: Check, backup: RunId | None) -> None:
        for run in found:
            self._refuse_held(run.id)
        facts: dict[str, Any] = {
            "backup": backup,
            "runs": [run.id for run in found],
            "names": [run.name for run in found],
        }
        with self._noted(found), audited_commit(self._core, "run.remove", _only(found), **facts) as act:
            act.is_quiet = not found
            crashpoint("backup.runs.delete")
            self._core.catalog.remove_runs([run.id for run in found], check)
        crashpoint("backup.runs.deleted")
        for run in found:
            forget_copies(self._core, run)

    @contextmanager
    def _noted(self, found: Sequence[RunRecord]) -> Iterator[None]:
        """For the harness that compares what is there with what was done."""
        if not history.is_on():
            yield
            return
        below = [self._core.catalog.list_runs(RunFilter(root=run.id, roots_only=False)) for run in found]
        what = [run.id for some in below for run in some]
        history.note(history.Deleting(what=what))
        yield
        history.note(history.Deleted(what=what))

    # -- restore -------------------------------------------------------------------------------------------------------

    def restore(self, contents: Contents, wish: Wish) -> Restored:
        """One run after the other, each in one transaction. Raises WouldOverwrite, RunIsHeld, SchemaChanged, Damaged."""
        with _opened(self._core if wish.to is None else wish.to) as core:
            return _Restoring(core, contents, wish).run()


class _Restoring:
    def __init__(self, core: StoreCore, contents: Contents, wish: Wish) -> None:
        self._core = core
        self._wish = wish
        self._chosen = _chosen(runs_in_backup(contents), wish.only)
        self._records = self._size = 0

    def run(self) -> Restored:
        # Before anything is changed: what stands in the way of one stops all of them.
        planned = [(run, self._replaced(run)) for run in self._chosen]
        skipped = overwritten = 0
        for run, replaces in planned:
            if replaces is None:
                skipped += 1
            else:
                put_back(self._core, run, replaces, self._told)
                overwritten += bool(replaces)
            self._records += 1
            self._told(0)
        return Restored(records=len(planned) - skipped, skipped=skipped, overwritten=overwritten, to=self._core.url)

    def _replaced(self, run: RunInBackup) -> Sequence[RunRecord] | None:
        """Runs that make way for this one; None: it is there."""
        found = there(self._core, run)
        if not found:
            return ()
        if self._wish.is_missing_only or is_there(self._core, run, found):
            return None
        refuse_overwriting(self._core, run, found, overwrite=self._wish.overwrite)
        return found

    def _told(self, size: int) -> None:
        self._size += size
        if self._wish.progress is not None:
            self._wish.progress(self._records, self._size)


def _find(core: StoreCore, name: str) -> RunRecord:
    found = core.catalog.get_run(RunId(name)) or core.catalog.find_run(None, name, None)
    if found is None:
        found = next(iter(core.catalog.list_runs(RunFilter(name=name, limit=1))), None)
    if found is None:
        raise RunNotFound(f"there is no run {name!r} in the store at {core.url}. See `waycairn runs`.", run=name)
    return found


def _checked(core: StoreCore, run: RunRecord) -> RunRecord:
    if run.root != run.id:
        raise ValueError(
            f"{run.name!r} ({run.id}) is a phase of run {run.root}, and a run is backed up as a whole. Nothing was changed. "
            f"Name that run: {run.root}"
        )
    if is_backup(core, run):
        raise ValueError(
            f"{run.name!r} ({run.id}) is a backup itself. Nothing was changed. See `waycairn backup extract`."
        )
    return run


def _refuse_changed(exported: RunInBackup, rows: Iterator[MovedRow]) -> None:
    now = RowSum()
    for table, row in rows:
        now.add(standing(table, row))
    if str(now) != exported.stands:
        raise SourceChanged(
            f"run {exported.name!r} ({exported.id}) is not what was exported: it was entered, or something of it was changed "
            "or removed since. Nothing was deleted. Make a new backup, and delete with that.",
            run=exported.id,
        )


def _refuse_entered(found: RunRecord, rows: Iterator[MovedRow]) -> None:
    """Whoever entered it since it was looked at may hold it."""
    _, row = next(rows)
    if row["epoch"] != found.epoch:
        raise SourceChanged(
            f"run {found.name!r} ({found.id}) was entered meanwhile. Nothing was deleted. Wait until nobody works on it.",
            run=found.id,
        )


def _only(found: Sequence[RunRecord]) -> str | None:
    return found[0].id if len(found) == 1 else None


def _chosen(found: Sequence[RunInBackup], only: Sequence[str] | None) -> list[RunInBackup]:
    if only is None:
        return list(found)
    chosen = [run for run in found if any(fnmatchcase(run.name, one) or run.id == one for one in only)]
    if not chosen:
        raise RunNotFound(
            f"no run in the backup is named {' or '.join(map(repr, only))}; it holds "
            f"{', '.join(repr(run.name) for run in found)}. Nothing was changed."
        )
    return chosen


@contextmanager
def _opened(where: Any) -> Iterator[StoreCore]:
    """A store that is open already, or the one at an address, which must be there."""
    if isinstance(where, str) or hasattr(where, "__fspath__"):
        core = open_core(where, create=False)
        try:
            yield core
        finally:
            core.close()
    else:
        yield core_of(where)
