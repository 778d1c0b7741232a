"""Records as JSON values with stable keys. Sizes are bytes; times are ISO 8601 in UTC, or whatever `moment` makes of seconds since
1970: the API of the server answers them as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from waycairn.documents.moments import When, iso, seconds
from waycairn.model.records import CheckpointRecord, Launch, Owner, Progress, RunRecord
from waycairn.upkeep.batch import Group
from waycairn.upkeep.speed import Pace
from waycairn.upkeep.standing import Standing


def progress_facts(progress: Progress) -> dict[str, Any]:
    return {
        "done": progress.done,
        "failed": progress.failed,
        "total": progress.total,
        "percent": None if progress.percent is None else round(progress.percent, 2),
        "note": progress.note,
    }


def owner_facts(owner: Owner | None, *, alive: bool, moment: When = iso) -> dict[str, Any] | None:
    if owner is None:
        return None
    return {"pid": owner.pid, "host": owner.host, "since": moment(owner.since), "alive": alive}


def launch_facts(launch: Launch | None) -> dict[str, Any] | None:
    if launch is None:
        return None
    return {"argv": list(launch.argv), "directory": launch.directory, "environment": dict(launch.environment)}


def run_facts(standing: Standing, moment: When = iso) -> dict[str, Any]:
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
        "created": moment(run.created),
        "updated": moment(run.updated),
        "owner": owner_facts(standing.holder or run.owner, alive=standing.holder is not None, moment=moment),
        "account": run.account,
    }


def live_run_facts(standing: Standing, pace: Pace) -> dict[str, Any]:
    """One run as the API lists it and the events tell it: how fast it goes, if somebody has looked at it for a while."""
    run = standing.run
    return {
        **run_facts(standing, seconds),
        "rate": pace.rate,
        "eta": pace.eta,
        "resumable": run.launch is not None,
        "error": None if run.error is None else error_facts(run.error),
    }


def error_facts(error: Mapping[str, Any]) -> dict[str, Any]:
    """What left the run, in short."""
    return {"type": str(error.get("type", "")), "message": str(error.get("message", ""))}


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


def checkpoint_facts(record: CheckpointRecord, moment: When = iso) -> dict[str, Any]:
    """`moment` writes times."""
    held = record.checkpoint
    return {
        "id": record.id,
        "run": record.run,
        "sequence": record.sequence,
        "epoch": record.epoch,
        "created": moment(record.created),
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
        "expires": moment(held.expires),
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
