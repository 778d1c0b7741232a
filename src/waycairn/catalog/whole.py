"""The catalog, put together from its parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from waycairn.catalog.accounts import AccountPart
from waycairn.catalog.audit import AuditPart
from waycairn.catalog.backups import BackupPart
from waycairn.catalog.branching import BranchPart
from waycairn.catalog.checkpoints import CheckpointPart
from waycairn.catalog.chunk_index import ChunkPart
from waycairn.catalog.columns import decode_text
from waycairn.catalog.commits import CommitPart
from waycairn.catalog.condemning import PackPart
from waycairn.catalog.copying import CopyPart
from waycairn.catalog.damage import DamagePart
from waycairn.catalog.database import Database, Session
from waycairn.catalog.entries import EntryPart
from waycairn.catalog.history import HistoryPart
from waycairn.catalog.items import ItemPart
from waycairn.catalog.keys import KeyPart
from waycairn.catalog.measurements import MeasurePart
from waycairn.catalog.moving import MovingPart
from waycairn.catalog.repacking import RepackPart
from waycairn.catalog.resealing import ResealPart
from waycairn.catalog.retention import RetentionPart
from waycairn.catalog.room import RoomPart
from waycairn.catalog.run_pages import RunPagePart
from waycairn.catalog.runs import RunPart
from waycairn.catalog.session import SessionPart
from waycairn.catalog.shapes import nonsense_of
from waycairn.catalog.sizes import SizePart
from waycairn.catalog.sql import ClauseElement, ColumnElement, bindparam, func, literal_column, select, update
from waycairn.catalog.statement import Build, Statement
from waycairn.catalog.sweeping import SweepPart
from waycairn.catalog.tables import blocks, checkpoints, chunks, packs, runs, steps
from waycairn.catalog.upkeep import UpkeepPart
from waycairn.catalog.waiting import WaitingPart
from waycairn.model.ids import RunId
from waycairn.model.records import StoreInfo
from waycairn.ports import Clock

_DATABASE_NOW: ColumnElement[float] = literal_column("extract(epoch from clock_timestamp())::double precision")
CLOCK = Statement(
    "clock",
    "The time by the clock that leases go by: the server's, or (SQLite is on this host) ours.",
    lambda build: select(bindparam("now") if build.is_sqlite else _DATABASE_NOW),
)


def _renew(build: Build) -> ClauseElement:
    now = bindparam("now") if build.is_sqlite else _DATABASE_NOW
    return (
        update(runs)
        .where(runs.c.id == bindparam("of"), runs.c.epoch == bindparam("was"))
        .values(lease_until=now + bindparam("seconds"))
    )


RENEW = Statement("renew", "Hold a run for some seconds more.", _renew)

RUNS_BY_STATUS = Statement(
    "runs_by_status", "Runs, phases included.", select(runs.c.status, func.count()).group_by(runs.c.status)
)
PHASES_BY_STATUS = Statement(
    "phases_by_status",
    "Runs below other runs.",
    select(runs.c.status, func.count()).where(runs.c.parent.is_not(None)).group_by(runs.c.status),
)
CHECKPOINTS_BY_STATUS = Statement(
    "checkpoints_by_status",
    "Checkpoints by status.",
    select(checkpoints.c.status, func.count()).group_by(checkpoints.c.status),
)
CHECKPOINTS_BY_KIND = Statement(
    "checkpoints_by_kind",
    "Checkpoints by kind.",
    select(checkpoints.c.kind, func.count()).group_by(checkpoints.c.kind),
)
TOTALS = Statement(
    "totals",
    "Counts and sizes over whole tables.",
    select(
        select(func.min(checkpoints.c.created)).scalar_subquery(),
        select(func.max(checkpoints.c.created)).scalar_subquery(),
        select(func.coalesce(func.sum(checkpoints.c.raw_bytes), 0)).scalar_subquery(),
        select(func.count()).select_from(steps).scalar_subquery(),
        select(func.coalesce(func.sum(steps.c.raw_bytes), 0)).scalar_subquery(),
        select(func.count()).select_from(chunks).scalar_subquery(),
        select(func.coalesce(func.sum(chunks.c.length), 0)).scalar_subquery(),
        select(func.count()).select_from(blocks).scalar_subquery(),
        select(func.coalesce(func.sum(blocks.c.stored_length), 0)).scalar_subquery(),
        select(func.count()).select_from(packs).scalar_subquery(),
        select(func.coalesce(func.sum(packs.c.size), 0)).scalar_subquery(),
    ),
)
_TOTAL_NAMES = (
    *("oldest_checkpoint", "newest_checkpoint", "checkpoint_bytes", "steps", "step_bytes"),
    *("chunks", "chunk_bytes", "blocks", "block_bytes", "packs", "pack_bytes"),
)


class SqlCatalog(
    RunPart,
    RunPagePart,
    CommitPart,
    ItemPart,
    WaitingPart,
    SessionPart,
    HistoryPart,
    CheckpointPart,
    ChunkPart,
    SweepPart,
    PackPart,
    RepackPart,
    KeyPart,
    ResealPart,
    CopyPart,
    MovingPart,
    SizePart,
    UpkeepPart,
    DamagePart,
    AuditPart,
    BackupPart,
    BranchPart,
    MeasurePart,
    RetentionPart,
    RoomPart,
    AccountPart,
    EntryPart,
):
    """Implements `ports.Catalog` over any `Database`."""

    def __init__(self, database: Database, clock: Clock, info: StoreInfo) -> None:
        super().__init__(database, clock)
        self._info = info

    @property
    def info(self) -> StoreInfo:
        return self._info

    def clock_offset(self) -> float:
        before = self._clock.now()
        row = self._database.read(lambda session: session.one(CLOCK, {"now": before}))
        assert row is not None
        # The server looked at its clock somewhere between asking and answering.
        theirs = float(row[0])
        return 0.0 if theirs == before else theirs - (before + self._clock.now()) / 2

    def renew_lease(self, run: RunId, epoch: int, seconds: float) -> bool:
        values = {"of": run, "was": epoch, "seconds": float(seconds), "now": self._clock.now()}
        return self._database.write(lambda session: session.change(RENEW, values)) == 1

    def stats(self) -> Mapping[str, Any]:
        return self._database.read(_stats)

    def close(self) -> None:
        self._database.close()


def _stats(session: Session) -> dict[str, Any]:
    totals = session.one(TOTALS)
    assert totals is not None
    with nonsense_of(checkpoints.name):
        by_kind = {decode_text(kind): count for kind, count in session.all(CHECKPOINTS_BY_KIND)}
        numbers = [total if position < 2 else int(total) for position, total in enumerate(totals)]
    return {
        "runs": dict(session.all(RUNS_BY_STATUS)),
        "phases": dict(session.all(PHASES_BY_STATUS)),
        "checkpoints": dict(session.all(CHECKPOINTS_BY_STATUS)),
        "checkpoints_by_kind": by_kind,
        **dict(zip(_TOTAL_NAMES, numbers, strict=True)),
    }
