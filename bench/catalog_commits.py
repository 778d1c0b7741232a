"""10 KB saved inline through the catalog, beside a raw one-row SQLite loop with the same durability, in one run.

Prints JSON. Usage: python bench/catalog_commits.py [seconds per measurement]
"""

import json
import os
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

from waycairn.catalog import open_catalog
from waycairn.model.records import Commit, NewBlock, NewCheckpoint, NewChunk, NewData, NewRun, Progress, Stored
from waycairn.world.randomness import new_operation_id, new_run_id

STATE = os.urandom(10 * 1024)


def raw(folder, seconds):
    connection = sqlite3.connect(folder / "raw.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE states (id INTEGER PRIMARY KEY, state BLOB)")

    def save(_number):
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO states (state) VALUES (?)", (STATE,))
        connection.execute("COMMIT")

    times = timed(save, seconds)
    connection.close()
    return times


class Job:
    def __init__(self, catalog, numbers):
        id_ = new_run_id()
        self.catalog, self.run, self.first = catalog, id_, catalog.reserve_numbers(numbers)
        catalog.add_run(NewRun(id=id_, root=id_, parent=None, name=id_, key=None, owner=None), time.time())

    def save(self, number):
        at = self.first + number
        data = NewData(
            blocks=[NewBlock(at, 0, len(STATE), len(STATE), None, 0, STATE)],
            chunks=[NewChunk(at, os.urandom(32), at, 0, len(STATE))],
            sweep_epoch=0,
        )
        stored = Stored(manifest=b"m" * 12, root=b"r" * 32, raw_bytes=len(STATE), new_bytes=len(STATE))
        self.catalog.commit(
            Commit(
                run=self.run,
                epoch=1,
                sequence=number + 1,
                operation=new_operation_id(),
                now=time.time(),
                progress=Progress(done=number),
                checkpoint=NewCheckpoint(kind="processing_state", stored=stored),
                data=[data],
            )
        )


def timed(save, seconds):
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        started = time.perf_counter()
        save(len(times))
        times.append(time.perf_counter() - started)
    return times


def report(times):
    return {"rate": round(len(times) / sum(times)), "p50_us": round(statistics.median(times) * 1e6)}


def threads(catalog, count, seconds):
    done = []

    def work():
        done.append(len(timed(Job(catalog, 100_000).save, seconds)))

    workers = [threading.Thread(target=work) for _ in range(count)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return {"rate": round(sum(done) / seconds)}


def main(seconds):
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR", ".")) as scratch:
        folder = Path(scratch)
        catalog = open_catalog(f"sqlite:///{folder.resolve()}/catalog.db")
        job = Job(catalog, 1_000_000)
        first = raw(folder, seconds)
        ours = timed(job.save, seconds)
        (folder / "raw.db").unlink()
        second = raw(folder, seconds)
        both = report(first + second)
        result = {"raw": both, "catalog": report(ours), "share": round(report(ours)["rate"] / both["rate"], 2)}
        result["threads_1"], result["threads_8"] = threads(catalog, 1, seconds), threads(catalog, 8, seconds)
        catalog.close()
    print(json.dumps(result))


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 2.0)
