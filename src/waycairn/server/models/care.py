"""How a store is, and how it went."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from waycairn.model.health import Severity, Status
from waycairn.model.health_acts import HealthAct
from waycairn.server.models import Document


class LatencyDocument(Document):
    """Of one act, in seconds."""

    count: int
    failures: int
    p50: float | None
    p95: float | None
    p99: float | None


class BackupTotals(Document):
    """Of backups that are whole."""

    whole: int
    bytes: int = Field(description="That they hold.")
    stored_bytes: int = Field(description="By which the store grew for them.")


class Statistics(Document):
    """Counted now, in the rows; `measured` and what follows it is what was recorded within the last day."""

    runs: dict[str, int] = Field(examples=[{"completed": 41, "running": 2, "orphaned": 1}], description="By status.")
    phases: dict[str, int]
    checkpoints: dict[str, int] = Field(examples=[{"valid": 1204, "damaged": 0}])
    checkpoints_by_kind: dict[str, int]
    oldest_checkpoint: float | None
    newest_checkpoint: float | None
    steps: int
    backups: BackupTotals
    raw_bytes: int = Field(description="What checkpoints and results of steps would take one by one.")
    unique_bytes: int = Field(description="What is left when equal chunks are kept once.")
    stored_bytes: int = Field(description="What that takes compressed.")
    deduplication: float | None = Field(description="How many times smaller by keeping equal chunks once.")
    compression: float | None = Field(description="How many times smaller by compression.")
    chunks: int
    blocks: int
    packs: int
    pack_bytes: int
    catalog_bytes: int | None = Field(description="Of an SQLite catalog with its log; a server does not tell.")
    measured: dict[str, LatencyDocument] = Field(description="Of the last day, by act: save, commit, load, verify, ...")
    written_bytes: int
    freed_bytes: int
    takeovers: int
    late_saves: int
    growth_bytes_a_day: float | None
    upkeep: dict[str, float] = Field(examples=[{"sweep": 1795000000.0}], description="When each work was done last.")


class Act(Document):
    """What does what is recommended."""

    name: HealthAct = Field(
        description="`sweep`, `optimize`, `verify`, `repair`: POST to the path of that name. `runs`, `backups`, `streams`: "
        "where a person looks and decides."
    )
    why: str


class IssueDocument(Document):
    check: str = Field(examples=["fragmentation"])
    severity: Severity
    what: str
    means: str = Field(description="For the data, or for the job.")
    do: str
    act: Act | None
    points: int = Field(description="That it takes off the score.")
    facts: dict[str, Any]


class DayDocument(Document):
    """What was recorded on one day, UTC."""

    begins: float
    acts: dict[str, LatencyDocument]
    written_bytes: float
    raw_bytes: float | None
    freed_bytes: float
    takeovers: int
    store_bytes: float | None


class HealthDocument(Document):
    at: float
    status: Status
    score: int | None = Field(description="0 to 100; null if the status is unknown.")
    issues: list[IssueDocument] = Field(description="The gravest first.")
    recommendations: list[str] = Field(description="What to do, in that order, each once.")
    trends: list[DayDocument] = Field(description="The oldest first; today, so far, is the last one.")
    facts: dict[str, Any] = Field(description="What it was judged by.")


class GrowthDay(Document):
    day: str = Field(examples=["2026-11-30"], description="UTC.")
    begins: float
    bytes: float | None = Field(description="Of packs and catalog, when it was looked at last on that day.")
    raw: float | None = Field(
        description="What the saves of the day held; null where an older version did not record it."
    )
    written: float = Field(description="That they added to the store.")
    saved: float | None = Field(description="What equal chunks kept once and compression spared: raw less written.")
    freed: float = Field(description="By sweeps.")
    saves: int
    loads: int
    failures: int = Field(description="Of all acts.")
    save_p95: float | None = Field(description="Seconds.")
    load_p95: float | None
    takeovers: int


class Growth(Document):
    days: list[GrowthDay] = Field(description="The oldest first; days on which nothing was recorded are left out.")
    bytes_a_day: float | None = Field(description="By which the store grows; null: too little was recorded.")


class Alive(Document):
    status: Literal["ok"]
