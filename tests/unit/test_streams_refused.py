"""A database that refuses, and what only the batch may do: nothing moves, and the stream goes on afterwards."""

import os
import sqlite3
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

import streams_case
from streams_case import (
    NOW,
    RUN,
    a_dead_letter,
    a_generation,
    a_step,
    an_engine,
    assert_nothing_moved,
    moved_to,
    write,
)
from waycairn.errors import (
    Damaged,
    StoreBusy,
    StoreError,
    StoreFull,
    StoreReadOnly,
)
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


# -- a database that refuses ----------------------------------------------------------------------------------------


@pytest.fixture
def begun(sink):
    """A stream with one generation that was not read."""
    sink.open("logs", RUN, now=NOW)
    sink.begin().commit(a_step([a_generation()]))
    return sink


def test_a_busy_database(engine, begun, tmp_path):
    """Somebody else writes: begin says so, and changed nothing. Case 27."""
    other = sqlite3.connect(tmp_path / "sink.db")
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreBusy, match="Nothing of this batch was committed"):
        begun.begin()
    other.rollback()
    other.close()
    assert_nothing_moved(engine, begun)


def test_a_stream_whose_holder_stopped_in_a_batch(engine, begun):
    """It cannot be taken over before that transaction ended: told, after the time that the user's engine waits."""
    batch = begun.begin()
    other = EngineSink(engine)
    with pytest.raises(StoreBusy):
        other.open("logs", Holder("run1", 2), now=NOW)
    batch.rollback()
    assert_nothing_moved(engine, begun)
    other.open("logs", Holder("run1", 2), now=NOW)
    other.close()


def test_a_reader_that_blocks_the_commit(engine, begun, tmp_path):
    """Without WAL the COMMIT itself waits for readers: refused there, the batch is undone."""
    other = sqlite3.connect(tmp_path / "sink.db")
    batch = begun.begin()
    write(batch, (1, "one"))
    other.execute("BEGIN")
    other.execute("SELECT * FROM seen").fetchall()
    with pytest.raises(StoreBusy):
        batch.commit(a_step([moved_to(a_generation(), 10)], {1: 0}))
    other.rollback()
    other.close()
    assert_nothing_moved(engine, begun)


def test_a_read_only_database(engine, begun, tmp_path):
    """Made so by a connection that may only read; root may write to any file. Case 27."""
    begun.close()
    with an_engine_that_reads(tmp_path) as reading:
        refused = EngineSink(reading)
        with pytest.raises(StoreReadOnly, match="cannot be written"):
            refused.open("logs", RUN, now=NOW)
        refused.close()
    begun.open("logs", RUN, now=NOW)
    assert_nothing_moved(engine, begun)


@contextmanager
def an_engine_that_reads(folder):
    engine = sa.create_engine(f"sqlite:///file:{folder}/sink.db?mode=ro&uri=true")
    yield engine
    engine.dispose()


def test_a_full_database(engine, begun):
    """No page is left: where in the batch it shows does not matter."""
    batch = begun.begin()
    connection = batch.user.connection
    pages = connection.scalar(sa.text("PRAGMA page_count"))
    batch.rollback()
    begun.begin().user.connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    begun.close()
    _full(begun, engine, pages)
    begun.close()
    begun.open("logs", RUN, now=NOW)
    assert_nothing_moved(engine, begun)


def _full(sink, engine, pages):
    sink.open("logs", RUN, now=NOW)
    batch = sink.begin()
    batch.user.connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    dead = [a_dead_letter(offset=number, head=b"x" * 4096) for number in range(100)]
    with pytest.raises(StoreFull, match="Free space"):
        batch.commit(a_step([moved_to(a_generation(), 10)], {1: 0}, dead=dead))
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1073741823")


def test_a_full_disk(tmp_path):
    """A real one: nothing is committed, and after room was made it goes on. Case 27."""
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "none", place], check=False).returncode:
        pytest.skip("no tmpfs can be mounted here")
    try:
        with an_engine(f"sqlite:///{place}/sink.db") as engine:
            sink = EngineSink(engine)
            sink.open("logs", RUN, now=NOW)
            sink.begin().commit(a_step([a_generation()]))
            filler = place / "filler"
            with pytest.raises(OSError, match="No space"), filler.open("wb", buffering=0) as file:
                while True:
                    file.write(b"x" * 4096)
            dead = [a_dead_letter(offset=number, head=b"x" * 4096) for number in range(100)]
            batch = sink.begin()
            with pytest.raises(StoreError) as raised:
                batch.commit(a_step([moved_to(a_generation(), 10)], {1: 0}, dead=dead))
            assert raised.value.kind in {"full", "failed"}
            filler.unlink()
            assert_nothing_moved(engine, sink)
            sink.close()
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)  # a test that failed has it open


def test_a_damaged_database(engine, begun, tmp_path):
    """It is refused, and nothing begins anew. Case 29."""
    begun.close()
    engine.dispose()
    (tmp_path / "sink.db").write_bytes(b"\0" * 4096 * 4)
    with pytest.raises(StoreError) as raised:
        begun.open("logs", RUN, now=NOW)
    assert isinstance(raised.value, Damaged)


# -- what only the batch may do -------------------------------------------------------------------------------------


def test_a_commit_by_the_user_is_refused(engine, begun):
    """Rows without their offset would come again."""
    batch = begun.begin()
    write(batch, (1, "one"))
    with pytest.raises(RuntimeError, match="commits its rows together"):
        batch.user.connection.commit()
    batch.rollback()
    assert_nothing_moved(engine, begun)


@pytest.mark.parametrize("word", ["COMMIT", "ROLLBACK"])
def test_a_transaction_that_was_ended_in_plain_text_is_noticed(begun, word):
    """The batch says what that means."""
    batch = begun.begin()
    write(batch, (1, "one"))
    batch.user.connection.exec_driver_sql(word)
    with pytest.raises(RuntimeError, match="ended by other hands"):
        batch.commit(a_step())


@pytest.mark.parametrize("options", [{"isolation_level": "AUTOCOMMIT"}, {"connect_args": {"isolation_level": None}}])
def test_an_engine_without_transactions_is_refused(tmp_path, options):
    """However it was asked for."""
    with an_engine(f"sqlite:///{tmp_path}/auto.db", **options) as engine:
        sink = EngineSink(engine)
        with pytest.raises(ValueError, match="AUTOCOMMIT"):
            sink.open("logs", RUN, now=NOW)
        sink.close()


def test_settings_of_the_user_are_left_alone(tmp_path):
    """PRAGMAs before and after, and tables that are not the ledger's."""
    asked = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "user_version", "application_id")
    with an_engine(f"sqlite:///{tmp_path}/sink.db") as engine:

        def settings():
            with engine.connect() as connection:
                return [connection.scalar(sa.text(f"PRAGMA {name}")) for name in asked]

        before = settings()
        sink = EngineSink(engine)
        sink.open("logs", RUN, now=NOW)
        sink.begin().commit(a_step([a_generation()]))
        sink.barrier()
        sink.close()
        assert settings() == before
        names = set(sa.inspect(engine).get_table_names()) - {"sqlite_sequence"}
        assert {name for name in names if not name.startswith("waycairn_")} == {"seen"}


def test_a_barrier_flushes_the_log(tmp_path, monkeypatch):
    """Where commits by themselves are not flushed, and only there."""
    flushed = []
    monkeypatch.setattr(
        "waycairn.streams.barrier.flush", lambda handle: flushed.append(os.readlink(f"/proc/self/fd/{handle}"))
    )
    for mode, expected in (("delete", []), ("wal", [f"{tmp_path}/wal.db-wal"])):
        with an_engine(f"sqlite:///{tmp_path}/{mode}.db") as engine:
            with engine.connect() as connection:
                connection.exec_driver_sql(f"PRAGMA journal_mode = {mode}")
            sink = EngineSink(engine)
            sink.open("logs", RUN, now=NOW)
            sink.barrier()
            sink.close()
        assert flushed == expected


def test_other_databases_are_refused():
    """With what can be done."""
    engine = sa.create_engine("sqlite://")
    engine.dialect.name = "oracle"
    with pytest.raises(ValueError, match="oracle"):
        EngineSink(engine)
