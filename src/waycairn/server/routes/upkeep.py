"""Works on a whole store: what they would do is answered at once, what they do is a job."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any

from fastapi import Body, Depends, Request
from fastapi.responses import JSONResponse

from waycairn.backups.making import Told
from waycairn.documents.optimizing import optimize_facts
from waycairn.documents.repairing import repair_facts
from waycairn.documents.sweeping import sweep_facts
from waycairn.documents.verifying import verified_facts
from waycairn.model import units
from waycairn.model.accounts import Role
from waycairn.model.backups import BackupProgress, BackupStage
from waycairn.model.sweeping import SweepReport
from waycairn.model.verify_part import Level, Part
from waycairn.server.access import Access, Caller, Routes, caller_of
from waycairn.server.jobs import document_of
from waycairn.server.models.jobs import JobDocument
from waycairn.server.models.upkeep import (
    OptimizeAsk,
    OptimizeDocument,
    RepairAsk,
    RepairDocument,
    SweepAsk,
    SweepDocument,
    VerifyAsk,
)
from waycairn.server.problems import Problem
from waycairn.server.serving import serving_of
from waycairn.store import StoreCore
from waycairn.upkeep import invariants, verifying
from waycairn.upkeep.auditing import audited
from waycairn.work.store import Store

routes = Routes("", "upkeep")

_MOST = 1000
"""Decisions about checkpoints that one answer has."""
_BEGUN: dict[int | str, dict[str, Any]] = {202: {"model": JobDocument, "description": "It has begun: a job."}}
_ADMIN = Access(Role.ADMIN)
Admin = Annotated[Caller, Depends(caller_of)]


@routes.post("/sweep", _ADMIN, response_model=SweepDocument, responses=_BEGUN, problems=(409,))
def sweep(request: Request, caller: Admin, ask: Annotated[SweepAsk, Body(default_factory=SweepAsk)]) -> Any:
    """Remove checkpoints that policies let go, and give back the bytes of what nothing needs. Jobs may work meanwhile."""
    store = serving_of(request).store
    grace = None if ask.grace is None else _checked(units.seconds, "grace", ask.grace)
    if ask.dry_run:
        return _swept(store.sweep(dry_run=True, grace=grace))
    return _begin(request, caller, "sweep", lambda _: _swept(store.sweep(grace=grace)))


@routes.post("/optimize", _ADMIN, response_model=OptimizeDocument, responses=_BEGUN, problems=(409,))
def optimize(request: Request, caller: Admin, ask: Annotated[OptimizeAsk, Body(default_factory=OptimizeAsk)]) -> Any:
    """Sweep, then write packs anew that hold much of what is gone, join small ones, compress cold ones better."""
    store = serving_of(request).store
    most = None if ask.max_bytes is None else _checked(units.size, "max_bytes", ask.max_bytes)
    if ask.dry_run:
        return optimize_facts(store.optimize(dry_run=True, max_bytes=most))
    return _begin(request, caller, "optimize", lambda _: optimize_facts(store.optimize(max_bytes=most)))


@routes.post("/verify", _ADMIN, status_code=202, response_model=JobDocument, problems=(409,))
def verify(request: Request, caller: Admin, ask: Annotated[VerifyAsk, Body(default_factory=VerifyAsk)]) -> Any:
    """Read everything back and compare it with its hashes; mark what is damaged, so that it is never restored. Of a whole
    store, look also whether its rows and packs agree with each other."""
    store = serving_of(request).store
    if ask.read_data is not None:
        _checked(lambda _, text: Part.parse(text), "read_data", ask.read_data)
    return _begin(request, caller, "verify", lambda told: _verified(store, ask, told))


@routes.post("/repair", _ADMIN, response_model=RepairDocument, responses=_BEGUN, problems=(409,))
def repair(request: Request, caller: Admin, ask: Annotated[RepairAsk, Body(default_factory=RepairAsk)]) -> Any:
    """Verify, then put right what can be: the chunk index from what packs say, damaged chunks from intact ones of the same
    content. Nothing is deleted. A dry run reads the whole store, too, and so takes long for a large one."""
    store = serving_of(request).store
    if ask.dry_run:
        return repair_facts(store.repair(dry_run=True))
    return _begin(request, caller, "repair", lambda _: repair_facts(store.repair()))


def _begin(request: Request, caller: Caller, kind: str, work: Callable[[Told], Mapping[str, Any]]) -> JSONResponse:
    jobs = serving_of(request).jobs
    jobs.refuse_second(kind)
    return JSONResponse(document_of(jobs.start(kind, None, caller.name, work)), 202)


def _checked(read: Callable[[str, Any], Any], name: str, value: Any) -> Any:
    try:
        return read(name, value)
    except ValueError as error:
        raise Problem(422, "invalid request", f"body.{name}: {error}. Nothing was done.") from None


def _swept(report: SweepReport) -> dict[str, Any]:
    facts = sweep_facts(report)
    facts["decisions"].sort(key=lambda one: one["stays"])
    facts["more_decisions"] = max(0, len(facts["decisions"]) - _MOST)
    return {**facts, "decisions": facts["decisions"][:_MOST]}


def _verified(store: Store, ask: VerifyAsk, told: Told) -> dict[str, Any]:
    core = store.core
    level: Level = "structure" if ask.structure else "data"
    part = ask.read_data or core.settings.verify.read_data
    with audited(core, "verify", level=level, part=part) as act:
        found = verifying.verify(core, level=level, part=part, tell=_teller(core, level, part, told))
        act.facts.update(damaged=len(found.broken), damaged_packs=len(found.damaged_packs))
    return verified_facts(found, invariants.examine(core))


def _teller(core: StoreCore, level: Level, part: str, told: Told) -> Callable[[str, int], None]:
    """Tells how much was read; of how much only where all of it is."""
    progress = BackupProgress(stage=BackupStage.VERIFY)
    if level == "data" and Part.parse(part).share == 1:
        progress = replace(progress, total_size=core.catalog.stats()["chunk_bytes"])

    def tell(_: str, size: int) -> None:
        nonlocal progress
        progress = replace(progress, records=progress.records + 1, size=progress.size + size)
        told(progress)

    return tell
