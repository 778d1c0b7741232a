"""Sinks that are a file or a function."""

import resource
from pathlib import Path

import pytest

import streams_case
from streams_case import (
    NOW,
    RUN,
    a_generation,
    a_step,
    armed,
    moved_to,
    standing,
)
from waycairn.errors import (
    Damaged,
    OwnershipLost,
    StoreFull,
)
from waycairn.streams.callback_sink import CallbackSink
from waycairn.streams.file_sink import FileSink
from waycairn.streams.own_database import own_engine
from waycairn.streams.records import Holder

TESTS = Path(streams_case.__file__).parent


@pytest.fixture
def own(tmp_path):
    engine = own_engine(tmp_path / "store" / "ledger.db")
    yield engine
    engine.dispose()


@pytest.fixture
def file_sink(own, tmp_path):
    sink = FileSink(tmp_path / "out.txt", own)
    yield sink
    sink.close()


def append(sink, text, step):
    batch = sink.begin()
    batch.user.write(text)
    batch.commit(step)


def test_a_file_is_cut_back_to_what_was_committed(file_sink, own, tmp_path):
    """What a process left behind that died before its commit is not there afterwards."""
    file_sink.open("logs", RUN, now=NOW)
    append(file_sink, "one\n", a_step([a_generation()]))
    with armed("stream.offsets"), pytest.raises(OSError, match="injected"):
        append(file_sink, "lost\n", a_step([moved_to(a_generation(), 10)], {1: 0}))
    assert (tmp_path / "out.txt").read_text() == "one\nlost\n"
    found = file_sink.open("logs", RUN, now=NOW)
    assert (tmp_path / "out.txt").read_text() == "one\n"
    assert (found.sink_length, found.generations[0].offset) == (4, 0)
    append(file_sink, "two\n", a_step([moved_to(a_generation(), 10)], {1: 0}))
    assert (tmp_path / "out.txt").read_text() == "one\ntwo\n"
    assert standing(own).sink_length == 8


def test_a_failed_batch_leaves_nothing_in_the_file(file_sink, tmp_path):
    """Not even without opening it again: a shorter one comes in its place."""
    file_sink.open("logs", RUN, now=NOW)
    with armed("stream.offsets"), pytest.raises(OSError, match="injected"):
        append(file_sink, "a long line that fails\n", a_step([a_generation()]))
    append(file_sink, "short\n", a_step([a_generation()]))
    assert (tmp_path / "out.txt").read_text() == "short\n"
    batch = file_sink.begin()
    batch.user.write("nothing")
    batch.rollback()
    assert (tmp_path / "out.txt").read_text() == "short\n"


def test_old_content_of_a_file_is_kept(file_sink, tmp_path):
    """A file that was there before the stream; also if the first batch dies."""
    (tmp_path / "out.txt").write_text("old\n")
    file_sink.open("logs", RUN, now=NOW)
    with armed("stream.commit"), pytest.raises(OSError, match="injected"):
        append(file_sink, "one\n", a_step([a_generation()]))
    file_sink.open("logs", RUN, now=NOW)
    append(file_sink, "one\n", a_step([a_generation()]))
    assert (tmp_path / "out.txt").read_text() == "old\none\n"


@pytest.mark.parametrize(("content", "told"), [("on", "has 2 bytes, and 4"), ("two\n", "not those"), ("", "0 bytes")])
def test_a_file_that_somebody_else_changed_is_refused(file_sink, own, tmp_path, content, told):
    """Nothing is cut, nothing is claimed."""
    file_sink.open("logs", RUN, now=NOW)
    append(file_sink, "one\n", a_step([a_generation()]))
    (tmp_path / "out.txt").write_text(content)
    with pytest.raises(Damaged, match=told):
        file_sink.open("logs", Holder("run1", 2), now=NOW)
    assert (tmp_path / "out.txt").read_text() == content
    assert standing(own).holder == RUN


def test_a_commit_that_failed_afterwards_is_not_written_over(file_sink, tmp_path):
    """A batch whose process learned of an error after the COMMIT: the file has it, and keeps it."""
    file_sink.open("logs", RUN, now=NOW)
    with armed("stream.committed"), pytest.raises(OSError, match="injected"):
        append(file_sink, "one\n", a_step([a_generation()]))
    with pytest.raises(OwnershipLost, match="the sink of the stream"):
        append(file_sink, "two\n", a_step([moved_to(a_generation(), 10)], {1: 0}))
    assert (tmp_path / "out.txt").read_text() == "one\n"
    file_sink.open("logs", RUN, now=NOW)
    append(file_sink, "two\n", a_step([moved_to(a_generation(), 10)], {1: 0}))
    assert (tmp_path / "out.txt").read_text() == "one\ntwo\n"


def test_a_fenced_process_writes_nothing_to_the_file(file_sink, own, tmp_path):
    """It finds out before it appends."""
    file_sink.open("logs", RUN, now=NOW)
    append(file_sink, "one\n", a_step([a_generation()]))
    batch = file_sink.begin()
    batch.user.write("late\n")
    other = FileSink(tmp_path / "out.txt", own)
    other.open("logs", Holder("run1", 2), now=NOW)
    append(other, "two\n", a_step([moved_to(a_generation(), 10)], {1: 0}))
    with pytest.raises(OwnershipLost):
        batch.commit(a_step([moved_to(a_generation(), 10)], {1: 0}))
    other.close()
    assert (tmp_path / "out.txt").read_text() == "one\ntwo\n"


def test_a_file_that_cannot_grow(file_sink, tmp_path):
    """No room for all of a batch: told as such, nothing is there; the next one is whole."""
    file_sink.open("logs", RUN, now=NOW)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    try:
        with pytest.raises(StoreFull, match="no space left while writing the sink"):
            append(file_sink, "x" * (1 << 21), a_step([a_generation()]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (tmp_path / "out.txt").stat().st_size == 1 << 20
    append(file_sink, "two\n", a_step([a_generation()]))
    assert (tmp_path / "out.txt").read_text() == "two\n"


def test_a_function_gets_the_same_key_again(own):
    """At least once: what was delivered before a failed commit comes again, and can be told by its key."""
    got = []
    sink = CallbackSink(lambda events, key: got.append((key, events)), own)
    sink.open("logs", RUN, now=NOW)
    for act in ("fails", "works"):
        batch = sink.begin()
        batch.user.deliver(["a", "b"], 3, 120)
        if act == "fails":
            with armed("stream.offsets"), pytest.raises(OSError, match="injected"):
                batch.commit(a_step([a_generation()]))
        else:
            batch.commit(a_step([a_generation()]))
    assert got == [("logs:3:120", ["a", "b"])] * 2
    sink.open("logs", Holder("run1", 2), now=NOW)
    sink.close()
    assert standing(own).generations == [a_generation()]
