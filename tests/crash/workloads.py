"""Small jobs that touch every durability step, what must hold at any instant of them, and what they end with.

Each job is written as a user would write it: the same call again goes on from where the last one died. `told` is
called when something was acknowledged: from then on it must survive. Jobs run with their folder as the working
directory, and everything they compute is a function of small numbers, so that every saved value can be foretold.
"""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from crash import (
    backing,
    batches,
    branches,
    encrypted,
    following,
    keeping,
    keeping_keys,
    learning,
    leaving,
    leaving_paths,
    leaving_rows,
    leaving_runs,
    mending,
    moving,
    running,
    saving,
    training,
)
from crash.common import (
    ADDRESS,
    DEADLINE,
    STORE,
    Acks,
    Told,
    Workload,
    blob,
    checkpoints,
    find,
    line,
    open_store,
    read_acks,
    results_of,
)
from crash.following import sink_outcome
from waycairn.errors import StoreNotFound
from waycairn.process import FileOwnership

__all__ = [
    "ADDRESS",
    "DEADLINE",
    "STORE",
    "WORKLOADS",
    "Acks",
    "Told",
    "Workload",
    "blob",
    "checkpoints",
    "find",
    "line",
    "open_store",
    "outcome",
    "read_acks",
    "verify",
]

WORKLOADS = {
    **saving.WORKLOADS,
    **moving.WORKLOADS,
    **running.WORKLOADS,
    **batches.WORKLOADS,
    **following.WORKLOADS,
    **training.WORKLOADS,
    **learning.WORKLOADS,
    **keeping_keys.WORKLOADS,
    **encrypted.WORKLOADS,
    **branches.WORKLOADS,
    **mending.WORKLOADS,
    **keeping.WORKLOADS,
    **backing.WORKLOADS,
    **leaving_paths.WORKLOADS,
    **leaving_rows.WORKLOADS,
    **leaving_runs.WORKLOADS,
}


def verify(workload: str, acks: Acks) -> bool:
    """What must hold at any instant, in the working directory: the database is sound, everything that is listed reads
    back whole, and the workload's own promises. False if there is no store yet (then nothing was acknowledged)."""
    try:
        store = open_store(create=False)
    except StoreNotFound:
        assert not acks, f"the store is gone with {acks} acknowledged"
        return False
    with store:
        WORKLOADS[workload].first(store)
        for record in store.checkpoints():
            store.core.verify(record.checkpoint.stored)
        WORKLOADS[workload].check(store, acks)
        if Path(STORE, "catalog.db").exists():
            with closing(sqlite3.connect(f"file:{STORE}/catalog.db?mode=ro", uri=True)) as database:
                assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    return True


def outcome() -> dict[str, Any]:
    """All that a finished job leaves in the working directory, but for ids and times: equal after every crash."""
    sinks = [*Path().glob("*.db"), *Path(STORE).glob("streams.db")]
    files = {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in Path().rglob("*")
        if path.is_file() and path.parts[0] != STORE and ".db" not in path.name
    }
    runs = {}
    with open_store(create=False) as store:
        rows = store.core.catalog
        for root in store.runs():
            for run in (root, *store.phases(root.id)):
                newest = {role: rows.latest_checkpoint(run.id, role=role) for role in ("state", "value", "result")}
                runs[f"{root.name}/{run.name}"] = {
                    "status": run.status.value,
                    "done": run.progress.done,
                    "failed": [run.progress.failed, sorted(repr(one.key) for one in rows.failures(run.id))],
                    "results": repr(results_of(store, run)),
                    "loops": dict(rows.loops(run.id)),
                    "steps": sorted((one.step.scope, one.step.name) for one in rows.list_steps(run.id)),
                    "outputs": {one.path: one.length for one in rows.outputs(run.id).values()},
                    "newest": {role: repr(store.load(one.id)) for role, one in newest.items() if one},
                }
        backups = sorted((one.kind, one.records, one.pinned) for one in leaving.whole(store))
        if isinstance(store.core.ownership, FileOwnership):
            store.core.ownership.sweep()
    owners = sorted(path.name for path in Path(STORE, "owners").glob("*"))
    return {
        "files": files,
        "runs": runs,
        "owners": owners,
        "backups": backups,
        "rows": repr(leaving_rows.found_in(leaving_rows.DATABASE)) if leaving_rows.DATABASE.exists() else "",
        "sinks": {str(path): sink_outcome(path) for path in sinks},
    }
