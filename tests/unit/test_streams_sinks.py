"""Sinks: rows and offsets together or not at all, whatever happens between begin and COMMIT."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

import streams_case
from programme.server import by_port
from streams_case import (
    NOW,
    RUN,
    a_generation,
    a_step,
    address_of,
    an_engine,
    armed,
    assert_nothing_moved,
    moved_to,
    rows,
    seen,
    standing,
    write,
)
from tcp_proxy import Proxy
from waycairn.errors import (
    CommitUnknown,
    OwnershipLost,
    StoreUnreachable,
)
from waycairn.streams.async_sink import AsyncEngineSink
from waycairn.streams.records import Holder
from waycairn.streams.sinks import EngineSink

TESTS = Path(streams_case.__file__).parent


@pytest.fixture
def engine(tmp_path):
    with an_engine(f"sqlite:///{tmp_path}/sink.db?timeout=0.2") as engine:
        yield engine


@pytest.fixture
def sink(engine):
    sink = EngineSink(engine)
    yield sink
    sink.close()


# -- crash points ---------------------------------------------------------------------------------------------------

POINTS = {
    "engine": ["stream.begin", "stream.rows", "stream.offsets", "stream.commit", "stream.committed"],
    "file": [
        "stream.begin",
        "stream.rows",
        "stream.sink.written",
        "stream.sink.flushed",
        "stream.offsets",
        "stream.commit",
        "stream.committed",
    ],
    "callback": ["stream.begin", "stream.delivered", "stream.offsets", "stream.commit", "stream.committed"],
}


@pytest.mark.parametrize("point", POINTS["engine"])
def test_an_error_at_any_point_leaves_all_or_nothing(engine, sink, point):
    """Rows and offsets agree; opened again, the stream goes on."""
    sink.open("logs", RUN, now=NOW)
    sink.begin().commit(a_step([a_generation()]))
    with armed(point), pytest.raises(OSError, match=point):
        batch = sink.begin()
        write(batch, (1, "one"))
        batch.commit(a_step([moved_to(a_generation(), 10)], {1: 0}))
    is_there = point == "stream.committed"
    assert bool(seen(engine)) == is_there
    assert standing(engine).generations[0].offset == (10 if is_there else 0)
    at = sink.open("logs", RUN, now=NOW).generations[0]
    batch = sink.begin()
    write(batch, (2, "two"))
    batch.commit(a_step([moved_to(at, 20)], {1: at.offset}))
    assert seen(engine)[-1] == (2, "two")


def run_victim(kind, folder, epoch, crash=None):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])}
    if crash:
        environment["WAYCAIRN_CRASH"] = crash
    command = [sys.executable, str(TESTS / "streams_victim.py"), kind, f"sqlite:///{folder}/sink.db", str(folder)]
    return subprocess.run([*command, str(epoch), "50"], env=environment, check=False).returncode


@pytest.mark.parametrize("kind", ["engine", "file", "callback"])
def test_killed_at_every_point(tmp_path, kind):
    """One process after the other dies at the next point; the last one finishes. Nothing is lost or there twice."""
    with an_engine(f"sqlite:///{tmp_path}/sink.db") as engine:
        for epoch, point in enumerate(POINTS[kind], 1):
            assert run_victim(kind, tmp_path, epoch, f"{point}@{1 + epoch % 2}:KILL") == -signal.SIGKILL
        assert run_victim(kind, tmp_path, 99) == 0
        words = [(number, f"word {number}") for number in range(1, 51)]
        if kind == "engine":
            assert seen(engine) == words
        if kind == "file":
            assert (tmp_path / "out.txt").read_text() == "".join(f"{word}\n" for _, word in words)
        if kind == "callback":
            lines = (tmp_path / "delivered.txt").read_text().splitlines()
            assert len(set(lines)) < len(lines), "at least once: some came again, with the same key"
            keyed = dict(line.split(" ", 1) for line in lines)
            numbers = [int(number) for events in keyed.values() for number in events.split()]
            assert sorted(numbers) == list(range(1, 51))


# -- two at once ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_holder_in_the_middle_of_a_batch_is_waited_for(request, tmp_path, database):
    """The one that takes over begins where that batch ended, committed or not: never in between."""
    url = f"sqlite:///{tmp_path}/sink.db?timeout=5"
    if database == "postgresql":
        url = address_of(request.getfixturevalue("postgres_schema"))

    async def both(first, second):
        first.open("logs", RUN, now=NOW)
        batch = first.begin()
        write(batch, (1, "one"))
        claim = asyncio.create_task(asyncio.to_thread(second.open, "logs", Holder("run1", 2), now=NOW))
        await asyncio.sleep(0.3)
        assert not claim.done()
        batch.commit(a_step([moved_to(a_generation(), 10)]))
        return await claim

    with an_engine(url) as engine:
        first, second = EngineSink(engine), EngineSink(engine)
        taken = asyncio.run(both(first, second))
        assert taken.generations[0].offset == 10
        with pytest.raises(OwnershipLost):
            first.begin()
        first.close()
        second.close()


# -- a connection that is lost --------------------------------------------------------------------------------------


@pytest.fixture
def proxied(postgres_server, postgres_schema):
    """A sink behind a proxy, and an engine that is not."""
    proxy = Proxy(postgres_server.socket)
    with an_engine(address_of(postgres_schema)) as direct:
        engine = sa.create_engine(address_of(by_port(postgres_schema, proxy.port)))
        sink = EngineSink(engine, deadline=1.0)
        sink.open("logs", RUN, now=NOW)
        sink.begin().commit(a_step([a_generation()]))
        yield proxy, sink, direct
        sink.close()
        engine.dispose()
    proxy.close()


def test_a_lost_reply_to_commit_is_settled(proxied):
    """The server committed, and the connection broke: nothing is done twice, nothing is raised."""
    proxy, sink, direct = proxied
    batch = sink.begin()
    write(batch, (1, "one"))
    proxy.misbehave("lose reply", b"COMMIT")
    then = moved_to(a_generation(), 10)
    batch.commit(a_step([then], {1: 0}))
    assert proxy.acted == 1
    assert (seen(direct), standing(direct).generations) == ([(1, "one")], [then])
    sink.begin().commit(a_step([moved_to(then, 20)], {1: 10}))


def test_a_commit_that_never_arrived_is_told(proxied):
    """The connection broke before: the batch is not there, and that is certain."""
    proxy, sink, direct = proxied
    batch = sink.begin()
    write(batch, (1, "one"))
    proxy.misbehave("reset", b"COMMIT")
    with pytest.raises(StoreUnreachable, match="Nothing of this batch"):
        batch.commit(a_step([moved_to(a_generation(), 10)], {1: 0}))
    proxy.heal()
    assert_nothing_moved(direct, sink)


def test_nobody_knows(proxied):
    """The reply was lost and the server cannot be asked: that is what is raised, and opening again tells."""
    proxy, sink, direct = proxied
    batch = sink.begin()
    write(batch, (1, "one"))
    proxy.misbehave("lose reply", b"COMMIT")
    sink._ledger._pause = lambda _: proxy.misbehave("reset", b"", times=1000)
    original = sink._ledger._connected

    def refused():
        proxy.misbehave("reset", b"", times=1000)
        return original()

    sink._ledger._connected = refused
    with pytest.raises(CommitUnknown, match="run the job again"):
        batch.commit(a_step([moved_to(a_generation(), 10)], {1: 0}))
    sink._ledger._connected = original
    proxy.heal()
    assert sink.open("logs", RUN, now=NOW).generations[0].offset == 10
    assert seen(direct) == [(1, "one")]


def test_a_connection_that_was_ended_while_idle_is_replaced(proxied):
    """Between two batches nobody notices."""
    _, sink, direct = proxied
    with direct.connect() as admin:
        admin.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                " AND backend_type = 'client backend' AND query ~ 'waycairn|COMMIT'"
            )
        )
    sink.begin().commit(a_step([moved_to(a_generation(), 10)], {1: 0}))
    assert standing(direct).generations[0].offset == 10


# -- awaited  ----------------------------------------------------------------------------------------------------


class Word(msgspec.Struct):
    id: int
    word: str


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_an_asynchronous_engine(request, tmp_path, database):
    """The same sink, awaited: rows, COPY, fencing, errors."""
    url = f"sqlite+aiosqlite:///{tmp_path}/sink.db"
    if database == "postgresql":
        url = address_of(request.getfixturevalue("postgres_schema"))
    else:
        pytest.importorskip("aiosqlite")

    async def story():
        engine = create_async_engine(url)
        async with engine.begin() as connection:
            await connection.run_sync(streams_case.metadata.create_all)
        sink = AsyncEngineSink(engine)
        await sink.open("logs", RUN, parser="json", now=NOW)
        batch = await sink.begin()
        await batch.user.execute(sa.insert(rows), [{"id": 1, "word": "one"}])
        await batch.user.insert_many(rows, [Word(2, "two"), Word(3, "three")])
        assert await batch.user.scalar(sa.select(sa.func.count()).select_from(rows)) == 3
        assert list(await batch.user.scalars(sa.select(rows.c.id).order_by(rows.c.id))) == [1, 2, 3]
        assert await batch.user.run_sync(lambda connection, add: connection.scalar(sa.text("SELECT 4")) + add, 1) == 5
        await batch.commit(a_step([a_generation()]))
        batch = await sink.begin()
        await batch.user.insert_many(rows, [Word(9, "nine")])
        await batch.rollback()
        await sink.barrier()
        other = AsyncEngineSink(engine)
        taken = await other.open("logs", Holder("run1", 2), now=NOW)
        with pytest.raises(OwnershipLost):
            await sink.begin()
        await sink.close()
        await other.close()
        async with engine.connect() as connection:
            found = (await connection.execute(sa.select(rows).order_by(rows.c.id))).all()
        await engine.dispose()
        return taken, [tuple(row) for row in found]

    taken, found = asyncio.run(story())
    assert taken.generations == [a_generation()]
    assert found == [(1, "one"), (2, "two"), (3, "three")]
