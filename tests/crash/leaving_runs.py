"""A run that is backed up, deleted and brought back, and goes on where it stood."""

from __future__ import annotations

import functools
import shutil
import tempfile
from pathlib import Path
from typing import Any

import waycairn as wc
from crash.common import STORE, Acks, Told, Workload, blob, find, looking
from crash.leaving import check_whereabouts, leave_and_return, whole
from waycairn.backups.catalogue import BackupContents
from waycairn.backups.runs import Runs, described_runs, runs
from waycairn.backups.source import Wish

NAME = "nightly"
LABEL = f"run {NAME}"
FIRST, LAST = 4, 7
"""Items before it is deleted, and after it came back."""


def leave_run(store: wc.Store, told: Told) -> None:
    if not store.latest("run laid"):
        _work(store, FIRST)
        store.save("run laid", True)
    told("laid 1")
    leave_and_return(store, told, LABEL, lambda: _source(store))
    told("going_on 1")
    _work(store, LAST)
    told("done 1")


def _source(store: wc.Store) -> Runs:
    if find(store, NAME) is not None:
        return runs(store, NAME)
    return described_runs(store.core, whole(store, LABEL)[0].source)


def _work(store: wc.Store, last: int) -> None:
    with store.run(NAME, tags=["kept"], pace="every item") as run:
        state = run.state({"seen": [], "data": b""})
        for number in run.each(range(1, last + 1)):
            state["seen"].append(number)
            state["data"] = blob(number) if number % 2 else b"small"
            run.step("square", lambda number: number * number, number, returns=int)
            run.log(number, square=number * number)
            if number == FIRST:
                run.checkpoint("mark", tags=["kept"])


def content_of(store: wc.Store) -> dict[str, Any]:
    """Nothing, if it is not there."""
    run = find(store, NAME)
    if run is None:
        return {}
    rows = store.core.catalog
    newest = rows.latest_checkpoint(run.id, role="state")
    return {
        "status": run.status.value,
        "tags": run.tags,
        "state": newest and store.load(newest.id),
        "done": dict(rows.loops(run.id)),
        "steps": sorted(store.core.load(one.step.result) for one in rows.list_steps(run.id)),
        "logged": [point.step for cut in rows.metrics(run.id) for point in cut.points],
        "marks": [store.load(one.id)["seen"] for one in store.checkpoints(run.id, kind="mark")],
    }


def check_run(store: wc.Store, acks: Acks) -> None:
    there = content_of(store)
    if "laid" not in acks:
        return
    if "going_on" not in acks:
        check_whereabouts(store, acks, there, _wanted(), _restored)
    elif "done" in acks:
        assert there["state"]["seen"] == list(range(1, LAST + 1))
        assert there["steps"] == [number * number for number in range(1, LAST + 1)]
    else:
        assert FIRST <= there["done"]["items"] <= LAST


def _restored(contents: BackupContents) -> dict[str, Any]:
    """Into a store of its own."""
    with looking() as folder:
        shutil.copytree(_empty_store(), Path(folder, STORE))
        with wc.open(Path(folder, STORE), create=False) as other:
            described_runs(other.core, contents.record.source).restore(contents, Wish())
            return content_of(other)


@functools.cache
def _empty_store() -> Path:
    """To begin with: making one takes longer than all else."""
    place = Path(tempfile.mkdtemp(prefix="waycairn-empty-"), STORE)
    wc.open(place).close()
    return place


@functools.cache
def _wanted() -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="waycairn-wanted-") as folder, wc.open(Path(folder, STORE)) as store:
        _work(store, FIRST)
        return content_of(store)


WORKLOADS = {"backup-runs": Workload(leave_run, check_run)}
