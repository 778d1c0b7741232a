"""Jobs that follow files into a sink: a database beside which a state rides, a file, and a function."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa

import waycairn as wc
from crash.common import Acks, Told, Workload, looking
from waycairn.errors import WriteFailed

SINK = Path("sink.db")
LIVING, ROTATED = Path("logs/app.jsonl"), Path("logs/app.jsonl.1")
EARLIER, LATER = range(1, 12), range(12, 20)
"""Events before the file is rotated, and after it."""
NO_EVENT = 5
"""After this one comes a line that is none."""
BATCH = 4

_INSERT = sa.text("INSERT INTO events VALUES (:number)")


def lay_logs() -> None:
    """What another program logs, durably, whoever dies while it does."""
    LIVING.parent.mkdir(exist_ok=True)
    if not LIVING.exists() and not ROTATED.exists():
        _lay(EARLIER)


def rotate_logs() -> None:
    """The file gets another name, and a new one takes its place."""
    if not ROTATED.exists():
        LIVING.rename(ROTATED)
        _flush(LIVING.parent)  # else a power cut may keep only the rename below, over the file that is not renamed yet
    if not LIVING.exists():
        _lay(LATER)


def _lay(numbers: Sequence[int]) -> None:
    new = LIVING.with_name("new")
    with new.open("w") as file:
        for number in numbers:
            file.write(json.dumps({"number": number}) + "\n")
            if number == NO_EVENT:
                file.write('{"number": \n')
        file.flush()
        os.fsync(file.fileno())
    new.rename(LIVING)
    _flush(LIVING.parent, Path())


def _flush(*folders: Path) -> None:
    for folder in folders:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


# -- into a database, with a state ---------------------------------------------------------------------------------


def follow_into_a_database(store: wc.Store, told: Told) -> None:
    """In which every commit survives a power cut."""
    _follow_into(store, told, "FULL")


def follow_carelessly(store: wc.Store, told: Told) -> None:
    """A power cut may take the newest commits of the sink back, rows and offsets together: nothing is told of them."""
    del told
    _follow_into(store, lambda _: None, "NORMAL")


def _follow_into(store: wc.Store, told: Told, synchronous: str) -> None:
    engine = sa.create_engine(f"sqlite:///{SINK}")
    sa.event.listen(engine, "connect", lambda db, _: db.execute(f"PRAGMA synchronous = {synchronous}").close())
    try:
        with _own_statements(), engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
            connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS events (number INTEGER)")
        lay_logs()
        for prepare in (lambda: None, rotate_logs):
            prepare()
            _follow(store, engine, told)
    finally:
        engine.dispose()


def _follow(store: wc.Store, engine: sa.Engine, told: Told) -> None:
    with store.run("follow", pace="2 items") as run:
        totals = run.state({"count": 0, "sum": 0})
        for batch in run.follow(f"{LIVING}*", sink=engine, batch=BATCH, once=True):
            with batch as transaction:
                with _own_statements():
                    transaction.execute(_INSERT, batch.events)
                totals["count"] += len(batch.events)
                totals["sum"] += sum(event["number"] for event in batch.events)
            told(f"event {totals['count']}")


@contextmanager
def _own_statements() -> Iterator[None]:
    """What a user's own statements raise is the driver's; told as a job would that knows what it is."""
    try:
        yield
    except sa.exc.DatabaseError as error:
        raise WriteFailed(f"a statement of the job: {error.orig}") from error


def check_database(store: wc.Store, acks: Acks) -> None:
    del store
    numbers = _asked("SELECT number FROM events ORDER BY rowid")
    _check_numbers([number for (number,) in numbers], acks)
    ledger = _asked("SELECT events, dead FROM waycairn_streams")
    count, dead = ledger[0] if ledger else (0, 0)
    assert count == len(numbers), "rows and offsets are of one commit"
    assert dead == len(_asked("SELECT 1 FROM waycairn_dead_letters")) == (count >= NO_EVENT), (
        "the line that is no event"
    )


def _check_numbers(numbers: Sequence[int], acks: Acks) -> None:
    assert list(numbers) == list(range(1, len(numbers) + 1)), f"lost, doubled or out of order: {numbers}"
    assert len(numbers) >= acks.get("event", 0), f"{acks} acknowledged, {len(numbers)} there"


def _asked(query: str, database: Path = SINK) -> list[Any]:
    """Nothing, as long as there is no such table."""
    if not database.exists():
        return []
    with looking() as folder:  # a database with a log cannot be opened where there is no room
        for path in database.parent.glob(f"{database.name}*"):
            if not path.name.endswith("-shm"):
                shutil.copy(path, folder)
        with closing(sqlite3.connect(Path(folder, database.name))) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            with suppress(sqlite3.OperationalError):
                return connection.execute(query).fetchall()
    return []


# -- into a file ---------------------------------------------------------------------------------------------------

COLLECTED = Path("collected.txt")


def collect_into_a_file(store: wc.Store, told: Told) -> None:
    lay_logs()
    for prepare in (lambda: None, rotate_logs):
        prepare()
        done = 0
        with store.run("collect") as run:
            for batch in run.follow(f"{LIVING}*", sink=COLLECTED, batch=BATCH, once=True):
                with batch as file:
                    for event in batch.events:
                        file.write(f"{event['number']}\n")
                done = batch.events[-1]["number"]
                told(f"event {done}")


def check_file(store: wc.Store, acks: Acks) -> None:
    """What is committed is the beginning of the file; more may follow."""
    del store
    whole = COLLECTED.read_text() if COLLECTED.exists() else ""
    numbers = [int(line) for line in whole.split("\n")[:-1]]
    _check_numbers(numbers, acks)


# -- into a function: at least once, with a key by which once is enough -----------------------------------------------

DELIVERED = Path("delivered")


def deliver_to_a_function(store: wc.Store, told: Told) -> None:
    lay_logs()
    DELIVERED.mkdir(exist_ok=True)
    for prepare in (lambda: None, rotate_logs):
        prepare()
        with store.run("deliver") as run:
            for batch in run.follow(f"{LIVING}*", sink=_deliver, batch=BATCH, once=True):
                with batch:
                    pass
                told(f"event {batch.events[-1]['number']}")


def _deliver(events: Sequence[dict[str, int]], key: str) -> None:
    """Named by its key: what comes again takes its own place."""
    file = DELIVERED / key.replace(":", " ")
    new = file.with_suffix(".new")
    with new.open("w") as written:
        json.dump([event["number"] for event in events], written)
        written.flush()
        os.fsync(written.fileno())
    new.rename(file)
    _flush(DELIVERED, Path())


def check_delivered(store: wc.Store, acks: Acks) -> None:
    del store
    batches = [json.loads(path.read_text()) for path in DELIVERED.glob("*") if path.suffix != ".new"]
    _check_numbers(sorted(number for batch in batches for number in batch), acks)


# -- what such a job ends with ---------------------------------------------------------------------------------------


def sink_outcome(database: Path) -> dict[str, Any]:
    """What stands in the tables of a sink, but for ids, times and what depends on how it was cut into batches."""
    queries = {
        "rows": "SELECT number FROM events ORDER BY rowid",
        "counts": "SELECT name, events, dead, skipped, blank, bytes, sink_length FROM waycairn_streams ORDER BY name",
        "files": "SELECT stream, id, offset FROM waycairn_generations ORDER BY stream, id",
        "dead letters": 'SELECT stream, "offset", length, kind FROM waycairn_dead_letters ORDER BY id',
        "states": "SELECT stream, state FROM waycairn_stream_states ORDER BY stream",
    }
    return {name: repr(_asked(query, database)) for name, query in queries.items()}


WORKLOADS = {
    "follow": Workload(follow_into_a_database, check_database),
    "careless": Workload(follow_carelessly, check_database, is_flushed=False),
    "collect": Workload(collect_into_a_file, check_file),
    "deliver": Workload(deliver_to_a_function, check_delivered),
}
