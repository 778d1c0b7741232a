"""Jobs of the server."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from waycairn.model.backups import BackupStage
from waycairn.server.jobs import JobState
from waycairn.server.models import Document


class JobProgress(Document):
    stage: BackupStage
    records: int
    size: int
    total_records: int | None = Field(description="None where it is not known.")
    total_size: int | None


class JobError(Document):
    title: str = Field(examples=["BackupRefused"])
    status: int = Field(examples=[409])
    detail: str


class JobDocument(Document):
    id: str
    kind: str = Field(examples=["backup.create"])
    object: str | None
    owner: str
    state: JobState
    created: float
    updated: float
    progress: JobProgress | None
    result: dict[str, Any] = Field(description="What it gave, once it is done.")
    error: JobError | None


class JobList(Document):
    jobs: list[JobDocument]
