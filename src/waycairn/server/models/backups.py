"""Backups."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from waycairn.model.backups import BackupState
from waycairn.server.models import Document

Id = Annotated[str, Field(pattern=r"^[!-~]{1,200}$")]
"""What could be one."""


class NextStep(Document):
    what: str = Field(examples=["bring it back"])
    command: str = Field(examples=["waycairn backup restore k7f3qx0a9m2d"])


class BackupDocument(Document):
    id: str
    kind: str = Field(examples=["runs"], description="Of the source: runs, rows, paths, or one of your own.")
    label: str = Field(examples=["run nightly"], description="The source in a few words.")
    owner: str = Field(description="Who made it: an account, or a user of the host.")
    source: dict[str, Any] = Field(description="What the source said of itself; no secrets.")
    state: BackupState
    word: str = Field(description="What that means for the data, for people.")
    is_interrupted: bool = Field(description="The process died that made it, or that deleted its source.")
    created: float
    updated: float
    verified: float | None = Field(description="When all of it was read back last, and found intact.")
    deleted: float | None = Field(description="When its source was deleted.")
    expires: float | None = Field(description="When its payload may go; null: never.")
    pinned: bool
    records: int
    size: int
    stored: int = Field(description="Bytes that the store grew by.")
    digest: str | None = Field(description="SHA-256 of its SHA256SUMS.")
    error: str | None
    next_steps: list[NextStep]
    may_touch: bool = Field(description="It is the caller's own, or the caller is an admin.")


class BackupList(Document):
    backups: list[BackupDocument]
    next: str | None = Field(description="`cursor` of the next page; null: this is the last one.")


class RunsSource(Document):
    """Runs of this store: the caller's own, unless an admin asks."""

    kind: Literal["runs"]
    runs: list[Id] = Field(min_length=1, max_length=200, description="Their ids.", examples=[["k7f3qx0a9m2d"]])


class AgainSource(Document):
    """What an older backup was made of, as it is now. No path and no address is ever taken from a request."""

    again: Id = Field(description="Id of that backup: the caller's own, unless an admin asks.")


class BackupWanted(Document):
    source: RunsSource | AgainSource
    keep: str | None = Field(
        default=None,
        max_length=50,
        examples=["30d"],
        description="How long it stays, or `forever`; by default the setting `backups.keep`.",
    )


class QuestionFact(Document):
    name: str
    value: Any
    text: str = Field(description="The value for people.")


class QuestionDocument(Document):
    """What a person is asked before the next of the three steps."""

    title: str
    facts: list[QuestionFact]
    ask: str
    step: int = Field(description="1 before the backup is made; 3 before its source is deleted.")


class Confirmation(Document):
    confirm: str = Field(max_length=10_000, description="The label of the backup, as a person typed it.")


class RestoreWanted(Document):
    overwrite: bool = Field(default=False, description="Replace what is there and differs.")
    only: list[str] | None = Field(
        default=None,
        min_length=1,
        max_length=1000,
        description="Names of members (of runs: names or ids), with `*` for any letters; null: all.",
    )


class ExtendWanted(Document):
    keep: str | None = Field(default=None, max_length=50, examples=["30d"], description="As in a create; from now on.")


class PruneWanted(Document):
    dry_run: bool = Field(default=True, description="Only say what would go.")


class PruneReport(Document):
    dry_run: bool
    expired: int = Field(description="Backups whose time was over.")
    interrupted: int = Field(description="What processes left that died while they made one.")
    payloads: int | None = Field(description="Runs that went; not known of a dry run.")
    backups: list[BackupDocument] = Field(description="Those, as they stand now.")


class MemberDocument(Document):
    name: str = Field(examples=["conversations.jsonl"])
    size: int
    sha256: str
    records: int
    facts: dict[str, Any] = Field(description="What its source noted of it: columns, mode, times.")


class MemberList(Document):
    members: list[MemberDocument]
    next: str | None


class HitDocument(Document):
    member: str
    line: int = Field(description="From 1.")
    offset: int = Field(description="Bytes from the beginning of the member.")
    text: str


class HitList(Document):
    hits: list[HitDocument]
    cut: bool = Field(description="It took too long, and not all of it was looked at: name members.")
