"""The audit log."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from waycairn.model.audit import Outcome
from waycairn.server.models import Document


class AuditRowDocument(Document):
    number: int = Field(description="1, 2, 3, ...: without gaps.")
    at: float
    time: str | None = Field(examples=["2026-11-30T14:05:00.000Z"])
    actor: str = Field(
        examples=["ada (root@lab7)"], description="The account, and who the system says that the server is."
    )
    act: str = Field(examples=["run.discard"])
    object: str | None
    outcome: Outcome
    facts: dict[str, Any]
    hash: str
    damage: str | None = Field(
        default=None, description="Why the row cannot be read; then nothing else of it is known."
    )


class AuditRows(Document):
    rows: list[AuditRowDocument] = Field(description="The newest first.")
    next: str | None


class Misfit(Document):
    number: int
    what: str


class AuditChecked(Document):
    fits: bool = Field(description="Each row follows from the one before.")
    rows: int
    first: int | None
    anchor: str | None = Field(description="Keep it elsewhere: it shows later whether the whole log was written anew.")
    misfits: list[Misfit]
    more: int = Field(description="Misfits that are not told one by one.")
