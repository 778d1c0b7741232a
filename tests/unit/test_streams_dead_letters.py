"""Dead letters in the ledger, reading again, and forgetting, on SQLite and on PostgreSQL."""

import pytest

from streams_case import NOW, RUN, a_dead_letter, a_generation, a_step, address_of, an_engine, moved_to, standing
from waycairn.errors import OwnershipLost, StoreError
from waycairn.streams.dead_letters import LetterFilter, counted, failed_again, forget, listed, settle
from waycairn.streams.records import FileState
from waycairn.streams.resetting import expire, reset
from waycairn.streams.sinks import EngineSink


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request, tmp_path):
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/sink.db"
    else:
        url = address_of(request.getfixturevalue("postgres_schema"))
    with an_engine(url) as engine:
        yield engine


@pytest.fixture
def sink(engine):
    sink = EngineSink(engine)
    sink.open("other", RUN, now=NOW)
    sink.begin().commit(a_step([a_generation()], dead=[a_dead_letter()]))
    sink.open("logs", RUN, now=NOW)
    yield sink
    sink.close()


@pytest.fixture
def five(sink):
    """Five of them in two files."""
    dead = [a_dead_letter(1, offset) for offset in (0, 10, 20)]
    dead += [a_dead_letter(2, 0, path=b"b", kind="schema"), a_dead_letter(2, 2**40, path=b"b", line=2**40)]
    sink.begin().commit(a_step([a_generation(1), a_generation(2)], dead=dead))
    return sink


def test_a_dead_letter_comes_back(engine, five):
    """Bit for bit, but for what no database takes as text."""
    with engine.connect() as connection:
        kept = listed(connection, LetterFilter(stream="logs"))
    assert kept[0].letter == a_dead_letter(error="it was NUL \\x00 and \\ud800")
    assert kept[4].letter.offset == 2**40
    assert (kept[0].stream, kept[0].tries, kept[0].settled) == ("logs", 0, None)


def test_they_are_listed_by_page(engine, five):
    """In the order in which they were met; each filter narrows."""
    with engine.connect() as connection:
        first = listed(connection, LetterFilter(stream="logs"), limit=2)
        second = listed(connection, LetterFilter(stream="logs"), after=first[-1].id, limit=2)
        rest = listed(connection, LetterFilter(stream="logs"), after=second[-1].id)
        pages = [[(one.letter.generation, one.letter.offset) for one in page] for page in (first, second, rest)]
        assert pages == [[(1, 0), (1, 10)], [(1, 20), (2, 0)], [(2, 2**40)]]
        assert len(listed(connection, LetterFilter())) == 6
        assert len(listed(connection, LetterFilter(stream="logs", kinds=["schema"]))) == 1
        assert len(listed(connection, LetterFilter(stream="logs", path=b"b"))) == 2
        assert len(listed(connection, LetterFilter(stream="logs", generation=1))) == 3
        assert len(listed(connection, LetterFilter(ids=[first[0].id, rest[0].id]))) == 2
        assert counted(connection, LetterFilter(stream="logs")) == {"malformed": 4, "schema": 1}


def test_one_is_settled_once(engine, five):
    """In the transaction that writes its event; who comes second is told."""
    with engine.begin() as connection:
        kept = listed(connection, LetterFilter(stream="logs"))[0]
        number = kept.id
        failed_again(connection, kept, "still \0 bad", NOW + 1)
    with engine.begin() as connection:
        kept = listed(connection, LetterFilter(ids=[number]))[0]
        assert (kept.tries, kept.tried, kept.tried_error, kept.settled) == (1, NOW + 1, "still \\x00 bad", None)
        assert settle(connection, number, NOW + 2)
        assert not settle(connection, number, NOW + 3)
    with engine.connect() as connection:
        assert [one.id for one in listed(connection, LetterFilter(is_settled=True))] == [number]
        assert listed(connection, LetterFilter(ids=[number]))[0].settled == NOW + 2
        assert len(listed(connection, LetterFilter(stream="logs", is_settled=False))) == 4


def test_they_can_be_forgotten(engine, five):
    """Those that were chosen; the others and those of other streams stay."""
    with engine.begin() as connection:
        assert forget(connection, LetterFilter(stream="logs", generation=2)) == 2
        assert len(listed(connection, LetterFilter(stream="logs"))) == 3
        assert len(listed(connection, LetterFilter(stream="other"))) == 1


def test_the_same_line_is_no_dead_letter_twice(engine, five):
    """It would be a batch that was committed twice: refused as a whole."""
    before = standing(engine)
    with pytest.raises(StoreError, match="refused"):
        five.begin().commit(a_step([a_generation(3)], dead=[a_dead_letter(1, 10)]))
    assert standing(engine) == before


def test_reading_again_from_the_beginning(engine, five):
    """The generations are put away, nothing is deleted, and a process that is at them is refused."""
    then = [moved_to(one, 50) for one in standing(engine).generations]
    five.begin().commit(a_step(then, {1: 0, 2: 0}))
    with engine.begin() as connection:
        assert reset(connection, "logs", paths=[then[0].path], now=NOW + 9) == [1]
    first, second = standing(engine).generations
    assert (first.state, first.offset, first.head.length, first.identity.inode) == (FileState.REPLACED, 0, 0, 0)
    assert second == then[1]
    assert standing(engine, "other").generations == [a_generation()]
    with engine.connect() as connection:
        assert len(listed(connection, LetterFilter(stream="logs"))) == 5
    with pytest.raises(OwnershipLost, match="was reset"):
        five.begin().commit(a_step([moved_to(then[0], 60)], {1: 50}))
    again = a_generation(3, path=then[0].path)
    five.begin().commit(a_step([again], dead=[a_dead_letter(3, 0)]))
    with engine.begin() as connection:
        assert reset(connection, "logs", ids=[2], now=NOW) == [2]
        assert reset(connection, "logs", now=NOW) == [1, 2, 3]
        assert reset(connection, "nothing", now=NOW) == []


def test_forgetting_files_that_are_gone(engine, sink):
    """After their time, of this stream only; the newest stays, so that no id comes again."""
    old = [a_generation(number, state=state, updated=NOW) for number, state in enumerate(FileState, 1)]
    sink.begin().commit(a_step([*old, a_generation(6, state=FileState.DONE, updated=NOW)]))
    with engine.begin() as connection:
        assert expire(connection, "logs", NOW) == 0
        assert expire(connection, "logs", NOW + 1) == 3
    left = standing(engine).generations
    assert [(one.id, one.state) for one in left] == [(1, "active"), (2, "rotated"), (6, "done")]
    assert len(standing(engine, "other").generations) == 1
