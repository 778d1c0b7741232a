"""Sweeps of large stores: seconds, memory above that of the open store, and saves beside a sweep that never ends.

    python bench/upkeep.py                  1,000 and 100,000 checkpoints; 1 M chunks; what optimize takes, too
    python bench/upkeep.py --quick          a tenth of that

Each is measured in a process of its own on a copy of the same store. The large stores are written through the catalog (10
chunks a checkpoint, inline, a tenth of them shared by neighbours); the small one by real saves, a part of them in packs.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from measuring import arguments, report, scratch, summary

import waycairn as wc
from waycairn.chunks.manifest import Manifest, Run, encode
from waycairn.model.ids import ChunkId, RunId
from waycairn.model.records import Commit, NewBlock, NewCheckpoint, NewChunk, NewData, NewRun, Progress, Stored
from waycairn.model.retention_settings import RetentionSettings
from waycairn.model.settings import Settings
from waycairn.upkeep.sweep import sweep
from waycairn.world.randomness import new_operation_id, new_run_id

CHUNKS = 10
"""Of a checkpoint in the large stores; one of them is that of the checkpoint before."""
KEEP = "last 10"


def build_large(place: Path, checkpoints: int) -> None:
    """In runs of 1,000 checkpoints."""
    with wc.open(place, durability="process") as store:
        catalog = store.core.catalog
        for first in range(0, checkpoints, 1000):
            run = new_run_id()
            name = f"run {first // 1000}"
            catalog.add_run(NewRun(id=run, root=run, parent=None, name=name, key=None, owner=None), time.time())
            number = catalog.reserve_numbers(1000 * CHUNKS + 1) + 1
            for sequence in range(1, min(1000, checkpoints - first) + 1):
                catalog.commit(_a_commit(run, sequence, number))
                number += CHUNKS
        catalog.settle_log()


def _a_commit(run: RunId, sequence: int, number: int) -> Commit:
    content = os.urandom(20) * CHUNKS
    block = NewBlock(number, 0, len(content), len(content), None, 0, content)
    chunks = [NewChunk(number + at, ChunkId(os.urandom(32)), number, at * 20, 20) for at in range(CHUNKS)]
    first = number - (sequence > 1)
    shape = Manifest(
        document_length=200,
        segments=[Run(first, CHUNKS + number - first)],
        sizes=[],
        own_chunk=0,
        chunk=0,
        buffer_runs=[],
    )
    stored = Stored(manifest=encode(shape), root=os.urandom(32), raw_bytes=200, new_bytes=200)
    return Commit(
        run=run,
        epoch=1,
        sequence=sequence,
        operation=new_operation_id(),
        now=time.time(),
        progress=Progress(),
        checkpoint=NewCheckpoint(kind="processing_state", stored=stored),
        data=[NewData(blocks=[block], chunks=chunks)],
    )


def build_small(place: Path, checkpoints: int) -> None:
    """Ten jobs; every tenth state is of 200 KB and goes to a pack."""
    with wc.open(place, durability="process") as store:
        for job in range(10):
            with store.run(f"job {job}") as run:
                state = run.state({"page": 0, "text": "", "data": b""})
                for page in run.each(range(checkpoints // 10)):
                    state.update(
                        page=page, text=f"page {page} " * 500, data=os.urandom(200_000 if page % 10 == 0 else 2_000)
                    )
                    run.checkpoint(force=True)
                run.complete()
        store.core.catalog.settle_log()


# -- in a process of its own -----------------------------------------------------------------------------------------


def opened(place: str, keep: str) -> wc.Store:
    store = wc.open(place)
    store.core.settings = Settings(retention=RetentionSettings(keep=keep))
    return store


def peak() -> int:
    """Bytes that this process had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(place: str, keep: str) -> dict[str, Any]:
    """One sweep."""
    with opened(place, keep) as store:
        before = peak()
        began = time.perf_counter()
        done = sweep(store.core, grace=0)
        facts = {
            "sweep_s": round(time.perf_counter() - began, 3),
            "checkpoints": done.checkpoints,
            "chunks": done.chunks,
        }
        try:
            from waycairn.upkeep.optimize import optimize
        except ImportError:
            pass
        else:
            began = time.perf_counter()
            optimize(store.core)
            facts["optimize_s"] = round(time.perf_counter() - began, 3)
    return {**facts, "peak_mb_above": round((peak() - before) / 1e6, 1)}


def endless(place: str) -> None:
    """Sweeps without a pause until there is a file `done` beside the store."""
    with opened(place, "all") as store:
        count = 0
        while not Path(f"{place}.done").exists():
            sweep(store.core)
            count += 1
    print(json.dumps({"sweeps": count}))


# -- the whole ---------------------------------------------------------------------------------------------------------


def apart(act: str, *given: str) -> dict[str, Any]:
    made = subprocess.run([sys.executable, __file__, act, *given], check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(made.stdout)
    return found


def swept(name: str, original: Path) -> None:
    for keep in ("all", KEEP):
        copy = scratch(f"{name}-copy") / "store"
        shutil.copytree(original, copy)
        report(f"sweep {name}", keep=keep, **apart("measure", str(copy), keep))


def saves_beside(original: Path, count: int) -> None:
    """Values that replace each other, alone and beside sweeps."""
    copy = scratch("beside") / "store"
    shutil.copytree(original, copy)
    figures: dict[str, dict[str, float]] = {}
    with wc.open(copy) as store:
        for act in ("warm up", "alone", "beside", "alone again"):
            other = None
            if act == "beside":
                other = subprocess.Popen(
                    [sys.executable, __file__, "endless", str(copy)], stdout=subprocess.PIPE, text=True
                )
                time.sleep(1.0)
            taken = []
            for number in range(count):
                value = {"number": number, "data": os.urandom(4_000)}
                began = time.perf_counter()
                store.save(act, value, keep=2)
                taken.append(time.perf_counter() - began)
                time.sleep(0.002)
            figures[act] = summary(taken)
            if other is not None:
                Path(f"{copy}.done").touch()
                told, _ = other.communicate()
                figures[act] |= json.loads(told)
    alone, beside = figures["alone"], figures["beside"]
    report(
        "saves beside sweeps",
        alone=alone,
        beside=beside,
        p50=round(beside["p50_us"] / alone["p50_us"], 2),
        p99=round(beside["p99_us"] / alone["p99_us"], 2),
    )


def main() -> None:
    many = 10_000 if arguments().quick else 100_000
    few = 200 if arguments().quick else 1_000
    small, large = scratch("small") / "store", scratch("large") / "store"
    build_small(small, few)
    swept(f"{few} saves", small)
    began = time.perf_counter()
    build_large(large, many)
    report("build", checkpoints=many, chunks=many * CHUNKS, seconds=round(time.perf_counter() - began, 1))
    swept(f"{many} checkpoints", large)
    saves_beside(small, 300 if arguments().quick else 2_000)


if __name__ == "__main__":
    if sys.argv[1:2] == ["measure"]:
        print(json.dumps(measure(*sys.argv[2:])))
    elif sys.argv[1:2] == ["endless"]:
        endless(*sys.argv[2:])
    else:
        main()
