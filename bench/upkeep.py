"""Sweep and optimize of large stores: seconds, bytes written, memory above that of the open store; and saves beside sweeps.

    python bench/upkeep.py                  1,000 and 100,000 checkpoints; 1 M chunks; sweep and optimize below 1 s and 30 s
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
from waycairn.model.policies import Policies
from waycairn.model.records import Commit, NewBlock, NewCheckpoint, NewChunk, NewData, NewRun, Progress, Stored
from waycairn.model.retention_settings import RetentionSettings
from waycairn.model.settings import Settings
from waycairn.upkeep.optimize import optimize
from waycairn.upkeep.retain import Tally, drop_retained
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
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def written() -> int:
    """Bytes that this process gave to the system; 0 where that is not told."""
    facts = Path("/proc/self/io")
    return int(facts.read_text().split("wchar: ")[1].split()[0]) if facts.exists() else 0


class Cost:
    """What a part of the work takes."""

    def __init__(self) -> None:
        self._began = time.perf_counter(), time.process_time(), written()

    def figures(self, name: str) -> dict[str, float]:
        wall, cpu, before = self._began
        return {
            f"{name}_s": round(time.perf_counter() - wall, 3),
            f"{name}_cpu_s": round(time.process_time() - cpu, 3),
            f"{name}_written_mb": round((written() - before) / 1e6, 1),
        }


def measure(place: str, keep: str) -> dict[str, Any]:
    """One sweep, and one optimize after it."""
    with opened(place, keep) as store:
        before = peak()
        cost = Cost()
        swept = sweep(store.core, grace=0)
        facts = {**cost.figures("sweep"), "checkpoints": swept.checkpoints, "chunks": swept.chunks}
        cost = Cost()
        done = optimize(store.core)
        facts |= cost.figures("optimize")
    return {
        **facts,
        "both_s": round(facts["sweep_s"] + facts["optimize_s"], 3),
        "fragmentation": round(done.after.share, 4),
        "peak_mb_above": round((peak() - before) / 1e6, 1),
    }


def endless(place: str, keep: str) -> None:
    """Sweeps without a pause until there is a file `done` beside the store; `begun` says that the first one removes rows."""
    count = rows = 0

    def stop() -> bool:
        Path(f"{place}.begun").touch()
        return Path(f"{place}.done").exists()

    with opened(place, keep) as store:
        while not Path(f"{place}.done").exists():
            report = sweep(store.core, stop=stop)
            count += not report.stopped
            rows += report.checkpoints + report.chunks
    print(json.dumps({"sweeps": count, "rows": rows}))


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


def saves_beside(name: str, original: Path, count: int, keep: str) -> None:
    """Values that replace each other, alone and beside sweeps."""
    copy = scratch("beside") / "store"
    shutil.copytree(original, copy)
    figures: dict[str, dict[str, float]] = {}
    with wc.open(copy) as store:
        for act in ("warm up", "alone", "beside", "alone again"):
            other = beginning(copy, keep) if act == "beside" else None
            figures[act] = summary([one_save(store, act, number) for number in range(count)])
            if other is not None:
                Path(f"{copy}.done").touch()
                told, _ = other.communicate()
                figures[act] |= json.loads(told)
    beside = figures["beside"]
    # The disk and who else uses it change meanwhile: before and after.
    p50, p99 = (
        2 * beside[part] / (figures["alone"][part] + figures["alone again"][part]) for part in ("p50_us", "p99_us")
    )
    report(f"saves beside {name}", **figures, p50=round(p50, 2), p99=round(p99, 2))
    assert beside["sweeps"] or beside["rows"], "no sweep ran beside the saves: this proves nothing"


def let_go(place: Path) -> None:
    """All but a few checkpoints; their chunks are left to a sweep."""
    with opened(str(place), KEEP) as store:
        drop_retained(store.core, Policies.of(store.core.settings.retention), Tally(lists=False), lambda: False)


def beginning(place: Path, keep: str) -> subprocess.Popen[str]:
    """A process whose first sweep has begun."""
    other = subprocess.Popen([sys.executable, __file__, "endless", str(place), keep], stdout=subprocess.PIPE, text=True)
    while not Path(f"{place}.begun").exists():
        assert other.poll() is None, "the process that sweeps has ended"
        time.sleep(0.01)
    return other


def one_save(store: wc.Store, name: str, number: int) -> float:
    value = {"number": number, "data": os.urandom(40_000)}
    began = time.perf_counter()
    store.save(name, value, keep=2)
    took = time.perf_counter() - began
    time.sleep(0.002)
    return took


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
    saves = 300 if arguments().quick else 2_000
    saves_beside("sweeps of little", small, saves, "all")
    saves_beside("a sweep of many checkpoints", large, saves, KEEP)
    let_go(large)
    saves_beside("a sweep of many chunks", large, saves, "all")


if __name__ == "__main__":
    if sys.argv[1:2] == ["measure"]:
        print(json.dumps(measure(*sys.argv[2:])))
    elif sys.argv[1:2] == ["endless"]:
        endless(*sys.argv[2:])
    else:
        main()
