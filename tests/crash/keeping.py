"""Jobs whose checkpoints policies let go, and a process that cares for its store in a thread."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path
from typing import Any

import waycairn as wc
from crash.common import STORE, Acks, Told, Workload, blob, checkpoints, find
from waycairn.model.retention_settings import RetentionSettings
from waycairn.model.settings import Settings
from waycairn.model.upkeep_settings import UpkeepSettings

LAST = 4
STRICT = Settings(retention=RetentionSettings(keep="last 1", max_age=0), upkeep=UpkeepSettings(temporary_age=0))
"""All goes at once but the newest."""


def secret(page: int) -> str:
    """In the catalog as it is: a description is not compressed."""
    return f"what page {page} was about"


def retain(store: wc.Store, told: Told) -> None:
    """What was swept is in no byte of the database any more."""
    store.core.settings = STRICT
    with store.run("retained", pace="every item") as run:
        state = run.state({"page": 0, "data": b""})
        for page in run.each(range(1, LAST + 1)):
            assert state["page"] == page - 1, "it goes on from what was committed last"
            told(f"item {page - 1}")
            report = store.sweep(grace=0)
            if report.log_emptied and page > 1:
                told(f"gone {page - 1}")
            state.update(page=page, data=blob(page % 3, 150_000 if page % 2 else 60_000))
            run.checkpoint(force=True, description=secret(page))
    told(f"item {LAST}")
    left = Path(STORE, "flights", f"{'0' * 12}-{'0' * 16}")
    left.parent.mkdir(exist_ok=True)
    left.write_bytes(b"of a process that died")
    store.save("room", blob(9, 60_000))
    store.clear("room")
    store.sweep(grace=0)
    assert not left.exists()
    store.core.catalog.shrink()


def check_retained(store: wc.Store, acks: Acks) -> None:
    run = find(store, "retained")
    newest = None if run is None else store.core.catalog.latest_checkpoint(run.id, role="state")
    if run is not None and not run.status.is_finished:
        page = 0 if newest is None else store.load(newest.id)["page"]
        assert page >= acks.get("item", 0), f"{acks} acknowledged, the run goes on from {page}"
    database = Path(STORE, "catalog.db")
    if database.exists() and acks.get("gone", 0) > 1:
        # By another process: closing a file of an open database drops the locks of this one.
        files = [path for path in (database, database.with_name("catalog.db-wal")) if path.exists()]
        there = subprocess.run(["cat", *files], capture_output=True, check=True).stdout
        left = [page for page in range(1, acks["gone"]) if secret(page).encode() in there]
        assert left == [], f"{acks} acknowledged, and pages {left} can still be read"


def care(store: wc.Store, told: Told) -> None:
    """The thread sweeps all the time what the job replaces."""
    store.core.settings = Settings(upkeep=UpkeepSettings(interval=0.001, share=1.0))
    upkeep = store.start_upkeep()
    done = store.latest("cared", {"page": 0})["page"]
    for page in range(done + 1, 7):
        store.save("cared", cared(page), keep=1)
        told(f"page {page}")
    store.stop_upkeep()
    assert "waycairn-upkeep" not in {thread.name for thread in threading.enumerate()}, "it is left running"
    for ended in upkeep.ended.values():
        if ended.error is not None:
            raise ended.error
    store.sweep(grace=0)


def cared(page: int) -> dict[str, Any]:
    return {"page": page, "back": blob(page % 2), "small": blob(page, 20_000)}


def check_cared(store: wc.Store, acks: Acks) -> None:
    values = [store.load(record.id) for record in checkpoints(store, "cared")]
    assert values in ([], *([cared(page)] for page in range(1, 7)))
    assert (values[0]["page"] if values else 0) >= acks.get("page", 0), f"{acks} acknowledged"


WORKLOADS = {
    "retention": Workload(retain, check_retained),
    "upkeep": Workload(care, check_cared),
}
