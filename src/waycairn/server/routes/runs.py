"""Runs, listed and counted."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request

from waycairn.documents.runs import live_run_facts
from waycairn.model.accounts import Role
from waycairn.model.run_pages import Place, RunPage, RunSort
from waycairn.server.access import Access, Routes
from waycairn.server.models.runs import RunCounts, RunList, RunWord
from waycairn.server.paging import Cursor, Limit, cursor_of, position_of
from waycairn.server.problems import Problem
from waycairn.server.serving import serving_of
from waycairn.upkeep.run_pages import count_standings, list_page

routes = Routes("/runs", "runs")

_Words = Annotated[list[RunWord], Query(description="Only runs that stand so; may be repeated.")]
_Name = Annotated[str | None, Query(max_length=1000, description="Only runs of exactly this name.")]
_Key = Annotated[str | None, Query(max_length=1000, description="Only runs with exactly this key.")]
_Task = Annotated[str | None, Query(max_length=1000, description="Only runs of this task.")]
_Tag = Annotated[str | None, Query(max_length=1000, description="Only runs with this tag.")]
_Account = Annotated[str | None, Query(max_length=200, description="Only runs that belong to this account.")]
_Text = Annotated[
    str | None,
    Query(
        max_length=200,
        description="Only runs with this in their name or key (in an encrypted store: in their name), in small letters or capitals.",
    ),
]
_Sort = Annotated[RunSort, Query(description="By what they are sorted: `updated` is the time of the newest commit.")]
_Descending = Annotated[
    str,
    Query(pattern="^(asc|desc)$", description="`desc`: the newest first, or the last by name; `asc`: the other way."),
]


@routes.get("", Access(Role.VIEWER), response_model=RunList, problems=(422,))
def list_runs(
    request: Request,
    *,
    status: _Words = [],  # noqa: B006 - never changed
    name: _Name = None,
    key: _Key = None,
    task: _Task = None,
    tag: _Tag = None,
    account: _Account = None,
    text: _Text = None,
    sort: _Sort = RunSort.CREATED,
    order: _Descending = "desc",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """Runs by the page. Phases are not among them, nor are runs that hold what backups hold."""
    serving = serving_of(request)
    which = RunPage(
        name=name,
        key=key,
        task=task,
        tag=tag,
        account=account,
        text=text or None,
        sort=sort,
        descending=order == "desc",
        after=None if cursor is None else _place_of(cursor, sort),
        limit=limit,
    )
    page = list_page(serving.store.core, [word.value for word in status], which)
    return {
        "runs": [live_run_facts(standing, serving.feed.pace_of(standing.run.id)) for standing in page.standings],
        "next": None if page.last is None else cursor_of(sort.value, *page.last),
    }


@routes.get("/counts", Access(Role.VIEWER), response_model=RunCounts)
def count_runs(request: Request) -> dict[str, Any]:
    """How many runs stand how."""
    counts = count_standings(serving_of(request).store.core)
    return {"counts": counts, "total": sum(counts.values())}


def _place_of(cursor: str, sort: RunSort) -> Place:
    """Raises Problem, also for the cursor of a list that is sorted otherwise."""
    said, value, number = position_of(cursor, str, str if sort is RunSort.NAME else (int, float), int)
    if said != sort.value:
        raise Problem(
            422, "invalid request", "query.cursor: it is of a list that is sorted otherwise. Begin without one."
        )
    return Place(value, number)
