"""The app, put together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from fastapi.openapi.utils import get_openapi
from starlette.types import ASGIApp

from waycairn import __version__
from waycairn.server.access import Kind
from waycairn.server.admission import Admission
from waycairn.server.backup_indexes import BackupIndexes
from waycairn.server.backup_watch import BackupWatch
from waycairn.server.doorkeeper import Doorkeeper
from waycairn.server.feed import Feed
from waycairn.server.hub import Hub
from waycairn.server.jobs import Jobs
from waycairn.server.launching import Launcher
from waycairn.server.looking import HealthWatch
from waycairn.server.page import Page, serve_page
from waycairn.server.problems import ProblemDocument, handle_problems
from waycairn.server.protecting import Protecting
from waycairn.server.refusing import checkpoint_named
from waycairn.server.routes import FAMILIES, care, streams
from waycairn.server.serving import Options, Serving
from waycairn.server.setup import Setup
from waycairn.server.warming import warm
from waycairn.upkeep.curves import Drawings
from waycairn.work.store import Store

__all__ = ["create_app"]

API = "/api/v1"
_PATIENCE = 5.0
"""Seconds that jobs which run get at the end."""


def create_app(store: Store, options: Options | None = None) -> FastAPI:
    """Serves that store, which stays open as long as the app lives; who opened it closes it."""
    hub, options, page = Hub(), options or Options(), Page()
    feed = Feed(store.core, hub)
    serving = Serving(
        store=store,
        options=options,
        doorkeeper=Doorkeeper(store, options),
        hub=hub,
        feed=feed,
        launcher=Launcher(store.core, options, told=feed.wake),
        jobs=Jobs(hub, store.core.clock),
        setup=Setup(store.core),
        admission=Admission(store, options),
        drawings=Drawings(store.core),
        indexes=BackupIndexes(store.core),
    )
    serving.owners = {
        Kind.RUN: lambda id_: store.find(id_).account,
        Kind.CHECKPOINT: lambda id_: store.find(checkpoint_named(store, id_).run).account,
        Kind.BACKUP: lambda id_: store.backup(id_).record.owner,
        Kind.JOB: lambda id_: serving.jobs.get(id_).owner,
        Kind.TOKEN: lambda id_: store.accounts.token(id_)[0],
        Kind.STREAM: lambda name: streams.owner_of(store, name),
    }

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        hub.begin()
        feed.begin()
        watches = [watch.run() for watch in (HealthWatch(store, hub), BackupWatch(store.core, hub))]
        beside = [asyncio.create_task(work) for work in (*watches, warm(app, store.core, page))]
        try:
            yield
        finally:
            for task in beside:
                task.cancel()
            feed.end()
            hub.end()
            serving.launcher.end()
            await run_in_threadpool(serving.jobs.close, _PATIENCE)

    app = _App(
        title="waycairn",
        version=__version__,
        summary="Runs, checkpoints, streams and backups of one store.",
        openapi_url=f"{API}/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=life,
    )
    app.state.serving = serving
    handle_problems(app)

    for family in FAMILIES:
        app.include_router(family.routes.router, prefix=API)

    app.include_router(care.outside.router)
    serve_page(app, page)
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]
    return app


class _App(FastAPI):
    """The protection is around all of it, also around what the framework answers for an error that nobody foresaw."""

    def build_middleware_stack(self) -> ASGIApp:
        options: Options = self.state.serving.options
        return Protecting(super().build_middleware_stack(), hosts=options.hosts, secure=options.secure)


_NAMED = {
    Kind.RUN: "Id of a run or phase; a name is taken too, and means the newest run of it.",
    Kind.CHECKPOINT: "Id of a checkpoint: that of its run, a dot, the number of a commit.",
    Kind.BACKUP: "Id of a backup.",
    Kind.JOB: "Id of a job of the server.",
    Kind.STREAM: "Name of a stream.",
    Kind.TOKEN: "Id of a token; not its secret.",
}
"""What the parameters of paths are that name what a route is about."""


def _describe_paths(document: dict[str, Any]) -> None:
    for methods in document["paths"].values():
        for operation in methods.values():
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "path" and parameter["name"] in _NAMED:
                    parameter.setdefault("description", _NAMED[Kind(parameter["name"])])


def _document(app: FastAPI) -> dict[str, object]:
    """With the schema of problems, which no route answers when all goes well."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        problem = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
        inner = problem.pop("$defs", {})
        document.setdefault("components", {}).setdefault("schemas", {}).update({**inner, "ProblemDocument": problem})
        _describe_paths(document)
        app.openapi_schema = document
    return app.openapi_schema
