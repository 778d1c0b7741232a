"""Everything below one run."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Query, Request

from waycairn.codec.keys import shown
from waycairn.documents.items import failed_facts
from waycairn.documents.iterations import iteration_facts
from waycairn.documents.moments import seconds
from waycairn.documents.plain import sendable
from waycairn.documents.run_detail import whole_facts
from waycairn.documents.runs import group_facts, live_run_facts
from waycairn.documents.timeline import timeline_facts
from waycairn.model.accounts import Role
from waycairn.model.records import CheckpointFilter, FailedItem
from waycairn.model.states import CheckpointStatus
from waycairn.server.access import Access, Caller, Kind, Routes, caller_of
from waycairn.server.models.checkpoints import CheckpointList
from waycairn.server.models.run_detail import (
    FailureGroups,
    ItemList,
    IterationList,
    MetricsDocument,
    RunDetailDocument,
    TimelineDocument,
)
from waycairn.server.paging import Cursor, Limit, cursor_of, paged, position_of
from waycairn.server.problems import Problem
from waycairn.server.routes.checkpoints import document_of
from waycairn.server.serving import serving_of
from waycairn.upkeep.batch import grouped
from waycairn.upkeep.curves import Curve
from waycairn.upkeep.item_pages import DoneItem, DonePlace, FailedPlace, ItemStatus, Place, items_behind
from waycairn.upkeep.readable import brief
from waycairn.upkeep.run_detail import look_at
from waycairn.upkeep.timeline import timeline_of

routes = Routes("/runs", "run detail")

_SHOW = Access(Role.VIEWER, on=Kind.RUN)
_READ = Access(Role.VIEWER, on=Kind.RUN, own=True)
Who = Annotated[Caller, Depends(caller_of)]


@routes.get("/{run}", _SHOW, response_model=RunDetailDocument)
def show_run(request: Request, run: str, caller: Who) -> dict[str, Any]:
    """One run, or one phase, with everything its row holds and what is below it. Its command, tracebacks and output files are
    told only to whose it is, and to admins."""
    serving = serving_of(request)
    found = serving.store.find(run)
    may_touch = caller.may_touch(found.account)
    whole = look_at(serving.store.core, found)
    phases = [live_run_facts(phase, serving.feed.pace_of(phase.run.id)) for phase in whole.phases]
    facts = {
        **live_run_facts(whole.standing, serving.feed.pace_of(found.id)),
        **whole_facts(whole, with_contents=may_touch),
        "error": _error(found.error, with_traceback=may_touch),
        "phases": phases,
        "may_touch": may_touch,
    }
    answer: dict[str, Any] = sendable(facts)
    return answer


# -- items -------------------------------------------------------------------------------------------------------


@routes.get("/{run}/items", _READ, problems=(409,), response_model=ItemList)
def list_items(
    request: Request,
    run: str,
    *,
    status: Annotated[ItemStatus | None, Query(description="Only these.")] = None,
    loop: Annotated[str | None, Query(max_length=1000, description="Only items of this loop.")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """Failed ones with their errors, then done ones with what they gave, loop by loop, in the order in which they were done."""
    store = serving_of(request).store
    behind = None if cursor is None else _place_of(cursor)
    each = items_behind(store.core, store.find(run).id, behind, status=status, loop=loop)
    page, more = paged(each, limit, lambda one: _cursor_of(one[0]))
    return {"items": [_item(one) for _, one in page], "next": more}


def _cursor_of(place: Place) -> str:
    if isinstance(place, FailedPlace):
        return cursor_of(place.loop, place.digest.hex(), -1)
    return cursor_of(place.loop, place.sequence, place.at)


def _place_of(cursor: str) -> Place:
    loop, which, at = position_of(cursor, str, (str, int), int)
    try:
        return FailedPlace(loop, bytes.fromhex(which)) if isinstance(which, str) else DonePlace(loop, which, at)
    except ValueError:
        raise Problem(422, "invalid request", "query.cursor: this is no cursor of this list.") from None


def _item(one: FailedItem | DoneItem) -> dict[str, Any]:
    if isinstance(one, FailedItem):
        facts = failed_facts(one, seconds)
        found = {**facts, "error": _error(facts["error"], with_traceback=True), "result": None, "damage": None}
    else:
        nothing = {"attempts": None, "first": None, "last": None, "poison": False, "error": None}
        told = {"loop": one.loop, "key": shown(one.key), "status": "done"}
        found = {**told, **nothing, "result": brief(one.result), "damage": one.damage}
    answer: dict[str, Any] = sendable(found)
    return answer


def _error(error: Any, *, with_traceback: bool) -> dict[str, Any] | None:
    """As `describe` wrote it down, or whoever imported it."""
    if error is None:
        return None
    facts = {name: None if error.get(name) is None else str(error[name]) for name in ("where", "item", "traceback")}
    if not with_traceback:
        facts["traceback"] = None
    return {"type": str(error.get("type")), "message": str(error.get("message")), **facts}


@routes.get("/{run}/failures", _SHOW, response_model=FailureGroups)
def group_failures(request: Request, run: str) -> dict[str, Any]:
    """Failed items with the same type and message, counted together."""
    store = serving_of(request).store
    groups = grouped(store.core.catalog.failures(store.find(run).id))
    return {"groups": sendable(group_facts(groups)), "total": sum(group.count for group in groups)}


# -- checkpoints -------------------------------------------------------------------------------------------------


@routes.get("/{run}/checkpoints", _SHOW, response_model=CheckpointList)
def list_checkpoints(
    request: Request,
    run: str,
    caller: Who,
    *,
    kind: Annotated[str | None, Query(max_length=1000, description="Only those of this kind.")] = None,
    tag: Annotated[str | None, Query(max_length=1000, description="Only those with this tag.")] = None,
    status: Annotated[CheckpointStatus | None, Query(description="Only these.")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """Newest first."""
    store = serving_of(request).store
    found = store.find(run)
    before = None if cursor is None else position_of(cursor, int)[0]
    which = CheckpointFilter(run=found.id, kind=kind, tag=tag, status=status, before=before, limit=limit + 1)
    page, more = paged(store.core.catalog.list_checkpoints(which), limit, lambda one: cursor_of(one.sequence))
    may_touch = caller.may_touch(found.account)
    return {"checkpoints": [document_of(one, may_touch=may_touch) for one in page], "next": more}


# -- sessions ----------------------------------------------------------------------------------------------------


@routes.get("/{run}/iterations", _SHOW, response_model=IterationList)
def list_iterations(
    request: Request, run: str, caller: Who, limit: Limit = 100, cursor: Cursor = None
) -> dict[str, Any]:
    """The rounds of a training session, the highest number first."""
    store = serving_of(request).store
    found = store.find(run)
    before = None if cursor is None else position_of(cursor, int)[0]
    each = store.core.catalog.former_iterations(found.id, before, limit + 1)
    page, more = paged(each, limit, lambda one: cursor_of(one.number))
    with_traceback = caller.may_touch(found.account)
    listed = [iteration_facts(one, seconds) for one in page]
    documents = [{**facts, "error": _error(facts["error"], with_traceback=with_traceback)} for facts in listed]
    return {"iterations": sendable(documents), "next": more}


@routes.get("/{run}/metrics", _SHOW, response_model=MetricsDocument)
def show_metrics(
    request: Request,
    run: str,
    points: Annotated[int, Query(ge=10, le=5000, description="A series has at most so many.")] = 600,
    name: Annotated[list[str] | None, Query(max_length=100, description="Only these metrics.")] = None,
) -> dict[str, Any]:
    """What was logged by step and by iteration, thinned such that spikes stay, and where each entry into the run begins."""
    serving = serving_of(request)
    found = serving.drawings.curves_of(serving.store.find(run), points, None if name is None else frozenset(name))
    entries = [
        {"epoch": entry.epoch, "step": entry.step, "iteration": entry.iteration, "at": entry.at}
        for entry in found.entries
    ]
    return {"series": sendable([_series(curve) for curve in found.curves]), "entries": entries, "more": found.left_out}


def _series(curve: Curve) -> dict[str, Any]:
    return {
        "name": curve.name,
        "source": curve.source,
        "steps": [point.place for point in curve.points],
        "values": [point.value for point in curve.points],
        "thinned": len(curve.points) < curve.count,
    }


# -- its life ----------------------------------------------------------------------------------------------------


@routes.get("/{run}/timeline", _SHOW, response_model=TimelineDocument)
def show_timeline(request: Request, run: str) -> dict[str, Any]:
    """Each entry into it, and what happened to it. Entries are known since format 5 of the store; what checkpoints that are
    gone were taken for, and acts that the audit log does not hold any more, are not there."""
    store = serving_of(request).store
    found: dict[str, Any] = sendable(timeline_facts(timeline_of(store.core, store.find(run)), seconds))
    return found
