"""What a request may have backed up and restored: what is in the store and the caller's own. No path and no address comes from a
request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from waycairn.backups.catalogue import find, open_contents
from waycairn.backups.registry import source_of
from waycairn.backups.runs import KIND, runs
from waycairn.backups.runs_restore import runs_in_backup, there
from waycairn.backups.source import Source
from waycairn.errors import RunNotFound
from waycairn.model.backups import BackupRecord
from waycairn.model.ids import RunId
from waycairn.server.access import Caller, Kind, refuse_foreign
from waycairn.server.models.backups import AgainSource, RunsSource
from waycairn.server.problems import Problem
from waycairn.store import StoreCore

__all__ = ["asked_rightly", "refuse_overwriting_others", "source_asked"]


@contextmanager
def asked_rightly() -> Iterator[None]:
    """What is wrong with a value of the request is told as such."""
    try:
        yield
    except ValueError as error:
        raise Problem(422, "invalid request", f"{str(error).removesuffix('.')}. Nothing was done.") from None


def source_asked(core: StoreCore, caller: Caller, asked: RunsSource | AgainSource) -> Source:
    """Raises Problem for what is not the caller's own; BackupNotFound, RunNotFound."""
    if isinstance(asked, RunsSource):
        return _runs(core, caller, asked.runs)
    record = find(core, asked.again)
    refuse_foreign(caller, Kind.BACKUP, record.id, record.owner)
    if record.kind == KIND:  # they may belong to somebody else by now
        return _runs(core, caller, [run["id"] for run in record.source["runs"]])
    with asked_rightly():
        return source_of(core, record.kind, record.source)


def _runs(core: StoreCore, caller: Caller, ids: list[str]) -> Source:
    """By id and nothing else: what a name means may change between two looks."""
    for id_ in ids:
        run = core.catalog.get_run(RunId(id_))
        if run is None:
            raise RunNotFound(f"there is no run {id_!r} in this store. Nothing was done.", run=id_)
        refuse_foreign(caller, Kind.RUN, run.id, run.account)
    with asked_rightly():
        return runs(core, *ids)


def refuse_overwriting_others(core: StoreCore, caller: Caller, record: BackupRecord) -> None:
    """Runs of the same names that are there now may belong to somebody else. Raises Problem."""
    if record.kind != KIND:
        return
    for run in runs_in_backup(open_contents(core, record)):
        for one in there(core, run):
            refuse_foreign(caller, Kind.RUN, one.id, one.account)
