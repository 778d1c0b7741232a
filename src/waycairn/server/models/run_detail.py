"""Everything below one run."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from waycairn.server.models import Document
from waycairn.server.models.runs import RunDocument

Next = Field(description="The cursor of the next page; null with the last one.")


class ErrorDocument(Document):
    type: str = Field(examples=["ValueError"])
    message: str
    where: str | None = Field(description="The place in the code.", examples=["train.py:41 in step"])
    item: str | None = Field(default=None, description="The key of the item that was open.")
    traceback: str | None = Field(description="Null for those who may not touch the run.")


class LaunchDocument(Document):
    argv: list[str] = Field(examples=[["python", "nightly.py"]])
    directory: str = Field(examples=["/srv/jobs"])


class OutputDocument(Document):
    path: str
    length: int = Field(description="How much of the file is committed.")


class RunDetailDocument(RunDocument):
    error: ErrorDocument | None = Field(  # type: ignore[assignment]
        description="What left it, if an exception did."
    )
    fingerprint: dict[str, Any] | None
    metadata: dict[str, Any]
    launch: LaunchDocument | None = Field(
        description="The command that started it; null for those who may not touch it, and where none is recorded."
    )
    origin: str | None = Field(description="The checkpoint that it was forked from.")
    loops: dict[str, int] = Field(description="Items that are done, by loop.", examples=[{"items": 480}])
    phases: list[RunDocument] = Field(description="The runs below it, at any depth, as they were begun.")
    waiting: list[str] = Field(description="Loops and queues whose items wait to be folded or taken.")
    checkpoints: int
    steps: int
    outputs: list[OutputDocument] | None = Field(description="Null for those who may not touch it.")
    may_touch: bool = Field(description="Whoever asks may act on it and see its contents.")


class ItemDocument(Document):
    loop: str
    key: str = Field(description="As a person reads it.", examples=["'a.jpg'"])
    status: Literal["done", "failed"]
    attempts: int | None = Field(description="Of a failed one: how often it was tried.")
    first: float | None = Field(description="When it failed first.")
    last: float | None = Field(description="When it failed last.")
    poison: bool = Field(description="It killed the process that ran it, and is not tried again by itself.")
    error: ErrorDocument | None
    result: Any = Field(
        description="What a done one gave, as readable JSON; arrays are described. Null where it gave nothing."
    )
    damage: str | None = Field(description="Why the result cannot be had.")


class ItemList(Document):
    items: list[ItemDocument]
    next: str | None = Next


class FailureGroup(Document):
    type: str = Field(examples=["TimeoutError"])
    message: str
    count: int
    example: str = Field(description="The key of one of them.")


class FailureGroups(Document):
    groups: list[FailureGroup] = Field(description="Failures of one type and message; the most frequent first.")
    total: int


class IterationDocument(Document):
    number: int
    created: float = Field(description="When it ended.")
    took: float = Field(description="Seconds.")
    improvement: float | None
    metrics: dict[str, float | None] = Field(description="Null: it is no number, or infinite.")
    description: str | None
    error: ErrorDocument | None


class IterationList(Document):
    iterations: list[IterationDocument] = Field(description="The highest number first.")
    next: str | None = Next


class SeriesDocument(Document):
    name: str = Field(examples=["loss"])
    source: Literal["step", "iteration"] = Field(description="What `steps` counts.")
    steps: list[int]
    values: list[float | None] = Field(description="Null: it is no number, or infinite.")
    thinned: bool = Field(description="There are more values: of each stretch the lowest and the highest are here.")


class LoggedEntryDocument(Document):
    epoch: int
    step: int | None = Field(description="The first step that it logged.")
    iteration: int | None = Field(description="Its first iteration.")
    at: float = Field(description="When it began.")


class MetricsDocument(Document):
    series: list[SeriesDocument]
    entries: list[LoggedEntryDocument] = Field(description="Where each entry into the run begins.")
    more: int = Field(description="Metrics that were left out, because there are very many; ask for them by name.")


class HolderDocument(Document):
    pid: int
    host: str


class AttemptDocument(Document):
    epoch: int
    begun: float
    ended: float | None = Field(
        description="When it left; of one that never did, the last that was known. Null: it goes on, or nobody knows."
    )
    commits: int | None = Field(description="How many it made; null for a phase.")
    end: str | None = Field(
        description="What the run became; or `orphaned` (its process was gone), `displaced` (a forced takeover). Null: it goes on.",
        examples=["completed", "orphaned"],
    )
    seconds: float | None
    owner: HolderDocument


class EventDocument(Document):
    at: float
    what: str = Field(
        description="begun, forked, entered, resumed, left, orphaned, displaced, checkpoint, or an act of the audit log.",
        examples=["resumed", "run.discard"],
    )
    text: str
    actor: str | None


class TimelineDocument(Document):
    attempts: list[AttemptDocument] = Field(description="Each entry into the run, newest first.")
    events: list[EventDocument] = Field(description="Newest first, at most 500.")
