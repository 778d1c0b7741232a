"""What is done with one backup, by its owner."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Body, Depends, Query, Request

from waycairn.backups.catalogue import find, find_whole
from waycairn.backups.making import Told
from waycairn.documents.backups import told as as_told
from waycairn.errors import BackupRefused
from waycairn.model.accounts import Role
from waycairn.model.backups import BackupState
from waycairn.server.access import Access, Caller, Kind, Routes, caller_of
from waycairn.server.backup_telling import now_is, tell, telling
from waycairn.server.backup_wishes import asked_rightly, refuse_overwriting_others
from waycairn.server.jobs import document_of
from waycairn.server.models.backups import BackupDocument, Confirmation, ExtendWanted, RestoreWanted
from waycairn.server.models.jobs import JobDocument
from waycairn.server.problems import Problem
from waycairn.server.serving import Serving, serving_of

routes = Routes("/backups/{backup}", "backups")
Asker = Annotated[Caller, Depends(caller_of)]
_OWN = Access(Role.OPERATOR, on=Kind.BACKUP, own=True)
_Work = Callable[[Told], Mapping[str, Any]]


@routes.post("/delete-source", _OWN, status_code=202, response_model=JobDocument, problems=(409, 410, 422))
def delete_source(
    request: Request, caller: Asker, backup: str, confirmed: Annotated[Confirmation, Body()]
) -> dict[str, Any]:
    """The third step, as a job: delete exactly what the backup holds. A person has typed its label. After a kill it finishes
    what was begun; where the source changed since, nothing is deleted."""
    serving = serving_of(request)
    record = find_whole(serving.store.core, backup)
    if confirmed.confirm != as_told(record.label):
        said = f"what was typed is not the label of backup {record.id}. Nothing was deleted. Type it as it is shown."
        raise Problem(422, "not confirmed", said)

    def work(told: Told) -> Mapping[str, Any]:
        done = serving.store.backup(record.id).delete(told=told)
        return {"backup": record.id, "records": None if done is None else done.records}

    return _job(serving, "backup.delete", record.id, caller, work)


@routes.post("/restore", _OWN, status_code=202, response_model=JobDocument, problems=(409, 410, 422, 500))
def restore(request: Request, caller: Asker, backup: str, wanted: Annotated[RestoreWanted, Body()]) -> dict[str, Any]:
    """Bring back what it holds, to where it was, as a job. What is there already, and the same, is left alone: called again after
    a kill it goes on."""
    serving = serving_of(request)
    record = find_whole(serving.store.core, backup)
    if wanted.overwrite:
        refuse_overwriting_others(serving.store.core, caller, record)

    def work(told: Told) -> Mapping[str, Any]:
        if wanted.overwrite:  # some time may have gone by
            refuse_overwriting_others(serving.store.core, caller, record)
        restored = serving.store.restore(record.id, overwrite=wanted.overwrite, only=wanted.only, told=told)
        return {"backup": record.id, **asdict(restored)}

    return _job(serving, "backup.restore", record.id, caller, work)


@routes.post("/verify", _OWN, status_code=202, response_model=JobDocument, problems=(409, 410))
def verify(request: Request, caller: Asker, backup: str) -> dict[str, Any]:
    """Read all of it back and compare it with its sums, as a job. One that is damaged fails, and guards nothing any more."""
    serving = serving_of(request)
    record = find_whole(serving.store.core, backup)

    def work(told: Told) -> Mapping[str, Any]:
        found = serving.store.backup(record.id).verify(told)
        return {"backup": record.id, "verified": found.verified, "digest": found.digest}

    return _job(serving, "backup.verify", record.id, caller, work)


def _job(serving: Serving, kind: str, backup: str, caller: Caller, work: _Work) -> dict[str, Any]:
    """Those who watch are told how the backup stands at each stage, and at the end, however that is."""
    core = serving.store.core

    def do(told: Told) -> Mapping[str, Any]:
        try:
            return work(telling(serving, lambda: find(core, backup), told))
        finally:
            tell(serving, core.catalog.get_backup(find(core, backup).id))

    return document_of(serving.jobs.start(kind, backup, caller.name, do))


@routes.post("/extend", _OWN, response_model=BackupDocument, problems=(409, 410, 422))
def extend(request: Request, caller: Asker, backup: str, wanted: Annotated[ExtendWanted, Body()]) -> dict[str, Any]:
    """How long it stays, from now on; that may be shorter than before."""
    serving = serving_of(request)
    with asked_rightly():
        serving.store.backup(backup).extend(wanted.keep)
    return now_is(serving, caller, backup)


@routes.post("/pin", _OWN, response_model=BackupDocument, problems=(409, 410))
def pin(request: Request, caller: Asker, backup: str) -> dict[str, Any]:
    """It stays, whatever its time says, and cannot be given up."""
    serving_of(request).store.backup(backup).pin()
    return now_is(serving_of(request), caller, backup)


@routes.post("/unpin", _OWN, response_model=BackupDocument, problems=(409, 410))
def unpin(request: Request, caller: Asker, backup: str) -> dict[str, Any]:
    """It goes when its time is over, again."""
    serving_of(request).store.backup(backup).unpin()
    return now_is(serving_of(request), caller, backup)


@routes.delete("", _OWN, response_model=BackupDocument, problems=(409, 422))
def remove(
    request: Request,
    caller: Asker,
    backup: str,
    last_copy: Annotated[
        bool, Query(description="Also where its source was deleted, so that this is all that is left of it.")
    ] = False,
) -> dict[str, Any]:
    """Give it up: what it holds goes for good, its row stays. Its source is left alone."""
    serving = serving_of(request)
    record = find(serving.store.core, backup)
    if record.state is BackupState.DELETED and not last_copy:
        raise BackupRefused(
            f"the source of backup {record.id} ({record.label}) was deleted, so it may be all that is left. Nothing was "
            "changed. Restore it first, or say that you know: last_copy=true.",
            backup=record.id,
        )
    serving.store.backup(backup).remove()
    return now_is(serving, caller, backup)
