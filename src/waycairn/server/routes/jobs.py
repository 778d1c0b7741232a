"""What the server does in the background."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request

from waycairn.model.accounts import Role
from waycairn.server.access import Access, Caller, Kind, Routes, caller_of
from waycairn.server.jobs import document_of
from waycairn.server.models.jobs import JobDocument, JobList
from waycairn.server.serving import serving_of

routes = Routes("/jobs", "jobs")


@routes.get("", Access(Role.VIEWER), response_model=JobList)
def list_jobs(request: Request, caller: Annotated[Caller, Depends(caller_of)]) -> dict[str, Any]:
    """One's own, of admins all, newest first: those that run or wait, and the last 200 that ended."""
    found = serving_of(request).jobs.list()
    return {"jobs": [document_of(job) for job in found if caller.may_touch(job.owner)]}


@routes.get("/{job}", Access(Role.VIEWER, on=Kind.JOB, own=True), response_model=JobDocument)
def show_job(request: Request, job: str) -> dict[str, Any]:
    """How far it is, or how it ended."""
    return document_of(serving_of(request).jobs.get(job))
