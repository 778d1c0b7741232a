"""Backups: which there are, and new ones."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Annotated, Any, Literal

from fastapi import Body, Depends, Query, Request

from waycairn.backups.catalogue import find
from waycairn.backups.flow import Plan, plan_of
from waycairn.backups.keeping import due
from waycairn.backups.listing import list_backups, listed
from waycairn.backups.making import Told
from waycairn.documents.backups import question_document
from waycairn.model.accounts import Role
from waycairn.model.backups import BackupFilter
from waycairn.server.access import Access, Caller, Kind, Routes, caller_of
from waycairn.server.backup_telling import document_for, newest_of, tell, telling
from waycairn.server.backup_wishes import asked_rightly, source_asked
from waycairn.server.jobs import document_of
from waycairn.server.models.backups import (
    BackupDocument,
    BackupList,
    BackupWanted,
    PruneReport,
    PruneWanted,
    QuestionDocument,
)
from waycairn.server.models.jobs import JobDocument
from waycairn.server.paging import Cursor, Limit, cursor_of, paged, position_of
from waycairn.server.serving import Serving, serving_of

routes = Routes("/backups", "backups")
Asker = Annotated[Caller, Depends(caller_of)]
Word = Literal["exporting", "verified", "deleting", "deleted", "failed", "expired", "interrupted"]


@routes.get("", Access(Role.VIEWER), response_model=BackupList, problems=(422,))
def show_list(  # noqa: PLR0917 - a list has as many filters as it needs
    request: Request,
    caller: Asker,
    state: Annotated[
        list[Word] | None,
        Query(description="Only these; may be repeated. `interrupted`: the process died that was at it."),
    ] = None,
    kind: Annotated[
        str | None, Query(max_length=200, pattern="^[^\0]*$", description="Only of this kind of source.")
    ] = None,
    owner: Annotated[
        str | None, Query(max_length=200, pattern="^[^\0]*$", description="Only those that this one made.")
    ] = None,
    text: Annotated[str | None, Query(max_length=200, description="Part of the label or of the id.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """Newest first; those that expired are among them."""
    before = None if cursor is None else _position(cursor)
    which = BackupFilter(owner=owner, kind=kind, before=before, limit=limit + 1)
    core = serving_of(request).store.core
    found = list_backups(core, which, state, text or None)
    page, more = paged(found, limit, lambda one: cursor_of(*one.position))
    return {"backups": [document_for(caller, one) for one in page], "next": more}


def _position(cursor: str) -> tuple[float, str]:
    created, id_ = position_of(cursor, float, str)
    return created, id_


@routes.get("/{backup}", Access(Role.VIEWER, on=Kind.BACKUP), response_model=BackupDocument)
def show(request: Request, caller: Asker, backup: str) -> dict[str, Any]:
    """One backup, and what can be done with it now."""
    core = serving_of(request).store.core
    return document_for(caller, listed(core, find(core, backup)))


@routes.post("/plan", Access(Role.OPERATOR), response_model=QuestionDocument, problems=(404, 409, 410, 422))
def plan(request: Request, caller: Asker, wanted: Annotated[BackupWanted, Body()]) -> dict[str, Any]:
    """The first of the three steps: what there is, how large, and how long the backup would stay. Nothing is done."""
    return question_document(_plan(serving_of(request), caller, wanted).question)


@routes.post("", Access(Role.OPERATOR), status_code=202, response_model=JobDocument, problems=(404, 409, 410, 422))
def create(request: Request, caller: Asker, wanted: Annotated[BackupWanted, Body()]) -> dict[str, Any]:
    """The second step, as a job: when it is done the backup is durable, was read back and compared. Its result is `backup`, an
    id, and `question`, the third step. Nothing is deleted, whatever becomes of it."""
    serving = serving_of(request)
    asked = _plan(serving, caller, wanted)

    def work(told: Told) -> Mapping[str, Any]:
        try:
            made = asked.make(telling(serving, lambda: newest_of(serving, caller.name), told))
        except BaseException:
            tell(serving, newest_of(serving, caller.name))
            raise
        tell(serving, made.backup.record)
        return {"backup": made.backup.id, "question": question_document(made.question)}

    return document_of(serving.jobs.start("backup.create", None, caller.name, work))


def _plan(serving: Serving, caller: Caller, wanted: BackupWanted) -> Plan:
    core = serving.store.core
    source = source_asked(core, caller, wanted.source)
    with asked_rightly():
        return plan_of(core, source, keep=wanted.keep)


@routes.post("/prune", Access(Role.ADMIN), response_model=PruneReport, problems=(409, 422))
def prune(request: Request, caller: Asker, wanted: Annotated[PruneWanted, Body()]) -> dict[str, Any]:
    """Let go of backups whose time is over, and of what dead processes left of theirs. Upkeep does so by itself; the bytes come
    back with the next sweep."""
    serving = serving_of(request)
    core = serving.store.core
    expired, interrupted = due(core)
    counts: dict[str, int | None] = {"expired": len(expired), "interrupted": len(interrupted), "payloads": None}
    if not wanted.dry_run:
        done = serving.store.prune_backups()
        counts = {"expired": done.expired, "interrupted": done.interrupted, "payloads": done.payloads}
    shown = [listed(core, find(core, one.id)) for one in islice((*expired, *interrupted), 500)]
    if not wanted.dry_run:
        for one in shown:
            tell(serving, one.record)
    return {"dry_run": wanted.dry_run, **counts, "backups": [document_for(caller, one) for one in shown]}
