"""Works on a whole store."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from waycairn.model.optimizing import Kind
from waycairn.server.models import Document

Grace = Annotated[
    str | float | None,
    Field(
        examples=["1h"],
        description="How old a file that no commit names must be, as `1h` or in seconds; by default the setting `upkeep.grace`.",
    ),
]
DryRun = Annotated[bool, Field(description="Only say what would be done, at once. Without it: a job.")]


class SweepAsk(Document):
    dry_run: DryRun = True
    grace: Grace = None


class OptimizeAsk(Document):
    dry_run: DryRun = True
    max_bytes: Annotated[
        str | int | None, Field(examples=["4GB"], description="Copy at most so much; the next one goes on.")
    ] = None


class VerifyAsk(Document):
    read_data: str | None = Field(
        default=None,
        max_length=40,
        examples=["5%"],
        description="How much is read: `all`, `2/7`, `/7` or `5%` (what was verified longest ago); by default the setting "
        "`verify.read_data`.",
    )
    structure: bool = Field(default=False, description="Read no data: rows, root hashes, headers and footers of packs.")


class RepairAsk(Document):
    dry_run: DryRun = True


class Ruled(Document):
    stays: bool
    rule: str
    checkpoints: int
    bytes: int


class Decision(Document):
    """What becomes of one checkpoint, and why."""

    checkpoint: str
    run: str
    phase: str | None
    kind: str
    created: float
    stays: bool
    rule: str
    bytes: int


class SweepDocument(Document):
    dry_run: bool
    checkpoints: int = Field(description="That policies let go.")
    rules: list[Ruled]
    decisions: list[Decision] = Field(description="Of a dry run: what goes first, then what stays; 1000 at most.")
    more_decisions: int = Field(description="That are left out of `decisions`; `rules` counts them all.")
    over_bytes: int
    chunks: int
    blocks: int
    inline_bytes: int
    packs: int
    pack_bytes: int
    leftovers: int
    leftover_bytes: int
    unfinished: int
    temporary: int
    temporary_bytes: int
    owner_files: int
    kept_packs: int
    dead_bytes: int
    log_emptied: bool
    shrunk_bytes: int
    stopped: bool
    seconds: float
    freed_bytes: int


class Fragmentation(Document):
    packs: int
    pack_bytes: int
    dead_bytes: int
    share: float


class Action(Document):
    kind: Kind
    packs: int
    copied_bytes: int
    freed_bytes: int


class OptimizeDocument(Document):
    before: Fragmentation
    after: Fragmentation
    dry_run: bool
    actions: list[Action]
    copied_bytes: int
    freed_bytes: int
    compressed_bytes: int
    archived_bytes: int
    left_bytes: int
    unreadable: list[str]
    away: list[str]
    seconds: float


class Unlisted(Document):
    pack: str
    damage: str


class RepairDocument(Document):
    dry_run: bool
    chunks: int
    blocks: int
    packs: int
    replaced: int = Field(description="Damaged chunks that take the place of an intact one of the same content.")
    released: int
    healed: list[str] = Field(description="Checkpoints that were marked damaged and can be restored again.")
    unlisted: list[Unlisted]
    lost: int = Field(description="Chunks that something needs and that no pack has.")
    copy_: str | None = Field(alias="copy", description="Where the catalog as it was before lies.")
    seconds: float
