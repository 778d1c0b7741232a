"""Records as JSON values with stable keys. Times are ISO 8601 in UTC, sizes bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from waycairn.model.records import CheckpointRecord, Launch, Owner, Progress, RunRecord
from waycairn.upkeep.batch import Group
from waycairn.upkeep.sizes import iso
from waycairn.upkeep.standing import Standing


def progress_facts(progress: Progress) -> dict[str, Any]:
    return {
        "done": progress.done,
        "failed": progress.failed,
        "total": progress.total,
        "percent": None if progress.percent is None else round(progress.percent, 2),
        "note": progress.note,
    }


def owner_facts(owner: Owner | None, *, alive: bool) -> dict[str, Any] | None:
    if owner is None:
        return None
    return {"pid": owner.pid, "host": owner.host, "since": iso(owner.since), "alive": alive}


def launch_facts(launch: Launch | None) -> dict[str, Any] | None:
    if launch is None:
        return None
    return {"argv": list(launch.argv), "directory": launch.directory, "environment": dict(launch.environment)}


def run_facts(standing: Standing) -> dict[str, Any]:
    """One run as lists show it."""
    run = standing.run
    return {
        "id": run.id,
        "name": run.name,
        "key": run.key,
        "status": standing.word,
        "parent": run.parent,
        "root": run.root,
        "task": run.task,
        "tags": list(run.tags),
        "progress": progress_facts(run.progress),
        "epoch": run.epoch,
        "sequence": run.sequence,
        "entered": run.entered,
        "created": iso(run.created),
        "updated": iso(run.updated),
        "owner": owner_facts(standing.holder or run.owner, alive=standing.holder is not None),
    }


def whole_run_facts(standing: Standing) -> dict[str, Any]:
    """One run with everything its row holds."""
    run = standing.run
    return {
        **run_facts(standing),
        "fingerprint": _plain(run.fingerprint),
        "metadata": _plain(run.metadata),
        "launch": launch_facts(run.launch),
        "error": _plain(run.error),
    }


def group_facts(groups: Sequence[Group]) -> list[dict[str, Any]]:
    return [
        {"type": group.type, "message": group.message, "count": group.count, "example": group.example}
        for group in groups
    ]


def checkpoint_facts(record: CheckpointRecord) -> dict[str, Any]:
    held = record.checkpoint
    return {
        "id": record.id,
        "run": record.run,
        "sequence": record.sequence,
        "epoch": record.epoch,
        "created": iso(record.created),
        "kind": held.kind,
        "role": held.role,
        "status": record.status.value,
        "damage": record.damage,
        "pinned": record.pinned,
        "iteration": held.iteration,
        "tags": list(held.tags),
        "description": held.description,
        "metadata": _plain(held.metadata),
        "reason": held.reason,
        "expires": iso(held.expires),
        "outputs": dict(held.outputs),
        "raw_bytes": held.stored.raw_bytes,
        "new_bytes": held.stored.new_bytes,
    }


def title_of(run: RunRecord) -> str:
    """`'nightly' (key '2026-11-21', k7f3qx0a9m2d)`."""
    keyed = "" if run.key is None else f"key {run.key!r}, "
    return f"{run.name!r} ({keyed}{run.id})"


def _plain(value: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if value is None else dict(value)
