"""Who did what."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request

from waycairn.documents.audit import checked_facts, row_facts
from waycairn.model.accounts import Role
from waycairn.model.audit import AuditFilter, Outcome
from waycairn.server.access import Access, Routes
from waycairn.server.models.audit import AuditChecked, AuditRows
from waycairn.server.paging import Cursor, Limit, cursor_of, paged, position_of
from waycairn.server.problems import Problem
from waycairn.server.serving import serving_of
from waycairn.upkeep.audit_chain import Anchor, check

routes = Routes("/audit", "audit")

Act = Annotated[str | None, Query(max_length=200, description="Only this act, as run.remove, or this family, as run.")]
Actor = Annotated[
    str | None, Query(max_length=200, description="Only what this account, user or user@host did: one name, whole.")
]
Object = Annotated[str | None, Query(max_length=1000, description="Only what was done to this run, checkpoint, ...")]
OfOutcome = Annotated[Outcome | None, Query(description="Only acts that ended like this.")]
Since = Annotated[
    float | None, Query(description="Only from this moment on, in seconds since 1970.", allow_inf_nan=False)
]
Until = Annotated[float | None, Query(description="Only from before this moment.", allow_inf_nan=False)]


@routes.get("", Access(Role.ADMIN), response_model=AuditRows, problems=(422,))
def list_rows(
    request: Request,
    *,
    act: Act = None,
    actor: Actor = None,
    object: Object = None,  # noqa: A002 - the name of the parameter
    outcome: OfOutcome = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """What was done in the store, the newest first."""
    before = None if cursor is None else position_of(cursor, int)[0]
    which = AuditFilter(since=since, until=until, actor=actor, act=act, object=object, outcome=outcome)
    found = serving_of(request).store.core.catalog.audit_before(before, which)
    page, more = paged(found, limit, lambda row: cursor_of(row.number))
    return {"rows": [row_facts(row) for row in page], "next": more}


@routes.get("/verify", Access(Role.ADMIN), response_model=AuditChecked, problems=(422,))
def verify(
    request: Request,
    anchor: Annotated[
        str | None,
        Query(max_length=100, description="NUMBER:HASH, what an earlier answer said and you kept elsewhere."),
    ] = None,
) -> dict[str, Any]:
    """Check that each row follows from the one before; name those that were changed, removed, inserted or moved."""
    return checked_facts(check(serving_of(request).store.core, None if anchor is None else _anchor(anchor)))


def _anchor(text: str) -> Anchor:
    try:
        return Anchor.of(text)
    except ValueError as error:
        raise Problem(422, "invalid request", f"query.anchor: {error}.") from None
