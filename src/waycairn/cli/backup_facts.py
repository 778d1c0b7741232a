"""Backups as lines that people read."""

from __future__ import annotations

from collections.abc import Iterator

from waycairn.model.backups import BackupRecord, BackupState, Member
from waycairn.upkeep.sizes import duration_text, iso, size_text

COLUMNS = ("id", "state", "kind", "source", "records", "size", "made", "expires", "owner")
RIGHT = ("records", "size")
SPARE = ("owner", "kind", "size")
MEMBER_COLUMNS = ("member", "records", "size", "sha256")


def state_word(record: BackupRecord, *, is_interrupted: bool) -> str:
    return "interrupted" if is_interrupted else record.state.value


def row(record: BackupRecord, now: float, *, is_interrupted: bool) -> list[str]:
    return [
        record.id,
        state_word(record, is_interrupted=is_interrupted),
        record.kind,
        record.label,
        f"{record.records:,}",
        size_text(record.size),
        f"{duration_text(now - record.created)} ago",
        _stays(record, now),
        record.owner,
    ]


def _stays(record: BackupRecord, now: float) -> str:
    if not record.state.is_whole:
        return ""
    if record.pinned:
        return "pinned"
    if record.expires is None:
        return "never"
    left = record.expires - now
    return f"in {duration_text(left)}" if left > 0 else "now"


def lines(record: BackupRecord, now: float, *, is_interrupted: bool) -> Iterator[tuple[str, str]]:
    """Label and what is said; what is not there is left out."""
    yield "backup", f"{record.id} of {record.label} ({record.kind}), made by {record.owner}"
    yield "state", state_word(record, is_interrupted=is_interrupted)
    if record.state is not BackupState.EXPORTING:
        yield (
            "holds",
            f"{record.records:,} records, {size_text(record.size)}; the store grew by {size_text(record.stored)}",
        )
    for label, moment in (("created", record.created), ("verified", record.verified), ("deleted", record.deleted)):
        if moment is not None:
            yield label, f"{iso(moment)} ({duration_text(now - moment)} ago)"
    if record.state.is_whole:
        yield "expires", f"{iso(record.expires) or ''} ({_stays(record, now)})".strip()
    if record.digest is not None:
        yield "sha256", f"{record.digest} of its SHA256SUMS"
    if record.error is not None:
        yield "error", record.error


def member_row(member: Member) -> list[str]:
    return [member.name, f"{member.records:,}", size_text(member.size), member.sha256]
