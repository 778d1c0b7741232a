"""Events from a file into SQLite: `run.follow` beside the bare parse loop, the same pipeline without offsets, and bytewax.

    python bench/streams.py [--mib 1024] [--rounds 3] [--quick] [--only floor,ours_rows,...]

Each contender runs in a process of its own over the same file, which is read once before (warm cache). Ratios are of
events a second, against the bare loop `for line in file: orjson.loads(line)`.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from measuring import arguments, median, report, scratch, skip

SIZE = 1000
WARM = 10
"""Batches of a pipeline before its cost counts."""
COLUMNS = "seq INTEGER, ts REAL, run TEXT, kind TEXT"


class Event(msgspec.Struct, gc=False):
    ts: float
    seq: int
    run: str
    kind: str


# -- the events ----------------------------------------------------------------------------------------------------------


def write_events(path: Path, size: int) -> int:
    """Telemetry of training runs, about 300 bytes an event; how many."""
    chance = random.Random(7)
    runs = [f"run-{chance.getrandbits(48):012x}" for _ in range(40)]
    made, count, at = 0, 0, 1_770_000_000.0
    encode = msgspec.json.Encoder().encode
    with path.open("wb", buffering=1 << 20) as file:
        while made < size:
            at += 0.002
            line = encode(event_of(chance, count, at, runs)) + b"\n"
            made += file.write(line)
            count += 1
    return count


def event_of(chance: random.Random, number: int, at: float, runs: list[str]) -> dict[str, Any]:
    kind = chance.choices(("metric", "log", "state", "item"), (70, 20, 6, 4))[0]
    made: dict[str, Any] = {
        "ts": at,
        "seq": number,
        "run": chance.choice(runs),
        "host": "node-07",
        "pid": 4711,
        "kind": kind,
    }
    if kind == "metric":
        made["values"] = {name: chance.random() for name in ("loss", "rate", "norm", "tokens", "memory")}
        made["tags"] = ["train", "bf16"]
    elif kind == "log":
        made |= {"level": "INFO", "message": "validation finished — amélioré de 3 %"}
        made["at"] = {"file": "trainer/loop.py", "line": number % 2000, "trace": f"{chance.getrandbits(128):032x}"}
    elif kind == "state":
        made |= {"from": "running", "to": "paused", "done": number}
    else:
        made |= {
            "item": f"book-{number % 45:03d}",
            "ms": chance.random() * 3000,
            "sha": f"{chance.getrandbits(256):064x}",
        }
    return made


# -- contenders: each is given the file and an empty folder, and gives the number of events ------------------------------


def floor(path: Path, _: Path) -> int:
    import orjson

    count, loads = 0, orjson.loads
    with path.open("rb") as file:
        for line in file:
            loads(line)
            count += 1
    return count


def ours_aggregate(path: Path, folder: Path) -> int:
    """Counts by kind, in the state of no job but in rows."""
    return sum(ours(path, folder, aggregate()))


def ours_rows(path: Path, folder: Path) -> int:
    """A row an event, by the driver."""
    return sum(ours(path, folder, rows_of(lambda tx: tx.insert_many)))


def ours_rows_sqlalchemy(path: Path, folder: Path) -> int:
    """A row an event, by SQLAlchemy."""
    from sqlalchemy import insert

    rows = insert(table("events"))

    def use(tx: Any, events: Any) -> None:
        tx.execute(rows, [{"seq": one.seq, "ts": one.ts, "run": one.run, "kind": one.kind} for one in events])

    return sum(ours(path, folder, use))


def ours(path: Path, folder: Path, use: Any) -> Iterator[int]:
    """How many events each batch has, once it is committed."""
    import waycairn as wc

    engine = an_engine(folder)
    with wc.open(folder / "store") as store, store.run("bench") as run:
        for batch in run.follow(path, sink=engine, schema=Event, batch=SIZE, once=True):
            with batch as tx:
                use(tx, batch.events)
            count = len(batch)
            del batch
            yield count
    engine.dispose()


def uncommitted(path: Path, folder: Path, use: Any) -> Iterator[int]:
    """The same by our reader and the same rows, and nothing that remembers where it is."""
    from waycairn.streams.options import ReadOptions
    from waycairn.streams.parsing import Parser
    from waycairn.streams.reader import Reader
    from waycairn.world.clock import SystemClock

    reader = Reader([path], [], Parser(Event), ReadOptions(once=True), SystemClock())
    engine = an_engine(folder)
    with engine.connect() as connection:
        while (taken := reader.take(SIZE)) or not reader.is_drained:
            if taken is None:
                continue
            count = 0
            for portion in taken.portions:
                connection.begin()
                use(connection, portion.events)
                connection.commit()
                count += len(portion.events)
                del portion
            reader.keep(taken)
            del taken
            yield count
    reader.close()
    engine.dispose()


def aggregate() -> Any:
    """Writes the counts of a batch by kind."""
    from collections import Counter

    from sqlalchemy import text

    add = text("INSERT INTO kinds VALUES (:kind, :n) ON CONFLICT (kind) DO UPDATE SET n = n + excluded.n")

    def use(tx: Any, events: Any) -> None:
        counts = Counter([event.kind for event in events])
        tx.execute(add, [{"kind": kind, "n": n} for kind, n in counts.items()])

    return use


def rows_of(inserter: Any) -> Any:
    """Writes a row an event."""
    rows = table("events")

    def use(tx: Any, events: Any) -> None:
        inserter(tx)(rows, [(event.seq, event.ts, event.run, event.kind) for event in events])

    return use


def plain_insert() -> Any:
    """What `tx.insert_many` does, for a connection that is nobody's batch."""
    from waycairn.streams.insert_many import Inserts

    inserts = Inserts()
    return lambda connection: lambda rows, values: inserts.insert(connection, rows, values)


def cost_of_offsets(kind: str, path: Path, folder: Path) -> dict[str, Any]:
    """Two pipelines that differ only in that one commits its offsets, a batch of each in turn: whatever the machine does
    meanwhile, it does to both."""
    uses = {
        "aggregate": (aggregate(), aggregate()),
        "rows": (rows_of(lambda tx: tx.insert_many), rows_of(plain_insert())),
    }
    with_offsets, without = uses[kind]
    for name in ("with", "without"):
        (folder / name).mkdir()
    both = ours(path, folder / "with", with_offsets), uncommitted(path, folder / "without", without)
    seconds = [0.0, 0.0]
    events = 0
    for batch in itertools.count():
        for number, one in enumerate(both):
            started = time.perf_counter()
            count = next(one, 0)
            if batch >= WARM and count == SIZE:  # opening a store and ending a file are no cost of a batch
                seconds[number] += time.perf_counter() - started
                events += count
        if not count:
            break
    batches = events / SIZE / 2
    return {
        "cost": f"{seconds[0] / seconds[1] - 1:.1%}",
        "ms_per_batch": round((seconds[0] - seconds[1]) / batches * 1000, 3),
        "batches": round(batches),
    }


def an_engine(folder: Path) -> Any:
    """As a user would make it for this."""
    from sqlalchemy import create_engine, event

    prepare(folder / "sink.db").close()
    engine = create_engine(f"sqlite:///{folder / 'sink.db'}")
    event.listen(engine, "connect", lambda db, _: db.execute("PRAGMA synchronous = NORMAL").close())
    return engine


def table(name: str) -> Any:
    from sqlalchemy import Column, Float, Integer, MetaData, Table, Text

    columns = [Column("seq", Integer), Column("ts", Float), Column("run", Text), Column("kind", Text)]
    return Table(name, MetaData(), *columns)


def bare_aggregate(path: Path, folder: Path) -> int:
    """The same without offsets."""
    from collections import Counter

    add = "INSERT INTO kinds VALUES (?, ?) ON CONFLICT (kind) DO UPDATE SET n = n + excluded.n"
    return bare(path, folder, lambda db, some: db.executemany(add, Counter([one.kind for one in some]).items()))


def bare_rows(path: Path, folder: Path) -> int:
    """The same without offsets."""
    add = "INSERT INTO events VALUES (?, ?, ?, ?)"
    return bare(
        path, folder, lambda db, some: db.executemany(add, [(one.seq, one.ts, one.run, one.kind) for one in some])
    )


def bare(path: Path, folder: Path, use: Any) -> int:
    from itertools import islice

    db = prepare(folder / "sink.db")
    decode = msgspec.json.Decoder(Event).decode
    count = 0
    with path.open("rb", buffering=1 << 20) as file:
        while lines := list(islice(file, SIZE)):
            events = list(map(decode, lines))
            db.execute("BEGIN IMMEDIATE")
            use(db, events)
            db.execute("COMMIT")
            count += len(events)
    db.close()
    return count


def prepare(path: Path, *, any_thread: bool = False) -> sqlite3.Connection:
    """As a user would make it for this."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=not any_thread)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute(f"CREATE TABLE events ({COLUMNS})")
    db.execute("CREATE TABLE kinds (kind TEXT PRIMARY KEY, n INTEGER)")
    return db


def bytewax_rows(path: Path, folder: Path) -> int:
    """bytewax with recovery, a row an event; what it writes is committed beside its recovery store, not with it."""
    from datetime import timedelta

    from bytewax import operators
    from bytewax.connectors.files import FileSource
    from bytewax.dataflow import Dataflow
    from bytewax.outputs import DynamicSink, StatelessSinkPartition
    from bytewax.recovery import RecoveryConfig, init_db_dir
    from bytewax.testing import cluster_main

    (folder / "recovery").mkdir()
    init_db_dir(folder / "recovery", 1)
    db = prepare(folder / "sink.db", any_thread=True)
    decode = msgspec.json.Decoder(Event).decode

    class Rows(StatelessSinkPartition[Any]):
        def write_batch(self, items: list[Any]) -> None:
            db.execute("BEGIN IMMEDIATE")
            db.executemany(
                "INSERT INTO events VALUES (?, ?, ?, ?)", [(one.seq, one.ts, one.run, one.kind) for one in items]
            )
            db.execute("COMMIT")

    class Sink(DynamicSink[Any]):
        def build(self, *_: object) -> Rows:
            return Rows()

    flow = Dataflow("bench")
    lines = operators.input("lines", flow, FileSource(path, batch_size=SIZE))
    events = operators.flat_map_batch("decode", lines, lambda some: list(map(decode, some)))
    operators.output("rows", events, Sink())
    recovery = RecoveryConfig(str(folder / "recovery"))
    cluster_main(flow, [], 0, epoch_interval=timedelta(seconds=1), recovery_config=recovery)
    (count,) = db.execute("SELECT count(*) FROM events").fetchone()
    db.close()
    return int(count)


CONTENDERS = (
    *(floor, ours_aggregate, bare_aggregate),
    *(ours_rows, bare_rows, ours_rows_sqlalchemy, bytewax_rows),
)


# -- the run -------------------------------------------------------------------------------------------------------------


def one(name: str, path: Path, folder: Path) -> None:
    """One contender in this process."""
    if name.startswith("cost_"):
        print(json.dumps(cost_of_offsets(name.removeprefix("cost_"), path, folder)))
        return
    contender = next(each for each in CONTENDERS if each.__name__ == name)
    few = folder / "few.jsonl"
    with path.open("rb") as file:
        few.write_bytes(b"".join(next(file) for _ in range(10)))
    for part in ("first", "timed"):
        (folder / part).mkdir()
    contender(few, folder / "first")  # what is imported and compiled once is no cost of an event
    started = time.perf_counter()
    count = contender(path, folder / "timed")
    taken = time.perf_counter() - started
    print(json.dumps({"events": count, "seconds": taken, "rss_mib": most_memory() >> 10}))


def most_memory() -> int:
    """KiB that this process had at most; getrusage counts those of its parent, too."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])


def measure(name: str, path: Path) -> dict[str, Any] | None:
    folder = scratch("streams-sink")
    try:
        done = subprocess.run(
            [sys.executable, __file__, "one", name, str(path), str(folder)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            skip("streams", f"{name}: {done.stderr.strip().splitlines()[-1]}")
            return None
        return json.loads(done.stdout.splitlines()[-1])
    finally:
        shutil.rmtree(folder)


def main() -> None:
    given = arguments()
    size = (32 if given.quick else given.mib) << 20
    path = scratch("streams") / "events.jsonl"
    count = write_events(path, size)
    path.read_bytes()
    wanted = given.only.split(",") if given.only else [each.__name__ for each in CONTENDERS]
    speeds: dict[str, list[float]] = {name: [] for name in wanted}
    most: dict[str, int] = {}
    for _ in range(given.rounds):
        for name in wanted:
            if (found := measure(name, path)) is not None:
                assert found["events"] == count, (name, found)
                speeds[name].append(count / found["seconds"])
                most[name] = max(most.get(name, 0), found["rss_mib"])
    medians = {name: median(values) for name, values in speeds.items() if values}
    for name, speed in medians.items():
        against = {"of_floor": round(speed / medians["floor"], 2)} if "floor" in medians else {}
        report("streams", contender=name, events_per_s=round(speed), rss_mib=most[name], **against)
    for kind in ("aggregate", "rows"):
        if (mine := medians.get(f"ours_{kind}")) and (theirs := medians.get(f"bare_{kind}")):
            report("streams", cost=f"{theirs / mine - 1:.1%}", of=f"ours_{kind}", over=f"bare_{kind}", mib=size >> 20)
        if f"ours_{kind}" in wanted and (found := measure(f"cost_{kind}", path)) is not None:
            report("streams", of=f"ours_{kind}", over="the same without offsets", **found)
    os.unlink(path)


if __name__ == "__main__":
    if sys.argv[1:2] == ["one"]:
        one(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
    else:
        main()
