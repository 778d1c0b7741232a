"""The ledger of a stream, on SQLite and on PostgreSQL."""

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from streams_case import (
    NOW,
    RUN,
    a_dead_letter,
    a_generation,
    a_step,
    address_of,
    an_engine,
    moved_to,
    seen,
    standing,
    write,
)
from waycairn.errors import OwnershipLost, StoreTooNew
from waycairn.streams import ledger, tables
from waycairn.streams.records import Counts, FileState, Holder, Mark
from waycairn.streams.sinks import EngineSink


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request, tmp_path):
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/sink.db?timeout=0.2"
    else:
        url = address_of(request.getfixturevalue("postgres_schema"))
    with an_engine(url) as engine:
        yield engine


@pytest.fixture
def sink(engine):
    sink = EngineSink(engine)
    yield sink
    sink.close()


def test_what_is_committed_is_what_stands(engine, sink):
    """Everything of a step is found again, bit for bit, with the user's rows."""
    first = sink.open("logs", RUN, parser="json", facts={"paths": ["logs/*"]}, now=NOW)
    assert (first.generations, first.parser, first.commits, first.state) == ([], "", 0, None)
    one = a_generation(1)
    new = moved_to(one, 40, posts=b"p" * 32, copy_of=None, compression="gzip", is_open_ended=True, unread=7)
    batch = sink.begin()
    write(batch, (1, "one"))
    batch.commit(a_step([new], {}, dead=[a_dead_letter()], state=b"\0state", counts=Counts(1, 2, 3, 4, 5, 6)))
    then = moved_to(new, 80, state=FileState.ROTATED, size=80, modified=9)
    batch = sink.begin()
    write(batch, (2, "two"))
    step = a_step([then, a_generation(2, copy_of=1)], {1: 40}, counts=Counts(1, 1, 1, 1, 1, 1))
    batch.commit(step)
    found = standing(engine)
    assert found.generations == [then, a_generation(2, copy_of=1)]
    assert found.counts == Counts(2, 3, 4, 5, 6, 7)
    assert (found.commits, found.operation, found.state) == (2, step.operation, b"\0state")
    assert (found.holder, found.parser, found.facts) == (RUN, "json", {"paths": ["logs/*"]})
    assert (found.created, found.updated) == (NOW, NOW + 1)
    assert seen(engine) == [(1, "one"), (2, "two")]


def test_what_is_rolled_back_leaves_nothing(engine, sink):
    """Neither rows nor offsets, and the next batch works."""
    sink.open("logs", RUN, now=NOW)
    before = standing(engine)
    batch = sink.begin()
    write(batch, (1, "one"))
    batch.rollback()
    assert (seen(engine), standing(engine)) == ([], before)
    batch = sink.begin()
    write(batch, (1, "one"))
    batch.commit(a_step([a_generation()]))
    assert seen(engine) == [(1, "one")]


def test_the_former_holder_is_fenced(engine, sink):
    """A stream that was taken over moves for the new holder only; the former one changed nothing."""
    sink.open("logs", RUN, now=NOW)
    sink.begin().commit(a_step([a_generation()]))
    other = EngineSink(engine)
    taken = other.open("logs", Holder("run1", 2), now=NOW)
    with pytest.raises(OwnershipLost, match="epoch 2 of the same run"):
        sink.begin()
    batch = other.begin()
    write(batch, (1, "new"))
    batch.commit(a_step([moved_to(taken.generations[0], 10)], {1: 0}))
    other.close()
    assert seen(engine) == [(1, "new")]
    with pytest.raises(OwnershipLost):
        sink.open("logs", RUN, now=NOW)
    assert standing(engine).holder == Holder("run1", 2)


def test_another_run_takes_over(engine, sink):
    """Epochs of two runs say nothing about one another."""
    sink.open("logs", Holder("run1", 9), now=NOW)
    other = EngineSink(engine)
    other.open("logs", Holder("run2", 1), now=NOW)
    with pytest.raises(OwnershipLost, match="run2 holds it"):
        sink.begin()
    other.close()


def test_an_offset_that_moved_is_refused(engine, sink):
    """A generation that is not where this process left it: the whole batch is undone."""
    sink.open("logs", RUN, now=NOW)
    sink.begin().commit(a_step([a_generation(1), a_generation(2)]))
    before = standing(engine)
    batch = sink.begin()
    write(batch, (1, "one"))
    changed = [moved_to(one, 10) for one in before.generations]
    with pytest.raises(OwnershipLost, match="not where this process left it"):
        batch.commit(a_step(changed, {1: 0, 2: 3}))
    assert (seen(engine), standing(engine)) == ([], before)


def test_a_newer_ledger_is_refused(engine, sink):
    """Nothing of it is changed."""
    sink.open("logs", RUN, now=NOW)
    with engine.begin() as connection:
        connection.execute(sa.update(tables.streams).values(version=tables.VERSION + 1))
    with pytest.raises(StoreTooNew, match="Upgrade waycairn"):
        sink.open("logs", Holder("run2", 1), now=NOW)
    with engine.connect() as connection, pytest.raises(StoreTooNew):
        ledger.all_streams(connection)


def test_a_change_of_the_parser_is_told(engine, sink):
    """Opening says which parser there was, and the row keeps the former ones."""
    sink.open("logs", RUN, parser="json 1", now=NOW)
    sink.begin().commit(a_step())
    assert sink.open("logs", RUN, parser="json 2", now=NOW + 5).parser == "json 1"
    again = sink.open("logs", RUN, parser="json 2", now=NOW + 6)
    assert again.parser == "json 2"
    assert again.facts == {"former_parsers": [{"parser": "json 1", "until": NOW + 5, "commits": 1}]}


def test_streams_are_listed_by_name(engine, sink):
    """Each with its own generations and state; a database without a ledger has none."""
    with engine.connect() as connection:
        assert ledger.all_streams(connection) == []
    for name in ("b", "a"):
        sink.open(name, RUN, now=NOW)
        sink.begin().commit(a_step([a_generation(path=name.encode())], state=name.encode()))
    with engine.connect() as connection:
        found = ledger.all_streams(connection)
    assert [(one.name, one.state, [file.path for file in one.generations]) for one in found] == [
        ("a", b"a", [b"a"]),
        ("b", b"b", [b"b"]),
    ]


def test_the_length_of_a_file_sink_is_kept(engine, sink):
    """With its tail mark; None until there is one."""
    assert sink.open("logs", RUN, now=NOW).sink_length is None
    sink.begin().commit(a_step(sink_length=12, sink_tail=Mark(12, b"t" * 16)))
    sink.begin().commit(a_step())
    found = standing(engine)
    assert (found.sink_length, found.sink_tail) == (12, Mark(12, b"t" * 16))


def test_two_thousand_new_files_in_one_commit(engine, sink):
    """And all of them move in the next one."""
    sink.open("logs", RUN, now=NOW)
    files = [a_generation(number, path=b"%d" % number) for number in range(1, 2001)]
    sink.begin().commit(a_step(files))
    moved = [replace(one, offset=5) for one in files]
    sink.begin().commit(a_step(moved, dict.fromkeys(range(1, 2001), 0)))
    assert standing(engine).generations == moved
