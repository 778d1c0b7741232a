"""What the parts of the catalog share: the database they run on, and the errors of a fenced change."""

from __future__ import annotations

from typing import NoReturn

from msgspec import Struct

from waycairn.catalog.columns import decode_text
from waycairn.catalog.database import Database, Session
from waycairn.catalog.rows import decode_owner
from waycairn.catalog.sql import bindparam, select
from waycairn.catalog.statement import Statement
from waycairn.catalog.tables import runs
from waycairn.errors import OwnershipLost, RunNotFound
from waycairn.model.ids import RunId
from waycairn.ports import Clock

FENCE_STATE = Statement(
    "fence_state",
    "What a fenced change found instead of what it expected.",
    select(runs.c.epoch, runs.c.sequence, runs.c.operation, runs.c.owner, runs.c.name).where(
        runs.c.id == bindparam("id")
    ),
)
NUM = select(runs.c.num).where(runs.c.id == bindparam("id")).scalar_subquery()
"""The small number of the run named by :id."""

RUN_ID = "run_id"
"""The value that names the run to a statement that is given its number: what an encrypted store binds its rows to."""


class Target(Struct, frozen=True):
    """The run that rows are copied into."""

    id: RunId
    num: int


class Part:
    """Some of the catalog's methods, over one database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock


def missing(run: RunId) -> NoReturn:
    raise RunNotFound(
        f"run {run} is not in this store: it was deleted, or it belongs to another store. Nothing was changed. "
        "See `waycairn runs`.",
        run=run,
    )


def lost(run: RunId, name: str, ours: int | None, theirs: int, owner: str | None) -> NoReturn:
    """Refuse a change by an epoch that is over."""
    holder = decode_owner(owner)
    mine = "" if ours is None else f", this process holds epoch {ours}"
    who = f"pid {holder.pid} on {holder.host}" if holder else "another process"
    raise OwnershipLost(
        f"run {name!r} ({run}) was taken over by {who}: it is in epoch {theirs}{mine}. "
        "This process changed nothing and must stop working on it.",
        run=run,
        epoch=ours,
        current_epoch=theirs,
        owner=holder,
    )


def refuse_unless_ours(session: Session, run: RunId, epoch: int) -> None:
    """Raise if the run is missing or in another epoch; return if neither is so."""
    found = session.one(FENCE_STATE, {"id": run})
    if found is None:
        missing(run)
    if found[0] != epoch:
        lost(run, decode_text(found[4]), epoch, found[0], found[3])
