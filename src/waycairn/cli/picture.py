"""How things look: words for statuses and ages, bars, cells."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from waycairn.cli.output import text
from waycairn.model.records import CheckpointRecord, Progress
from waycairn.model.states import CheckpointStatus
from waycairn.upkeep.sizes import duration_text, size_text
from waycairn.upkeep.standing import ORPHANED, Standing

if TYPE_CHECKING:
    from rich.text import Text

_STYLES = {
    "running": "cyan",
    "completed": "green",
    "partial": "yellow",
    "interrupted": "yellow",
    "failed": "bold red",
    "discarded": "dim",
    ORPHANED: "bold magenta",
}
_BAR = 8

RUN_COLUMNS = ("id", "name", "key", "status", "progress", "items", "epoch", "age", "owner")
RUN_RIGHT = ("items", "epoch", "age")
RUN_SPARE = ("epoch", "owner", "items")
CHECKPOINT_COLUMNS = (
    *("id", "kind", "role", "iteration", "age", "raw", "new", "status", "pinned", "expires", "tags", "description"),
)
CHECKPOINT_SPARE = ("role", "new", "description", "iteration", "expires", "tags")
CHECKPOINT_RIGHT = ("iteration", "raw", "new", "age", "expires")


def status_text(word: str) -> Text:
    return text(word, _STYLES.get(word, ""))


def bar(progress: Progress) -> str:
    """`██████░░░░░░  50 %`, of characters that the output can show; empty if the end is unknown."""
    if progress.percent is None:
        return ""
    is_unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    full, empty = "█░" if is_unicode else "#-"
    filled = round(_BAR * progress.percent / 100)
    return f"{full * filled}{empty * (_BAR - filled)} {progress.percent:3.0f} %"


def percent(progress: Progress) -> str:
    return "" if progress.percent is None else f"{progress.percent:.0f}%"


def items_text(progress: Progress) -> str:
    """`5,000/9,000 (3 failed)`."""
    if not (progress.done or progress.failed or progress.total):
        return ""
    of = "" if progress.total is None else f"/{progress.total:,}"
    failed = f" ({progress.failed:,} failed)" if progress.failed else ""
    return f"{progress.done:,}{of}{failed}"


def progress_text(progress: Progress) -> str:
    """Bar and items."""
    return "  ".join(filter(None, (bar(progress), items_text(progress)))) or "not told"


def run_row(standing: Standing, now: float, *, with_bar: bool) -> list[str | Text]:
    """Cells for RUN_COLUMNS."""
    run, holder = standing.run, standing.holder
    progress = bar(run.progress) if with_bar else percent(run.progress)
    return [
        run.id,
        text(run.name),
        text(run.key or ""),
        status_text(standing.word),
        progress,
        items_text(run.progress),
        str(run.epoch),
        duration_text(now - run.updated),
        text(f"{holder.pid}@{holder.host}" if holder else ""),
    ]


def _status(record: CheckpointRecord) -> str | Text:
    """With the reason, where it is not to be used."""
    if record.status is CheckpointStatus.VALID:
        return record.status.value
    style = "bold red" if record.status is CheckpointStatus.DAMAGED else "yellow"
    return text(f"{record.status}: {record.damage}", style)


def checkpoint_row(record: CheckpointRecord, now: float) -> list[str | Text]:
    """Cells for CHECKPOINT_COLUMNS."""
    held = record.checkpoint
    return [
        record.id,
        text(held.kind),
        held.role,
        "" if held.iteration is None else str(held.iteration),
        duration_text(now - record.created),
        size_text(held.stored.raw_bytes),
        size_text(held.stored.new_bytes),
        _status(record),
        "pinned" if record.pinned else "",
        _expiry(held.expires, now),
        text(", ".join(held.tags)),
        text(held.description or ""),
    ]


def _expiry(expires: float | None, now: float) -> str:
    if expires is None:
        return ""
    return f"in {duration_text(expires - now)}" if expires > now else "expired"


def counted(counts: Sequence[tuple[str, int]]) -> str:
    """`3 completed, 1 failed`."""
    return ", ".join(f"{count:,} {word}" for word, count in counts if count) or "none"
