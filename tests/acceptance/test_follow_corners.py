"""Corners of `run.follow` where files, sinks, states and cancelled tasks meet: each was wrong once."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import time

import pytest
import sqlalchemy as sa

import waycairn as wc
from streamed import Stream, lines
from waycairn.errors import FilesUnreadable, StreamError, TooManyDeadLetters
from waycairn.streams.ledger_connection import LedgerConnection
from waycairn.streams.rereading import Rereading

INSERT = sa.text("INSERT INTO rows VALUES (:number)")


@pytest.fixture
def engine(tmp_path):
    made = an_engine(tmp_path / "sink.db")
    yield made
    made.dispose()


def an_engine(path):
    made = sa.create_engine(f"sqlite:///{path}")
    with made.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE rows (number INTEGER)")
    return made


@pytest.fixture
def store(tmp_path):
    with wc.open(tmp_path / "store") as opened:
        yield opened


def write(path, *numbers):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.writelines(json.dumps({"number": number}) + "\n" for number in numbers)


def take_all(store, paths, engine, *, run="job", **how):
    with store.run(run) as entered:
        for batch in entered.follow(paths, sink=engine, once=True, **how):
            with batch as tx:
                tx.execute(INSERT, batch.events)


def rows(engine):
    with engine.connect() as connection:
        return sorted(connection.scalars(sa.text("SELECT number FROM rows")))


# -- batches that come again -----------------------------------------------------------------------------------------


def test_a_batch_across_a_mark(tmp_path):
    """What lies on both sides of 64 MiB is undone and read again, as any other."""
    with Stream(tmp_path, batch=200) as stream:
        stream.write(b"".join(lines(number, pad=1_000_000) for number in range(70)))
        stream.reader.look()
        while taken := stream.reader.take(stream.batch):
            for portion in taken.portions:
                assert portion.events
            stream.reader.put_back(taken)
            stream.keep(stream.reader.take(stream.batch))
        assert stream.numbers() == list(range(70))
        [checked] = Rereading(stream.patterns, list(stream.stored.values())).check()
        assert (checked.marks, checked.changed) == (3, [])


def test_a_refused_event_does_not_wait_for_other_files(tmp_path, store, engine):
    """It is found within a few small batches, and lines of other files count for max_dead_ratio as ever."""
    write(tmp_path / "a.jsonl", *range(500), 1 << 70, *range(501, 600))
    write(tmp_path / "b.jsonl", *range(1000, 6000))
    refusals = []
    with store.run("job") as run:
        for batch in run.follow(tmp_path / "*.jsonl", sink=engine, batch=400, once=True):
            try:
                with batch as tx:
                    tx.execute(INSERT, batch.events)
            finally:
                refusals += [0] if not batch.is_done else []
    assert len(refusals) < 15
    assert rows(engine) == [*range(500), *range(501, 600), *range(1000, 6000)]
    with (tmp_path / "b.jsonl").open("a") as file:
        file.write('{"number": 1}\nnonsense\n' * 1000)
    write(tmp_path / "a.jsonl", 1 << 70)
    with pytest.raises(TooManyDeadLetters):
        take_all(store, tmp_path / "*.jsonl", engine, batch=400, max_dead_ratio=0.05)


# -- files ---------------------------------------------------------------------------------------------------------


def test_a_link_that_cannot_be_followed_hides_no_other_file(tmp_path, store, engine):
    """Where a pattern has wildcards for directories, too."""
    logs = tmp_path / "logs"
    write(logs / "a" / "app.jsonl", 1)
    (logs / "loop").symlink_to(logs / "loop")
    for pattern in ("*/app.jsonl", "**/app.jsonl"):
        write(logs / "a" / "app.jsonl", 2)
        with pytest.raises(FilesUnreadable, match="loop cannot be looked at"):
            take_all(store, logs / pattern, engine, name="logs")
    (logs / "loop").unlink()
    take_all(store, logs / "*/app.jsonl", engine, name="logs")
    assert rows(engine) == [1, 2, 2]


def test_bytes_that_cannot_be_read(tmp_path, store, engine, monkeypatch):
    """In the middle of a file that opens well: `once` reads all others and then says so, in its time."""
    write(tmp_path / "a.jsonl", *range(100_000))
    write(tmp_path / "b.jsonl", *range(100_000, 100_010))
    real = os.pread

    def pread(handle, count, place):
        if place >= 1 << 20 and os.readlink(f"/proc/self/fd/{handle}").endswith("a.jsonl"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(handle, count, place)

    with monkeypatch.context() as broken:
        broken.setattr(os, "pread", pread)
        with pytest.raises(FilesUnreadable, match="Input/output error"):
            take_all(store, tmp_path / "*.jsonl", engine)
    assert set(range(100_000, 100_010)) <= set(rows(engine))
    take_all(store, tmp_path / "*.jsonl", engine)
    assert rows(engine) == list(range(100_010))


def test_once_ends_when_every_file_is_known(tmp_path, store, engine):
    """Two files that both begin like one that went away: what is more in the second is read as well."""
    write(tmp_path / "app.jsonl", 1, 2, 3)
    take_all(store, tmp_path / "*.jsonl", engine)
    (tmp_path / "app.jsonl").unlink()
    write(tmp_path / "m.jsonl", 1, 2, 3, 4)
    write(tmp_path / "n.jsonl", 1, 2, 3, 4, 5)
    take_all(store, tmp_path / "*.jsonl", engine)
    assert set(rows(engine)) == {1, 2, 3, 4, 5}


def test_verify_after_a_truncation(tmp_path):
    """What was followed through a copytruncate is no difference."""
    with Stream(tmp_path, "app.jsonl*") as stream:
        stream.write(lines(1, 2, 3))
        stream.read()
        (tmp_path / "app.jsonl.1").write_bytes((tmp_path / "app.jsonl").read_bytes())
        stream.write(lines(4), mode="wb")
        stream.read()
        checked = list(Rereading(stream.patterns, list(stream.stored.values())).check())
        assert len(checked) > 1
        assert not any(one.changed or one.error for one in checked)


# -- states --------------------------------------------------------------------------------------------------------


def count(store, paths, sink, **how):
    with store.run("job") as run:
        state = run.state({"n": 0})
        for batch in run.follow(paths, sink=sink, once=True, **how):
            with batch:
                state["n"] += len(batch.events)
    return state["n"]


def test_a_state_belongs_to_one_sink(tmp_path, store, engine):
    """Into another one, or under another name, all would be read again and counted twice."""
    write(tmp_path / "a.jsonl", 1, 2, 3)
    assert count(store, tmp_path / "a.jsonl", engine) == 3
    other = an_engine(tmp_path / "other.db")
    for sink, how in ((other, {}), (engine, {"name": "another"})):
        with pytest.raises(StreamError, match="counted twice"):
            count(store, tmp_path / "a.jsonl", sink, **how)
    other.dispose()
    assert count(store, tmp_path / "a.jsonl", engine) == 3


def test_a_state_belongs_to_one_loop(tmp_path, store, engine):
    """What a second one changes would be lost: it lies beside the offsets of the first."""
    write(tmp_path / "a.jsonl", 1)
    with store.run("job") as run:
        run.state({"n": 0})
        for batch in run.follow(tmp_path / "a.jsonl", sink=engine, once=True):
            with batch:
                pass
        with pytest.raises(ValueError, match="second one in a run that follows files beside a state"):
            next(iter(run.each(range(3))))
        with pytest.raises(ValueError, match="second one"):
            next(iter(run.follow(tmp_path / "a.jsonl", sink=engine, name="second", once=True)))


# -- tasks -----------------------------------------------------------------------------------------------------------


def test_a_batch_whose_task_is_cancelled_in_its_commit(tmp_path, engine, monkeypatch):
    """The thread that commits is waited for: what it did counts, and the loop goes on behind it."""
    write(tmp_path / "a.jsonl", *range(50))
    real, slow = LedgerConnection.settle, [True]

    def settle(self, step):
        if slow and step.counts.events:
            slow.clear()
            time.sleep(0.5)
        real(self, step)

    monkeypatch.setattr(LedgerConnection, "settle", settle)
    cancelled = []

    async def story():
        async with wc.open(tmp_path / "store").run("job") as run:
            async for batch in run.follow(tmp_path / "a.jsonl", sink=engine, batch=20, once=True):
                try:
                    async with asyncio.timeout(0.2), batch as tx:
                        tx.execute(INSERT, batch.events)
                except TimeoutError:
                    cancelled.append(batch.is_done)

    asyncio.run(story())
    assert cancelled == [True]
    assert rows(engine) == list(range(50))
