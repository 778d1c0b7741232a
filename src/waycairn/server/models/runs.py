"""Runs, as the API answers them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from waycairn.server.models import Document


class RunWord(StrEnum):
    """How a run stands. `orphaned`: running by its row, and its owner is dead."""

    RUNNING = "running"
    COMPLETED = "completed"
    PARTIAL = "partial"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    DISCARDED = "discarded"
    ORPHANED = "orphaned"


class RunProgress(Document):
    done: int = Field(examples=[480])
    failed: int = Field(examples=[2])
    total: int | None = Field(description="None where nobody knows how much there is to do.", examples=[1000])
    percent: float | None = Field(examples=[48.2])
    note: str | None


class RunOwner(Document):
    pid: int
    host: str
    since: float
    alive: bool = Field(description="It holds the run now. False: it is who entered it last, and is dead.")


class RunError(Document):
    type: str = Field(examples=["ValueError"])
    message: str


class RunDocument(Document):
    id: str = Field(examples=["k7f3qx0a9m2d"])
    name: str = Field(examples=["nightly"])
    key: str | None = Field(examples=["2026-11-21"])
    status: RunWord
    parent: str | None = Field(description="Of a phase: the run that it is a phase of.")
    root: str
    task: str | None
    tags: list[str]
    progress: RunProgress
    epoch: int = Field(description="Grows with each takeover.")
    sequence: int = Field(description="Number of the newest commit; 0 before the first.")
    entered: int = Field(description="How many times it was entered.")
    created: float
    updated: float
    owner: RunOwner | None
    account: str | None = Field(description="Whose it is. None: it is older than accounts.")
    rate: float | None = Field(
        description="Items a second of the last half minute; None until somebody has listened to `/events` for a while."
    )
    eta: float | None = Field(description="Seconds until it is done, at that rate.")
    resumable: bool = Field(description="The command that started it is recorded.")
    error: RunError | None = Field(description="What left it, if an exception did.")


class RunList(Document):
    runs: list[RunDocument]
    next: str | None = Field(description="`cursor` of the next page; None: this is the last one.")


class RunCounts(Document):
    counts: dict[str, int] = Field(examples=[{"running": 3, "completed": 120, "orphaned": 1}])
    total: int


class ResumeAsked(Document):
    retry_failed: bool | None = Field(
        default=None, description="Whether failed items are tried once more. None: as the job does by itself."
    )
    again: bool = Field(default=False, description="Also if the run is completed or discarded.")


class Resumed(Document):
    pid: int = Field(description="Of the process that was started.")
    command: str = Field(
        description="What was started, as a line for a shell.", examples=["cd /srv/jobs && python nightly.py"]
    )


class BulkAct(StrEnum):
    """`retry` is `resume` with failed items tried once more."""

    RESUME = "resume"
    RETRY = "retry"
    DISCARD = "discard"
    CANCEL = "cancel"


class ChosenRuns(Document):
    """Each that is given must hold."""

    status: list[RunWord] = Field(default=[], description="Any of these; none: whatever it is.")
    name: str | None = Field(default=None, max_length=1000)
    key: str | None = Field(default=None, max_length=1000)
    task: str | None = Field(default=None, max_length=1000)
    tag: str | None = Field(default=None, max_length=1000)
    account: str | None = Field(default=None, max_length=200)
    text: str | None = Field(default=None, max_length=200)


RunName = Annotated[str, Field(max_length=1000)]
"""With a bound, text is also looked at: half a character of UTF-16, which JSON can hold, is none."""


class BulkAsked(Document):
    act: BulkAct
    runs: list[RunName] | None = Field(default=None, max_length=500, description="These; in place of `filter`.")
    filter: ChosenRuns | None = Field(default=None, description="All of these, 500 at most; in place of `runs`.")
    dry_run: bool = Field(default=True, description="Only say what would be done.")

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.runs is None) == (self.filter is None):
            raise ValueError("name `runs`, or a `filter`, and not both")
        return self


class Done(StrEnum):
    WOULD = "would"
    DONE = "done"
    REFUSED = "refused"


class BulkOutcome(Document):
    run: str
    name: str | None = Field(description="None: there is no such run.")
    status: RunWord | None
    outcome: Done
    detail: str | None = Field(description="Why not; or, of what was started, the command.")


class BulkOutcomes(Document):
    outcomes: list[BulkOutcome]
