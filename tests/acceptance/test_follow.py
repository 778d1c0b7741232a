"""`run.follow`: rows, offsets and the state of the run are committed together, whatever happens."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import create_engine, text

import following_job
import waycairn as wc
from killing import sweep
from waycairn.errors import FilesUnreadable, LineUnusable, StreamError, TooManyDeadLetters
from waycairn.world import crashpoints

JOB = Path(__file__).parent.parent / "following_job.py"


class Event(msgspec.Struct):
    seq: int
    kind: str = ""


@dataclass
class Totals:
    events: int = 0
    kinds: dict[str, int] = field(default_factory=dict)


def write_lines(path, numbers, mode="ab"):
    path.parent.mkdir(exist_ok=True)
    with path.open(mode) as file:
        file.writelines(b'{"seq": %d, "kind": "k%d"}\n' % (number, number % 3) for number in numbers)


@pytest.fixture
def engine(tmp_path):
    """A database of a user, with a table."""
    engine = create_engine(f"sqlite:///{tmp_path / 'sink.db'}")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE rows (seq INTEGER)"))
    yield engine
    engine.dispose()


@pytest.fixture
def store(tmp_path):
    with wc.open(tmp_path / "store") as store:
        yield store


def take_all(run, paths, engine, **how):
    """Rows of all that is there."""
    for batch in run.follow(paths, sink=engine, schema=Event, once=True, **how):
        with batch as tx:
            tx.execute(text("INSERT INTO rows VALUES (:seq)"), [{"seq": event.seq} for event in batch.events])


def rows(engine):
    with engine.connect() as connection:
        return [seq for (seq,) in connection.execute(text("SELECT seq FROM rows ORDER BY rowid"))]


# -- what is committed ---------------------------------------------------------------------------------------------------


def test_what_was_read_is_not_read_again(tmp_path, store, engine):
    """Lines that are new are read when the run is entered again, and those only."""
    log = tmp_path / "logs" / "app.jsonl"
    write_lines(log, range(25))
    for size in (10, 7):
        with store.run("job") as run:
            take_all(run, tmp_path / "logs" / "*.jsonl", engine, batch=size)
        assert rows(engine) == list(range(25))
    write_lines(log, range(25, 40))
    with store.run("job") as run:
        take_all(run, tmp_path / "logs" / "*.jsonl", engine)
    assert rows(engine) == list(range(40))
    assert store.find("job").progress.done == 40


def test_a_file_that_cannot_be_read(tmp_path, store, engine):
    """`once` reads all others, and does not end as if that one had been read. Case 30."""
    logs = tmp_path / "logs"
    write_lines(logs / "good.jsonl", range(3))
    (logs / "loop.jsonl").symlink_to(logs / "loop.jsonl")
    said = r"loop\.jsonl cannot be looked at.*All else that was there is committed"
    with pytest.raises(FilesUnreadable, match=said), store.run("job") as run:
        take_all(run, logs / "*.jsonl", engine)
    assert rows(engine) == [0, 1, 2]
    assert store.find("job").status == "failed"
    (logs / "loop.jsonl").unlink()
    write_lines(logs / "loop.jsonl", range(3, 5))
    with store.run("job") as run:
        take_all(run, logs / "*.jsonl", engine)
    assert rows(engine) == list(range(5))


def program(place: Path) -> object:
    """Follows two files with a state; killed between any two of its lines."""
    for name, numbers in (("a", range(12)), ("b", range(100, 112))):
        if not (place / "logs" / f"{name}.jsonl").exists():
            write_lines(place / "logs" / f".{name}", numbers)
            (place / "logs" / f".{name}").rename(place / "logs" / f"{name}.jsonl")
    engine = create_engine(f"sqlite:///{place / 'sink.db'}")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS rows (seq INTEGER)"))
    with wc.open(place / "store") as store, store.run("job") as run:
        totals = run.state(Totals())
        for batch in run.follow(place / "logs" / "*.jsonl", sink=engine, schema=Event, batch=5, once=True):
            with batch as tx:
                for event in batch.events:
                    totals.events += 1
                    totals.kinds[event.kind] = totals.kinds.get(event.kind, 0) + 1
                    tx.execute(text("INSERT INTO rows VALUES (:seq)"), {"seq": event.seq})
    found = sorted(rows(engine))
    engine.dispose()
    return [found, totals.events, sorted(totals.kinds.items())]


def test_killed_between_any_two_lines(tmp_path):
    """Rows and state are those of an undisturbed run: each line once."""
    (tmp_path / "first").mkdir()
    program(tmp_path / "first")  # imports everything
    done = sweep(program, tmp_path, stride=6)
    assert done.kills > 15
    assert program(tmp_path / "golden") == [[*range(12), *range(100, 112)], 24, [("k0", 8), ("k1", 8), ("k2", 8)]]


def run_job(place, *options, **environment):
    """The job in a process of its own; its exit code."""
    words = [sys.executable, str(JOB), str(place), *options]
    done = subprocess.run(words, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    assert done.returncode in {0, -signal.SIGKILL}, done.stderr
    return done.returncode


def seen(place):
    """What the job left: rows with how often they are there, dead letters, the counts beside them."""
    with closing(sqlite3.connect(place / "sink.db")) as database:
        found = [seq for (seq,) in database.execute("SELECT seq FROM rows ORDER BY seq")]
        dead = database.execute("SELECT count(*) FROM waycairn_dead_letters").fetchone()[0]
        counted = database.execute("SELECT coalesce(sum(events), 0) FROM waycairn_streams").fetchone()[0]
    return found, dead, counted


def in_a_child(place, point=None, hit=1):
    """The job in a forked process, armed at a crash point; its process id."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        if point:
            crashpoints.arm(point, hit, "KILL")
        following_job.main(place, 10, once=True)
        code = 0
    finally:
        os._exit(code)


def ended(child):
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in {0, -signal.SIGKILL}
    return code == -signal.SIGKILL


def test_killed_again_and_again(tmp_path):
    """At its crash points and at random: no line is lost, none is there twice, dead letters neither."""
    log = tmp_path / "logs" / "app.jsonl"
    write_lines(log, range(300))
    with log.open("ab") as file:
        file.write(b"broken\n")
    following_job.main(tmp_path, 10, once=True)  # imports everything, which no child needs to do then
    chance = random.Random(5)
    points = ("stream.begin", "stream.rows", "stream.offsets", "stream.commit", "stream.committed")
    kills, written = 0, 300
    while kills < 15:
        write_lines(log, range(written, written + 20))
        written += 20
        kills += ended(in_a_child(tmp_path, chance.choice(points), chance.randrange(1, 4)))
    while kills < 25:
        write_lines(log, range(written, written + 2000))
        written += 2000
        child = in_a_child(tmp_path)
        time.sleep(chance.uniform(0.02, 0.3))
        os.kill(child, signal.SIGKILL)
        kills += ended(child)
    assert not ended(in_a_child(tmp_path))
    assert seen(tmp_path) == (list(range(written)), 1, written)


def test_stopped_by_a_signal(tmp_path):
    """SIGTERM while it waits for lines: it leaves with 143, and goes on later."""
    write_lines(tmp_path / "logs" / "app.jsonl", range(10))
    process = subprocess.Popen([sys.executable, str(JOB), str(tmp_path), "100", "follow"])
    wait_for(lambda: (tmp_path / "sink.db").exists() and seen_or_none(tmp_path) == 10)
    write_lines(tmp_path / "logs" / "app.jsonl", range(10, 20))
    wait_for(lambda: seen_or_none(tmp_path) == 20)
    process.terminate()
    assert process.wait(10) == 143
    assert run_job(tmp_path) == 0
    assert seen(tmp_path)[0] == list(range(20))


def test_a_process_that_slept_while_another_took_over(tmp_path):
    """A stopped process is not dead: when it goes on, it changes nothing and ends. Case 26."""
    log = tmp_path / "logs" / "app.jsonl"
    write_lines(log, range(10))
    sleeper = subprocess.Popen(
        [sys.executable, str(JOB), str(tmp_path), "5", "follow", "first"], stderr=subprocess.PIPE
    )
    wait_for(lambda: (tmp_path / "sink.db").exists() and seen_or_none(tmp_path) == 10)
    sleeper.send_signal(signal.SIGSTOP)
    write_lines(log, range(10, 20))
    assert run_job(tmp_path, "5", "once", "second") == 0
    assert seen(tmp_path)[0] == list(range(20))
    write_lines(log, range(20, 30))
    sleeper.send_signal(signal.SIGCONT)
    _, told = sleeper.communicate(timeout=20)
    assert sleeper.returncode == 1
    assert b"OwnershipLost: the stream 'job' was taken over" in told
    assert seen(tmp_path)[0] == list(range(20))
    assert run_job(tmp_path, "5", "once", "second") == 0
    assert seen(tmp_path)[0] == list(range(30))


def test_a_sink_that_was_made_anew(tmp_path, store, engine, caplog):
    """A state that has counted the lines is not given to a stream that would count them again. Rule 29."""
    log = tmp_path / "logs" / "app.jsonl"
    write_lines(log, range(10))

    def count(name, *, with_state):
        with store.run(name) as run:
            totals = run.state(Totals()) if with_state else Totals()
            for batch in run.follow(log, sink=engine, schema=Event, once=True):
                with batch:
                    totals.events += len(batch.events)
        return totals.events

    assert count("counted", with_state=True) == count("uncounted", with_state=False) == 10
    with engine.begin() as connection:
        for table in ("streams", "stream_states", "generations"):
            connection.execute(text(f"DELETE FROM waycairn_{table}"))
    with pytest.raises(StreamError, match=r"knows nothing of the stream 'counted'(?s:.*)waycairn discard"):
        count("counted", with_state=True)
    assert count("uncounted", with_state=False) == 10
    assert "is read from its beginning" in caplog.text
    store.discard("counted")
    assert count("counted", with_state=True) == 10


def seen_or_none(place):
    try:
        return len(seen(place)[0])
    except sqlite3.OperationalError:
        return None


def wait_for(what, seconds=20):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_a_sink_that_is_older_than_the_run(tmp_path, store, engine):
    """As a power cut or a backup leaves it: rows and offsets went back together, so the lines are read again; the run
    counts what the sink has."""
    log, kept = tmp_path / "a.jsonl", tmp_path / "kept.db"
    for end in (4, 10):
        write_lines(log, range(end - 6 if end == 10 else 0, end))
        with store.run("job") as run:
            take_all(run, log, engine)
        if end == 4:
            with closing(sqlite3.connect(tmp_path / "sink.db")) as database, closing(sqlite3.connect(kept)) as copy:
                database.backup(copy)
    engine.dispose()
    kept.replace(tmp_path / "sink.db")
    with store.run("job") as run:
        take_all(run, log, engine)
    assert rows(engine) == list(range(10))
    assert store.find("job").progress.done == 10


def test_a_sink_that_lost_its_first_batch(tmp_path, store, engine):
    """As a power cut leaves it: the state goes back with the offsets, however much the run's own cuts have counted."""
    write_lines(tmp_path / "a.jsonl", range(6))
    kept = tmp_path / "kept.db"
    for _ in range(2):
        with store.run("job") as run:
            totals = run.state(Totals())
            for batch in run.follow(tmp_path / "a.jsonl", sink=engine, schema=Event, once=True):
                if not kept.exists():
                    with closing(sqlite3.connect(tmp_path / "sink.db")) as sink, closing(sqlite3.connect(kept)) as copy:
                        sink.backup(copy)
                with batch:
                    totals.events += len(batch)
            assert totals.events == 6
        engine.dispose()
        (tmp_path / "sink.db").write_bytes(kept.read_bytes())


def test_another_parser_is_told(tmp_path, store, engine, caplog):
    """And goes on where the former one ended. Case 40."""
    write_lines(tmp_path / "a.jsonl", range(3))
    with store.run("job") as run:
        take_all(run, tmp_path / "a.jsonl", engine)
    write_lines(tmp_path / "a.jsonl", range(3, 5))
    with caplog.at_level(logging.WARNING, "waycairn"), store.run("job") as run:
        for batch in run.follow(tmp_path / "a.jsonl", sink=engine, once=True):
            with batch:
                assert [event["seq"] for event in batch.events] == [3, 4]
    assert "lines were read as" in caplog.text


# -- a batch that fails --------------------------------------------------------------------------------------------------


def test_an_exception_undoes_rows_offsets_and_state(tmp_path, store, engine):
    """The run fails; entered again the same batch comes again."""
    write_lines(tmp_path / "a.jsonl", range(6))
    totals = Totals()
    with pytest.raises(ZeroDivisionError), store.run("job") as run:
        totals = run.state(Totals())
        for batch in run.follow(tmp_path / "a.jsonl", sink=engine, schema=Event, batch=4, once=True):
            with batch as tx:
                totals.events += len(batch)
                tx.execute(text("INSERT INTO rows VALUES (1)"))
                _ = 1 // (len(batch) - 2)
    assert totals.events == 4
    assert rows(engine) == [1]
    with store.run("job") as run:
        totals = run.state(Totals())
        take_all(run, tmp_path / "a.jsonl", engine)
        assert totals.events == 4
    assert rows(engine) == [1, 4, 5]


def test_a_batch_comes_again(tmp_path, store, engine):
    """To a loop that goes on after an error of its own; its events are as they were read."""
    write_lines(tmp_path / "a.jsonl", range(3))
    tried = []
    with store.run("job") as run:
        for batch in run.follow(tmp_path / "a.jsonl", sink=engine, once=True):
            tried.append([event["seq"] for event in batch.events])
            try:
                with batch:
                    batch.events[0]["seq"] = "spoilt"
                    _ = 1 // (len(tried) // 3)
            except ZeroDivisionError:
                continue
            assert batch.is_done
    assert tried == [[0, 1, 2]] * 3


def test_a_batch_that_is_not_used(tmp_path, store, engine):
    """Is no silent loss."""
    write_lines(tmp_path / "a.jsonl", range(3))
    with pytest.raises(RuntimeError, match="was not used"), store.run("job") as run:
        for _ in run.follow(tmp_path / "a.jsonl", sink=engine, once=True):
            pass
    with store.run("job") as run:
        take_all(run, tmp_path / "a.jsonl", engine)
    assert rows(engine) == [0, 1, 2]


def test_break_interrupts(tmp_path, store, engine):
    """What was committed stands."""
    write_lines(tmp_path / "a.jsonl", range(6))
    with store.run("job") as run:
        for batch in run.follow(tmp_path / "a.jsonl", sink=engine, schema=Event, batch=2):
            with batch as tx:
                tx.execute(text("INSERT INTO rows VALUES (:seq)"), [{"seq": event.seq} for event in batch.events])
            break
    assert store.find("job").status == wc.RunStatus.INTERRUPTED
    with store.run("job") as run:
        assert run.resumed
        take_all(run, tmp_path / "a.jsonl", engine)
    assert rows(engine) == list(range(6))


def test_an_output_beside_a_stream_is_refused(tmp_path, store, engine):
    """Its length would not be committed with the offsets."""
    write_lines(tmp_path / "a.jsonl", range(3))
    with pytest.raises(RuntimeError, match=r"run\.output beside run\.follow"), store.run("job") as run:
        run.output(tmp_path / "out.txt", append=True)
        take_all(run, tmp_path / "a.jsonl", engine)
    assert rows(engine) == []


# -- lines that cannot be used -------------------------------------------------------------------------------------------


BAD = b'{"seq": 1}\nnot json\n[1]\n{"seq": "x"}\n\n{"seq": 2}\n'


def letters(engine):
    with engine.connect() as connection:
        found = connection.execute(text('SELECT "offset", length, kind FROM waycairn_dead_letters ORDER BY "offset"'))
        return [tuple(row) for row in found]


def test_dead_letters(tmp_path, store, engine):
    """Rows of their own, in the same transaction, with where they lie."""
    (tmp_path / "a.jsonl").write_bytes(BAD)
    with store.run("job") as run:
        take_all(run, tmp_path / "a.jsonl", engine)
    assert rows(engine) == [1, 2]
    assert letters(engine) == [(11, 8, "malformed"), (20, 3, "not_object"), (24, 12, "schema")]


def test_stop_at_the_first(tmp_path, store, engine):
    """What stands before it is done; mended, it goes on."""
    (tmp_path / "a.jsonl").write_bytes(BAD)
    with pytest.raises(LineUnusable), store.run("job") as run:
        take_all(run, tmp_path / "a.jsonl", engine, on_error="stop", batch=1)
    assert rows(engine) == [1]
    with store.run("job") as run:
        take_all(run, tmp_path / "a.jsonl", engine, on_error="skip")
    assert (rows(engine), letters(engine)) == ([1, 2], [])


def test_too_many(tmp_path, store, engine):
    """Nothing of a file in another format is consumed; the message shows some of it. Case 38."""
    write_lines(tmp_path / "a.jsonl", range(200))
    with (tmp_path / "a.jsonl").open("ab") as file:
        file.write(b"GET /index.html 200\n" * 5000)
    with pytest.raises(TooManyDeadLetters, match=r"a\.jsonl byte \d+ .*GET /index"), store.run("job") as run:
        take_all(run, tmp_path / "a.jsonl", engine, max_dead_ratio=0.05)
    assert len(letters(engine)) <= 50


def test_a_transform_that_raises(tmp_path, store, engine):
    """Its line is a dead letter, the others go on; mended and skipped, both runs give the same rows."""
    write_lines(tmp_path / "a.jsonl", range(10))

    def double(event):
        if event.seq == 7:
            raise KeyError("seven")
        return Event(event.seq * 2)

    with store.run("job") as run:
        take_all(run, tmp_path / "a.jsonl", engine, transform=double, batch=3)
    assert rows(engine) == [number * 2 for number in range(10) if number != 7]
    assert [kind for _, _, kind in letters(engine)] == ["transform"]


# -- other sinks ---------------------------------------------------------------------------------------------------------


def test_a_file_is_cut_back(tmp_path, store):
    """It holds what was committed, whatever was written after that."""
    write_lines(tmp_path / "a.jsonl", range(6))
    out = tmp_path / "out.txt"

    def copy(run, least):
        for batch in run.follow(tmp_path / "a.jsonl", sink=out, schema=Event, batch=2, once=True):
            with batch as tx:
                for event in batch.events:
                    tx.write(f"{event.seq}\n")
                    assert event.seq >= least

    with pytest.raises(AssertionError), store.run("job") as run:
        for batch in run.follow(tmp_path / "a.jsonl", sink=out, schema=Event, batch=2, once=True):
            with batch as tx:
                tx.write("".join(f"{event.seq}\n" for event in batch.events))
                assert batch.events[0].seq < 2
    with out.open("a") as file:
        file.write("what a dead process left\n")
    with store.run("job") as run:
        copy(run, 2)
    assert out.read_text() == "0\n1\n2\n3\n4\n5\n"


def test_a_function_is_called_at_least_once(tmp_path, store):
    """With a key that is the same when it is called again."""
    write_lines(tmp_path / "a.jsonl", range(4))
    calls = []

    def send(events, key):
        calls.append((key, [event.seq for event in events]))
        if len(calls) == 2:
            raise ConnectionError

    for _ in range(2):
        try:
            with store.run("job") as run:
                for batch in run.follow(tmp_path / "a.jsonl", sink=send, schema=Event, batch=2, once=True):
                    with batch:
                        pass
        except ConnectionError:
            continue
    assert [seqs for _, seqs in calls] == [[0, 1], [2, 3], [2, 3]]
    assert calls[1][0] == calls[2][0] != calls[0][0]


def test_nonsense_is_refused_before_anything_is_read(tmp_path, store):
    with store.run("job") as run:
        with pytest.raises(TypeError, match="sink is a SQLAlchemy Engine"):
            run.follow("*.jsonl", sink=7)
        with pytest.raises(ValueError, match="at least one event"):
            run.follow("*.jsonl", batch=0)
        with pytest.raises(ValueError, match="every is a length of time"):
            run.follow("*.jsonl", every="soon")
        with pytest.raises(ValueError, match="max_dead_ratio"):
            run.follow("*.jsonl", max_dead_ratio=2)


# -- awaited -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["engine", "async engine"])
def test_awaited(tmp_path, store, engine, kind):
    """The same words; with a state, killed by an error in the middle, resumed."""
    from sqlalchemy.ext.asyncio import create_async_engine

    write_lines(tmp_path / "a.jsonl", range(9))

    async def story(fails):
        sink = engine if kind == "engine" else create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'sink.db'}")
        try:
            async with store.run("job") as run:
                totals = run.state(Totals())
                async for batch in run.follow(tmp_path / "a.jsonl", sink=sink, schema=Event, batch=4, once=True):
                    async with batch as tx:
                        totals.events += len(batch)
                        done = tx.execute(
                            text("INSERT INTO rows VALUES (:seq)"), [{"seq": event.seq} for event in batch.events]
                        )
                        if kind != "engine":
                            await done
                        if fails and batch.events[0].seq == 4:
                            raise ZeroDivisionError
                return totals.events
        finally:
            if kind != "engine":
                await sink.dispose()

    with pytest.raises(ZeroDivisionError):
        asyncio.run(story(True))
    assert rows(engine) == [0, 1, 2, 3]
    assert asyncio.run(story(False)) == 9
    assert rows(engine) == list(range(9))


def test_a_coroutine_function_is_awaited(tmp_path, store, engine):
    """In an AsyncRun; a plain Run says so."""
    write_lines(tmp_path / "a.jsonl", range(4))
    sent = []

    async def send(events, key):
        await asyncio.sleep(0)
        sent.append((key, len(events)))

    with pytest.raises(TypeError, match="is awaited"), store.run("job") as run:
        for batch in run.follow(tmp_path / "a.jsonl", sink=send, once=True):
            with batch:
                pass

    async def story():
        async with store.run("job") as run:
            async for batch in run.follow(tmp_path / "a.jsonl", sink=send, batch=2, once=True):
                async with batch:
                    pass

    asyncio.run(story())
    assert sent == [("job:1:0", 2), ("job:1:50", 2)]


# -- who may, and a sink that is away ------------------------------------------------------------------------------------


def test_who_was_displaced_commits_nothing(tmp_path, store, engine):
    """The stream is fenced in the sink's own database: the batch that was open is the heir's."""
    write_lines(tmp_path / "a.jsonl", range(4))
    with pytest.raises(wc.OwnershipLost), store.run("job") as run:
        for batch in run.follow(tmp_path / "a.jsonl", sink=engine, schema=Event, batch=2, once=True):
            with batch:
                pass
            store.takeover(run.id)
            with store.run("job") as heir:
                take_all(heir, tmp_path / "a.jsonl", engine)
    assert rows(engine) == [2, 3]


def test_the_store_knows_where_its_streams_lie(tmp_path, store, engine):
    """For `waycairn stream`; entered again it does so once."""
    write_lines(tmp_path / "a.jsonl", range(4))
    for _ in range(2):
        with store.run("job") as run:
            take_all(run, tmp_path / "a.jsonl", engine)
    (found,) = store.checkpoints("job", role="stream")
    assert found.checkpoint.metadata["stream"] == "job"
    assert found.checkpoint.metadata["sink"] == str(engine.url)


def test_a_database_that_is_busy_is_waited_for(tmp_path, store, engine, caplog):
    """Nothing is consumed meanwhile; it goes on by itself, and says both."""
    write_lines(tmp_path / "a.jsonl", range(4))
    impatient = create_engine(f"sqlite:///{tmp_path / 'sink.db'}", connect_args={"timeout": 0.05})
    with closing(sqlite3.connect(tmp_path / "sink.db", isolation_level=None, check_same_thread=False)) as other:

        def let_go():
            time.sleep(0.5)
            other.execute("COMMIT")

        with caplog.at_level(logging.INFO, "waycairn"), store.run("job") as run:
            for number, batch in enumerate(
                run.follow(tmp_path / "a.jsonl", sink=impatient, schema=Event, batch=2, once=True)
            ):
                if number == 0:
                    other.execute("BEGIN IMMEDIATE")
                    threading.Thread(target=let_go).start()
                with batch as tx:
                    tx.execute(text("INSERT INTO rows VALUES (:seq)"), [{"seq": event.seq} for event in batch.events])
    impatient.dispose()
    assert rows(engine) == [0, 1, 2, 3]
    assert "waits, nothing is consumed" in caplog.text
    assert "answers again" in caplog.text


def test_events_of_a_state_that_is_damaged(tmp_path, store, engine):
    """Told, and not believed."""
    write_lines(tmp_path / "a.jsonl", range(4))
    with store.run("job") as run:
        run.state(Totals())
        take_all(run, tmp_path / "a.jsonl", engine)
    with engine.begin() as connection:
        stored = bytearray(connection.execute(text("SELECT state FROM waycairn_stream_states")).scalar_one())
        stored[-1] ^= 1
        connection.execute(text("UPDATE waycairn_stream_states SET state = :state"), {"state": bytes(stored)})
    with pytest.raises(wc.errors.Damaged, match="lies beside the stream's offsets"), store.run("job") as run:
        run.state(Totals())
        take_all(run, tmp_path / "a.jsonl", engine)


def test_untyped_numbers_are_exact(tmp_path, store):
    """Also those that no float holds."""
    (tmp_path / "a.jsonl").write_text(json.dumps({"id": 2**64 + 1}) + "\n")
    with store.run("job") as run:
        for batch in run.follow(tmp_path / "a.jsonl", once=True):
            with batch:
                assert batch.events == [{"id": 2**64 + 1}]
                assert list(batch.places()) == [(str(tmp_path / "a.jsonl"), 0)]
