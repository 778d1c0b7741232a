"""A batch of items of which some fail, four at a time: `run.map`, strict and paced, beside DBOS's queue of one workflow an item."""

import importlib.util
import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from measuring import arguments, median, report, scratch, skip

import waycairn as wc

ITEMS, WORKERS = 500, 4


def work(number: int) -> int:
    if number % 50 == 49:
        raise ValueError("bad item")
    return number


def ours(pace: str | None) -> float:
    with wc.open(scratch("batch")) as store:
        store.save("warm", 1)
        started = time.perf_counter()
        with store.run("batch", pace=pace) as run:
            done = run.map(work, range(ITEMS), workers=WORKERS).drain()
        assert (done.completed, done.failed) == (ITEMS - 10, 10)
        return time.perf_counter() - started


def strict() -> float:
    """Each item in a commit of its own, flushed before the next one is taken: what a workflow an item promises."""
    with wc.open(scratch("batch")) as store:
        store.save("warm", 1)
        started = time.perf_counter()
        with store.run("batch", pace="every item") as run:
            for _ in run.map(work, range(ITEMS), workers=WORKERS):
                pass
        return time.perf_counter() - started


def theirs() -> float:
    """In a process of its own, which DBOS keeps busy until its end; its own SQLite, in WAL mode."""
    place = scratch("batch-dbos")
    with sqlite3.connect(place / "sys.sqlite") as catalog:
        catalog.execute("pragma journal_mode=wal")
        catalog.execute("create table warm(a)")
    ended = subprocess.run(
        [sys.executable, str(Path(__file__)), "dbos", str(place)], capture_output=True, text=True, check=True
    )
    return float(json.loads(ended.stdout.splitlines()[-1])["seconds"])


def run_dbos(place: str) -> None:
    from dbos import DBOS, SetWorkflowID

    url = f"sqlite:///{place}/sys.sqlite"
    config = {"name": "bench", "system_database_url": url, "log_level": "CRITICAL", "run_admin_server": False}
    DBOS(config={**config, "application_version": "v1"})
    step = DBOS.step()(work)

    @DBOS.workflow()
    def item(number: int) -> int:
        return step(number)

    DBOS.launch()
    queue = DBOS.register_queue("q", worker_concurrency=WORKERS, polling_interval_sec=0.05)
    started = time.perf_counter()
    handles = []
    for number in range(ITEMS):
        with SetWorkflowID(f"item-{number}"):
            handles.append(queue.enqueue(item, number))
    while DBOS.list_queued_workflows(queue_name="q", load_input=False):
        time.sleep(0.05)
    seconds = time.perf_counter() - started
    failed = 0
    for handle in handles:
        try:
            handle.get_result()
        except ValueError:
            failed += 1
    assert failed == 10, failed
    print(json.dumps({"seconds": seconds}), flush=True)
    os._exit(0)


def main() -> None:
    if importlib.util.find_spec("dbos") is None:
        skip("batch", "dbos is not installed: pip install -r requirements/bench.txt")
        return
    rounds = [(ours(None), strict(), theirs()) for _ in range(min(3, arguments().rounds))]
    report(
        "batch",
        items=ITEMS,
        workers=WORKERS,
        paced_items_per_s=round(ITEMS / median([paced for paced, _, _ in rounds])),
        strict_items_per_s=round(ITEMS / median([one for _, one, _ in rounds])),
        dbos_items_per_s=round(ITEMS / median([dbos for _, _, dbos in rounds])),
        strict_over_dbos=round(median([dbos / one for _, one, dbos in rounds]), 1),
        paced_over_dbos=round(median([dbos / paced for paced, _, dbos in rounds]), 1),
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["dbos"]:
        run_dbos(sys.argv[2])
    else:
        main()
