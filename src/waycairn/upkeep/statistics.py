"""What a store holds, counted, and what was measured lately."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from waycairn.model.backups import WHOLE, BackupFilter
from waycairn.model.records import RunFilter
from waycairn.model.states import RunStatus
from waycairn.store import StoreCore
from waycairn.upkeep.health import growth
from waycairn.upkeep.measured import count_of, days, hour_of, latencies, of_last_day, total_of
from waycairn.upkeep.standing import standing_of


def statistics(core: StoreCore) -> dict[str, Any]:
    """Counts, sizes in bytes, times in seconds since 1970.

    `raw_bytes` is what the checkpoints and step results that are there would take one by one, `unique_bytes` what
    is left when equal chunks are kept once, `stored_bytes` what that takes compressed. Chunks of deleted
    checkpoints count as unique and stored until a sweep removes them. `measured` is the last day: seconds by act.
    `upkeep` is when each work of it began or ended last.
    """
    rows = core.catalog.stats()
    raw = rows["checkpoint_bytes"] + rows["step_bytes"]
    return {
        "runs": _runs_by_standing(core, rows),
        "phases": dict(rows["phases"]),
        "checkpoints": {"valid": 0, "damaged": 0, **rows["checkpoints"]},
        "checkpoints_by_kind": dict(sorted(rows["checkpoints_by_kind"].items())),
        "oldest_checkpoint": rows["oldest_checkpoint"],
        "newest_checkpoint": rows["newest_checkpoint"],
        "steps": rows["steps"],
        "backups": _backups(core),
        "raw_bytes": raw,
        "unique_bytes": rows["chunk_bytes"],
        "stored_bytes": rows["block_bytes"],
        "deduplication": _ratio(raw, rows["chunk_bytes"]),
        "compression": _ratio(rows["chunk_bytes"], rows["block_bytes"]),
        "chunks": rows["chunks"],
        "blocks": rows["blocks"],
        "packs": rows["packs"],
        "pack_bytes": rows["pack_bytes"],
        "catalog_bytes": _catalog_bytes(core.url),
        **_measured(core),
        "upkeep": _upkeep(core),
    }


def _backups(core: StoreCore) -> dict[str, int]:
    """Those that are whole: what they hold, and what the store grew by for them."""
    found = core.catalog.list_backups(BackupFilter(states=WHOLE))
    return {
        "whole": len(found),
        "bytes": sum(one.size for one in found),
        "stored_bytes": sum(one.stored for one in found),
    }


_WORKS = ("sweep", "verify", "optimize", "health", "repair")


def _upkeep(core: StoreCore) -> dict[str, float]:
    """When each work of upkeep was done last, in whatever process; those that never were are left out."""
    notes = {work: core.catalog.upkeep_note(work) for work in _WORKS}
    return {work: note.at for work, note in notes.items() if note is not None}


def _measured(core: StoreCore) -> dict[str, Any]:
    """Of the last day; growth in bytes a day, over the days of health's trends."""
    now, span = core.clock.now(), core.settings.health.trend_days
    rows = core.catalog.measured(hour_of(now) - span * 24)
    lately = of_last_day(rows, now)
    return {
        "measured": {act: asdict(latency) for act, latency in latencies(lately).items()},
        "written_bytes": int(total_of(lately, "save.bytes")),
        "freed_bytes": int(total_of(lately, "sweep.bytes")),
        "takeovers": count_of(lately, "takeovers"),
        "late_saves": count_of(lately, "save.late") + count_of(lately, "save.skipped"),
        "growth_bytes_a_day": growth(rows, days(rows, now, span)),
    }


def _ratio(before: int, after: int) -> float | None:
    """How many times smaller; None where there is nothing."""
    return round(before / after, 3) if after else None


def _runs_by_standing(core: StoreCore, rows: Any) -> dict[str, int]:
    """As `list_standing` would show them; only those that are running by their row have to be looked at."""
    counts = Counter({status: count - rows["phases"].get(status, 0) for status, count in rows["runs"].items()})
    counts.pop(RunStatus.RUNNING.value, None)
    for run in core.catalog.list_runs(RunFilter(status=[RunStatus.RUNNING])):
        counts[standing_of(core, run).word] += 1
    return {word: count for word, count in sorted(counts.items()) if count}


def _catalog_bytes(url: str) -> int | None:
    """The files of an SQLite catalog; None for a server, which does not tell."""
    if "://" in url:
        return None
    return sum(file.stat().st_size for file in Path(url).glob("catalog.db*") if file.is_file())
