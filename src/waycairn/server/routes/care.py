"""How a store is, and how it went."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request
from fastapi.responses import PlainTextResponse

from waycairn.documents.health import growth_facts, health_facts
from waycairn.documents.moments import seconds
from waycairn.model.accounts import Role
from waycairn.server.access import ANYBODY, Access, Routes
from waycairn.server.models.care import Alive, Growth, HealthDocument, Statistics
from waycairn.server.serving import serving_of
from waycairn.upkeep.prometheus import exposition
from waycairn.upkeep.statistics import statistics
from waycairn.upkeep.trends import trends_of

routes = Routes("", "care")
outside = Routes("", "care")
"""Where probes and scrapers look: not below the address of the API."""

MEDIA = "text/plain; version=0.0.4; charset=utf-8"
_EXPOSITION = {
    200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Prometheus' text format."}
}
Days = Annotated[int | None, Query(ge=1, le=366, description="How many; by default the setting `health.trend_days`.")]


@routes.get("/stats", Access(Role.VIEWER), response_model=Statistics)
def show_statistics(request: Request) -> dict[str, Any]:
    """What the store holds, counted now; how long saves and loads took within the last day."""
    return statistics(serving_of(request).store.core)


@routes.get("/health", Access(Role.VIEWER), response_model=HealthDocument)
def show_health(request: Request) -> dict[str, Any]:
    """How well the store is, as of now: status, score, what is the matter and what does something about it, and how the last
    days went. A store that cannot be looked at is no error: its status is `unknown`."""
    return health_facts(serving_of(request).store.health(), seconds)


@routes.get("/growth", Access(Role.VIEWER), response_model=Growth)
def show_growth(request: Request, days: Days = None) -> dict[str, Any]:
    """What was recorded day by day: size, what was saved and spared, how many saves and loads and how long they took."""
    return growth_facts(trends_of(serving_of(request).store.core, days))


@routes.get("/metrics", Access(Role.VIEWER), response_class=PlainTextResponse, responses=_EXPOSITION)
def show_metrics(request: Request) -> PlainTextResponse:
    """For Prometheus, with a token of a viewer."""
    return _exposed(request)


@outside.get(
    "/metrics",
    Access(Role.VIEWER, open_with="open_metrics"),
    response_class=PlainTextResponse,
    responses=_EXPOSITION,
)
def scrape(request: Request) -> PlainTextResponse:
    """The same where scrapers look; with `waycairn serve --open-metrics` processes of the same host need no token."""
    return _exposed(request)


@outside.get("/healthz", ANYBODY, response_model=Alive)
def probe() -> dict[str, str]:
    """The server answers. It says nothing of the store: see /api/v1/health."""
    return {"status": "ok"}


def _exposed(request: Request) -> PlainTextResponse:
    return PlainTextResponse(exposition(serving_of(request).store.core), media_type=MEDIA)
