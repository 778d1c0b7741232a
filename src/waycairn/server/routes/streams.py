"""Streams: who follows them, how far they are, what could not be used; and processing one that is registered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, Query, Request
from fastapi.responses import JSONResponse

from waycairn.documents.moments import seconds
from waycairn.documents.streams import letter_facts, stream_facts, whole_stream_facts
from waycairn.errors import StreamNotFound
from waycairn.model.accounts import Role
from waycairn.model.stream_settings import StreamSettings
from waycairn.server.access import Access, Caller, Kind, Routes, caller_of
from waycairn.server.jobs import document_of
from waycairn.server.models.jobs import JobDocument
from waycairn.server.models.streams import LetterList, StreamList, WholeStream
from waycairn.server.paging import Cursor, Limit, cursor_of, paged, position_of
from waycairn.server.problems import Problem
from waycairn.server.processing import process_stream
from waycairn.server.serving import serving_of
from waycairn.store import StoreCore
from waycairn.streams.records import DeadKind
from waycairn.upkeep.configuration import registered_stream, registered_streams
from waycairn.upkeep.holding import held
from waycairn.upkeep.letters import Wanted, letters
from waycairn.upkeep.sink_database import shown
from waycairn.upkeep.standing import holder_of
from waycairn.upkeep.streams import KnownStream, StreamStanding, find_stream, known_streams, stand
from waycairn.work.store import Store

routes = Routes("/streams", "streams")

Asks = Annotated[Caller, Depends(caller_of)]
Kinds = Annotated[list[DeadKind] | None, Query(description="Only of this kind; may be repeated.")]
Settled = Annotated[bool, Query(description="Also those that were read after all.")]


def owner_of(store: Store, name: str) -> str | None:
    """The account of the run that followed it last; None for one that is registered and was never followed. Raises
    StreamNotFound."""
    settings = _registered()
    try:
        run = find_stream(store.core, name, None, settings).run
    except StreamNotFound:
        if name not in settings:
            raise
        return None
    return None if run is None else run.account


@routes.get("", Access(Role.VIEWER), response_model=StreamList)
def list_streams(request: Request, caller: Asks) -> dict[str, Any]:
    """Those that runs of this store follow or followed. Each is looked at now, in the database of its sink; `breaker` is what
    its follower noted."""
    core, settings = serving_of(request).store.core, _registered()
    known = known_streams(core, settings)
    names = {one.name for one in known}
    return {
        "streams": [{**stream_facts(one, seconds), **_here(one, caller, settings)} for one in stand(core, known)],
        "registered": [
            {"name": name, "sink": shown(one.sink), "paths": list(one.paths)}
            for name, one in settings.items()
            if name not in names
        ],
    }


@routes.get("/{stream}", Access(Role.VIEWER, on=Kind.STREAM), response_model=WholeStream)
def show_stream(request: Request, caller: Asks, stream: str) -> dict[str, Any]:
    """Everything of one: its files and where each stands, what was met, who follows it."""
    core, settings = serving_of(request).store.core, _registered()
    found = next(stand(core, [_known(core, stream, settings)]))
    facts = stream_facts if found.standing is None else whole_stream_facts
    return {**facts(found, seconds), **_here(found, caller, settings)}


@routes.get(
    "/{stream}/dead", Access(Role.VIEWER, on=Kind.STREAM, own=True), response_model=LetterList, problems=(422, 503)
)
def list_dead_letters(
    request: Request,
    stream: str,
    *,
    kind: Kinds = None,
    settled: Settled = False,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """Lines that could not be used, in the order in which they were met. Their beginnings are contents: they are shown to
    whose the run is that followed the stream last, and to admins. 503: the database of the sink is away."""
    core = serving_of(request).store.core
    after = 0 if cursor is None else position_of(cursor, int)[0]
    wanted = Wanted(kinds=tuple(kind or ()), with_settled=settled, after=after, limit=limit + 1)
    found = letters(_known(core, stream, _registered()), wanted)
    page, more = paged(found, limit, lambda one: cursor_of(one.id))
    return {"dead": [letter_facts(one, seconds) for one in page], "next": more}


@routes.post(
    "/{stream}/process",
    Access(Role.OPERATOR, on=Kind.STREAM, own=True),
    status_code=202,
    response_model=JobDocument,
    problems=(409,),
)
def process(request: Request, caller: Asks, stream: str) -> JSONResponse:
    """Read what is there once, by the code that the settings file names, in a process of its own: a job whose result says
    what was done. The server must have been started with --allow-launch. 409: it is not registered, or somebody follows
    it."""
    serving = serving_of(request)
    serving.launcher.refuse_if_off()
    serving.jobs.refuse_second("stream.process", stream)
    _check_free(serving.store, stream)
    job = serving.jobs.start(
        "stream.process",
        stream,
        caller.name,
        lambda _: process_stream(serving.launcher, serving.store.core, stream, caller.name),
    )
    return JSONResponse(document_of(job), 202)


def _check_free(store: Store, name: str) -> None:
    """It is registered, and nobody follows it. Raises Problem, RunIsHeld."""
    try:
        registered_stream(name)
    except ValueError as error:
        raise Problem(409, "not registered", f"{error} Nothing was done.") from None
    run = store.core.catalog.find_run(None, name, None)
    owner = None if run is None else holder_of(store.core, run)
    if run is not None and owner is not None:
        raise held(run, owner)


def _registered() -> Mapping[str, StreamSettings]:
    """What is wrong in the settings file is told where it is needed, see `_check_free`."""
    try:
        return registered_streams()
    except (ValueError, OSError):
        return {}


def _known(core: StoreCore, name: str, settings: Mapping[str, StreamSettings]) -> KnownStream:
    """Raises StreamNotFound, also for one that is registered only: there is nothing to show of it."""
    return find_stream(core, name, None, settings)


def _here(one: StreamStanding, caller: Caller, settings: Mapping[str, StreamSettings]) -> dict[str, Any]:
    account = one.known.run.account if one.known.run else None
    return {
        "account": account,
        "may_touch": caller.may_touch(account),
        "registered": one.known.name in settings,
        "spool": None,
    }
