"""Acts on runs."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Body, Depends, Request

from waycairn.documents.runs import live_run_facts
from waycairn.model.accounts import Role
from waycairn.model.records import RunRecord
from waycairn.server.access import Access, Caller, Kind, Routes, caller_of
from waycairn.server.bulk import Bulk
from waycairn.server.models.runs import BulkAsked, BulkOutcomes, ResumeAsked, Resumed, RunDocument
from waycairn.server.problems import Problem
from waycairn.server.serving import Serving, serving_of
from waycairn.upkeep.standing import root_of, standing_of

routes = Routes("/runs", "runs")

_Caller = Annotated[Caller, Depends(caller_of)]
_OWN = Access(Role.OPERATOR, on=Kind.RUN, own=True)


@routes.post("/acts", Access(Role.OPERATOR), response_model=BulkOutcomes, problems=(422,))
def act_on_runs(request: Request, caller: _Caller, asked: BulkAsked) -> dict[str, Any]:
    """One act on many runs, or, by default, what it would do. Runs of others are refused, one by one."""
    serving = serving_of(request)
    outcomes = Bulk(serving, caller, asked).run()
    serving.feed.wake()
    return {"outcomes": outcomes}


@routes.post("/{run}/resume", _OWN, response_model=Resumed, status_code=202, problems=(409, 422))
def resume_run(
    request: Request, caller: _Caller, run: str, asked: Annotated[ResumeAsked | None, Body()] = None
) -> dict[str, Any]:
    """Start the recorded command of a run again, in the background, as the user of the server. 403 unless the operator of the
    server allows it (`--allow-launch`); 409 if the run is held or finished, if its command was not recorded, and, with what it
    said, if it died at once."""
    serving, asked = serving_of(request), asked or ResumeAsked()
    found = _own(serving, caller, run)
    started = serving.launcher.start(found, retry_failed=asked.retry_failed, again=asked.again)
    serving.feed.wake()
    started.settle()
    return {"pid": started.launched.process.pid, "command": started.launched.command}


@routes.post("/{run}/discard", _OWN, response_model=RunDocument, problems=(409,))
def discard_run(request: Request, caller: _Caller, run: str) -> dict[str, Any]:
    """Give an unfinished run up: it stays listed, and entering it again starts anew. 409 if it is held."""
    serving = serving_of(request)
    return _after(serving, serving.store.discard(_own(serving, caller, run).id))


@routes.post("/{run}/cancel", _OWN, response_model=RunDocument, problems=(409,))
def cancel_run(request: Request, caller: _Caller, run: str) -> dict[str, Any]:
    """Ask the process that works on it, on the host of the server, to stop (SIGTERM): it takes its cut and leaves the run
    interrupted, which is not waited for. 409 if there is none, or it cannot be asked from here."""
    serving = serving_of(request)
    return _after(serving, serving.store.cancel(_own(serving, caller, run).id))


@routes.post("/{run}/takeover", _OWN, response_model=RunDocument, problems=(409,))
def take_run_over(request: Request, caller: _Caller, run: str) -> dict[str, Any]:
    """Fence out the living owner, stopped or hung: what it committed stands, its next commit is refused, and the run can be
    entered. Nothing happens to a run that was left."""
    serving = serving_of(request)
    return _after(serving, serving.store.takeover(root_of(serving.store.core, _own(serving, caller, run)).id))


def _own(serving: Serving, caller: Caller, run: str) -> RunRecord:
    """The run that was asked for. By a name the guard may have found another one a moment ago: so whose it is is asked again.
    Raises RunNotFound, Problem."""
    found = serving.store.find(run)
    if not caller.may_touch(found.account):
        raise Problem(403, "not yours", f"run {found.id} is not yours. Nothing was done.")
    return found


def _after(serving: Serving, run: RunRecord) -> dict[str, Any]:
    serving.feed.wake()
    return live_run_facts(standing_of(serving.store.core, run), serving.feed.pace_of(run.id))
