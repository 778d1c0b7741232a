"""A value that the sink's database does not take: its line becomes a dead letter, all others are done once."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa

import waycairn as wc
from waycairn.errors import LineUnusable, TooManyDeadLetters

TOO_LARGE = 1 << 64
"""As an integer, for SQLite."""


@pytest.fixture
def log(tmp_path):
    """A hundred events; two have what SQLite, two others have what PostgreSQL cannot keep."""
    events = [{"number": number, "text": "fine"} for number in range(100)]
    events[17]["number"] = events[18]["number"] = TOO_LARGE
    events[40]["text"] = events[99]["text"] = "a\0b"
    path = tmp_path / "app.jsonl"
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    return path


@pytest.fixture
def engine(tmp_path):
    made = sa.create_engine(f"sqlite:///{tmp_path}/sink.db")
    yield made
    made.dispose()


def follow(tmp_path, engine, log, *, bulk=False, **how):
    """The numbers that are in the table, the state, and the dead letters."""
    table = sa.Table("rows", sa.MetaData(), sa.Column("number", sa.BigInteger), sa.Column("text", sa.Text))
    table.metadata.create_all(engine)
    try:
        with wc.open(tmp_path / "store") as store, store.run("job") as run:
            totals = run.state({"events": 0})
            for batch in run.follow(log, sink=engine, batch=32, once=True, **how):
                with batch as tx:
                    totals["events"] += len(batch.events)
                    if bulk:
                        tx.insert_many(table, batch.events)
                    else:
                        tx.execute(sa.insert(table), batch.events)
    finally:
        with engine.connect() as connection:
            numbers = connection.scalars(sa.select(table.c.number)).all()
            letters = connection.execute(
                sa.text('SELECT kind, line, "offset", length, error, head FROM waycairn_dead_letters ORDER BY line')
            ).all()
    assert totals == {"events": len(numbers)}, "the state is of the same commits"
    return numbers, letters


@pytest.mark.parametrize("bulk", [False, True])
def test_sqlite(tmp_path, engine, log, bulk):
    """Integers of more than 64 bits."""
    numbers, letters = follow(tmp_path, engine, log, bulk=bulk)
    assert numbers == [number for number in range(100) if number not in {17, 18}]
    assert [(letter.kind, letter.line) for letter in letters] == [("refused", 18), ("refused", 19)]
    lines = log.read_bytes().splitlines(keepends=True)
    for letter in letters:
        assert letter.offset == sum(map(len, lines[: letter.line - 1]))
        assert letter.head == lines[letter.line - 1].rstrip(b"\n")
        assert letter.length == len(letter.head)
        assert letter.error.startswith("OverflowError: ")


@pytest.mark.parametrize("bulk", [False, True])
def test_postgresql(tmp_path, postgres_schema, log, bulk):
    """A NUL in a text, also as the last line of all; and numbers beyond bigint."""
    engine = sa.create_engine(postgres_schema.replace("postgresql://", "postgresql+psycopg://"))
    try:
        numbers, letters = follow(tmp_path, engine, log, bulk=bulk)
    finally:
        engine.dispose()
    assert numbers == [number for number in range(100) if number not in {17, 18, 40, 99}]
    assert [(letter.kind, letter.line) for letter in letters] == [("refused", line) for line in (18, 19, 41, 100)]
    assert any("NUL" in letter.error or "0x00" in letter.error for letter in letters)


def test_stop(tmp_path, engine, log):
    """It says which line it is; all before it is done, and nothing behind it."""
    with pytest.raises(LineUnusable, match=r"line 18 of .*refused, OverflowError"):
        follow(tmp_path, engine, log, on_error="stop")
    with pytest.raises(LineUnusable, match="line 18 of"):
        follow(tmp_path, engine, log, on_error="stop")
    numbers, letters = follow(tmp_path, engine, log, on_error="skip")
    assert numbers == [number for number in range(100) if number not in {17, 18}]
    assert letters == []


def test_too_many(tmp_path, engine):
    """A table that takes none of the events is not fed all of them one by one."""
    log = tmp_path / "app.jsonl"
    log.write_text("".join(f'{{"number": {TOO_LARGE + number}}}\n' for number in range(400)))
    with pytest.raises(TooManyDeadLetters):
        follow(tmp_path, engine, log, max_dead_ratio=0.3)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM waycairn_dead_letters").scalar() < 150


def test_what_is_no_matter_of_a_value(tmp_path, engine, log):
    """A table that is not there, or a rule of it, ends the job: all events would be dead letters."""
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE rows (number INTEGER CHECK (number < 10), text TEXT)")
    with pytest.raises(sa.exc.IntegrityError):
        follow(tmp_path, engine, log)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM waycairn_dead_letters").scalar() == 0


def test_retried(tmp_path, engine, log):
    """Once the job takes such values, its dead letters are done."""
    follow(tmp_path, engine, log)
    with wc.open(tmp_path / "store") as store:
        seen = []
        report = store.retry_dead("job", lambda tx, events: seen.extend(events))
    assert [event["number"] for event in seen] == [TOO_LARGE, TOO_LARGE]
    assert report.settled == 2
