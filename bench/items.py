"""`run.each` over trivial items: automatic pace against the bare loop, and strict against raw single-row commits."""

import sqlite3
import time
import tracemalloc

from measuring import arguments, median, report, scratch

import waycairn as wc


def bare(keys: list[str]) -> float:
    started = time.perf_counter()
    for key in keys:
        len(key)
    return time.perf_counter() - started


def paced(keys: list[str], name: str) -> float:
    with wc.open(scratch(name)) as store:
        store.save("warm", 1)
        started = time.perf_counter()
        with store.run("bench") as run:
            for key in run.each(keys):
                len(key)
        return time.perf_counter() - started


def strict(keys: list[str], name: str) -> float:
    with wc.open(scratch(name)) as store, store.run("bench", pace="every item") as run:
        started = time.perf_counter()
        for key in run.each(keys):
            len(key)
        return time.perf_counter() - started


def raw(keys: list[str], name: str) -> float:
    db = sqlite3.connect(scratch(name) / "x.db", isolation_level=None)
    db.execute("pragma journal_mode=wal")
    db.execute("pragma synchronous=full")
    db.execute("create table t(id integer primary key, key text)")
    started = time.perf_counter()
    for key in keys:
        db.execute("begin immediate")
        db.execute("insert into t(key) values(?)", (key,))
        db.execute("commit")
    taken = time.perf_counter() - started
    db.close()
    return taken


def resume(count: int) -> tuple[float, float]:
    """Seconds to the first pending item with all but the last done, beyond iterating the input; peak MiB."""
    keys = [f"img_{number:07d}.jpg" for number in range(count)]
    place = scratch("resume")
    with wc.open(place) as store, store.run("bench", pace="50000 items") as run:
        for _ in run.each(keys[:-1000]):
            pass
    with wc.open(place) as store:
        store.save("warm", 1)
        iterating = bare(keys)
        started = time.perf_counter()
        with store.run("bench", pace=0) as run:
            for _ in run.each(keys):
                first = time.perf_counter() - started
                break
    with wc.open(place) as store:
        tracemalloc.start()
        with store.run("bench", pace=0) as run:
            for _ in run.each(keys):
                break
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return first - iterating, peak / (1 << 20)


def main() -> None:
    quick = arguments().quick
    keys = [f"img_{number:07d}.jpg" for number in range(20_000 if quick else 100_000)]
    over = median([1e6 * (paced(keys, "paced") - bare(keys)) / len(keys) for _ in range(arguments().rounds)])
    few = keys[: 500 if quick else 3000]
    rounds = [(strict(few, "strict"), raw(few, "raw")) for _ in range(arguments().rounds)]
    first, peak = resume(100_000 if quick else 1_000_000)
    report(
        "items",
        paced_us_over_bare=round(over, 2),
        strict_per_s=round(len(few) / rounds[-1][0]),
        raw_per_s=round(len(few) / rounds[-1][1]),
        strict_over_raw=round(median([theirs / mine for mine, theirs in rounds]), 3),
        resume_first_pending_s=round(first, 3),
        resume_peak_mib=round(peak, 1),
    )


if __name__ == "__main__":
    main()
