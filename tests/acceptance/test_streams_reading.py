"""Growing files, as they are treated in the field: what the reader makes of each of it."""

import contextlib
import gzip
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import zlib

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from streamed import Stream, lines
from waycairn.errors import LineUnusable
from waycairn.streams.lag import lag_of
from waycairn.streams.parsing import Parser
from waycairn.streams.records import FileState
from waycairn.streams.rereading import Rereading

MIB = 1 << 20


@pytest.fixture
def stream(tmp_path):
    with Stream(tmp_path) as made:
        yield made


# -- lines -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("whole", [b'{"n":1,"s":"\xc3\xa9"}\n', b'{"n":1}\r\n', b'{"n":1,"s":"\\u00e9\\n"}\n'])
def test_a_line_that_comes_in_pieces_is_one_event(stream, whole, restarts):
    """Cut at every place: in the middle of a character, an escape, or before the newline. Cases 2 and 3."""
    for place in range(1, len(whole)):
        begun = sum(generation.offset for generation in stream.stored.values())
        stream.write(whole[:place])
        stream.read()
        assert sum(generation.offset for generation in stream.stored.values()) == begun
        if restarts:
            stream.restart()
        stream.write(whole[place:])
        stream.read()
    assert len(stream.events) == len(whole) - 1
    assert all(event["n"] == 1 for event in stream.events)
    assert stream.dead == []


def test_a_piece_that_is_whole_by_itself_is_waited_for(stream):
    """`{}` may become `{}{"n":1}`, and 12 may become 123. Case 4."""
    stream.write(b"{}")
    assert stream.read().events == []
    stream.write(b"\n12")
    assert stream.read().events == [{}]
    stream.write(b"3\n")
    stream.read()
    assert [(letter.kind, letter.head, letter.offset) for letter in stream.dead] == [("not_object", b"123", 3)]


@pytest.mark.parametrize("appended", [b"\n", b"\r\n", b""])
def test_the_last_line_without_its_end_is_taken_once(tmp_path, appended):
    """Asked for, with once; the newline that comes later is no event. Case 5."""
    with Stream(tmp_path, once=True, final_line="take") as stream:
        stream.write(lines(1) + b'{"n":2}')
        assert stream.read().numbers() == [1, 2]
        assert stream.reader.is_drained
        assert stream.stored[1].is_open_ended
        stream.write(appended + lines(3) if appended else b"")
        stream.restart()
        assert stream.read().numbers() == ([1, 2, 3] if appended else [1, 2])
        assert stream.stored[1].lines == (3 if appended else 2)
    assert (stream.dead, stream.counts.blank) == ([], 0)


def test_the_last_line_without_its_end_may_be_no_event(tmp_path):
    """It is a dead letter then, and the file is not read again for it."""
    with Stream(tmp_path, once=True, final_line="take") as stream:
        stream.write(lines(1) + b'{"n":')
        assert stream.read().numbers() == [1]
        assert [(letter.kind, letter.offset, letter.head) for letter in stream.dead] == [("truncated", 8, b'{"n":')]
        stream.restart()
        stream.read()
        assert stream.reader.is_drained
    assert len(stream.dead) == 1


def test_once_without_being_asked_leaves_the_last_line(tmp_path):
    """It is there for the next time."""
    with Stream(tmp_path, once=True) as stream:
        stream.write(lines(1) + b'{"n":2}')
        assert stream.read().numbers() == [1]
        assert stream.reader.is_drained
        stream.write(b"\n")
        assert stream.read().numbers() == [1, 2]


def test_the_last_line_of_a_rotated_file_waits_until_it_is_quiet(stream):
    """A writer may still have it open: five seconds without a change, then it is taken."""
    stream.write(b'{"n":1}')
    stream.read()
    stream.rename("app.jsonl", "app.jsonl.1")
    assert stream.read().events == []
    stream.clock.pass_(4)
    stream.write(b" ", "app.jsonl.1")
    stream.read()
    stream.clock.pass_(4)
    assert stream.read().events == []
    stream.clock.pass_(1)
    assert stream.read().numbers() == [1]
    stream.clock.pass_(5)
    stream.read()
    assert stream.stored[1].state is FileState.DONE


def test_good_lines_among_bad_ones(stream):
    """Each bad one is a dead letter with its place; blank ones are counted. Case 20."""
    bad = [b"nonsense", b"null", b"[]", b"1", b'{"a":1,}', b'{"a":1}{"b":2}', b'"text"']
    content, places = b"", []
    for number, line in enumerate(bad):
        content += lines(number) + b"\n  \t \n"
        places.append(len(content))
        content += line + b"\n"
    stream.write(content + lines(7))
    stream.read()
    assert stream.numbers() == list(range(8))
    assert [letter.offset for letter in stream.dead] == places
    assert [letter.head for letter in stream.dead] == bad
    kinds = ["malformed", "not_object", "not_object", "not_object", "malformed", "malformed", "not_object"]
    assert stream.kinds == kinds
    assert [letter.line for letter in stream.dead] == [4 * (number + 1) for number in range(7)]
    assert (stream.counts.blank, stream.counts.dead, stream.stored[1].lines) == (14, 7, 29)
    files = Rereading(stream.patterns, list(stream.stored.values()))
    assert [files.line(letter) for letter in stream.dead] == bad


def test_encodings_and_limits_of_json(stream):
    """What a used and an unused field may hold, deep nesting, and long numbers. Cases 21 and 22."""

    class Event(msgspec.Struct):
        n: int

    stream.parser = Parser(Event)
    stream.restart()
    rest = [
        b'{"n":1,"s":"\xff"}',  # read only as far as it is needed
        b'{"n":2,"s":"\xe9"}',
        b'{"n":3,"s":"\\u0000"}',
        b'{"n":18446744073709551616}',
        b'{"n":' + b"9" * 400 + b"}",
        b'{"n":5,"n":6}',
    ]
    dead = [
        b'{"n":"\xff"}',
        b'{"n":1e400}',
        b'{"n":NaN}',
        b'{"n":1.5}',
        b'{"n":1,"s":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"s":1}',
    ]
    for good, bad in zip(rest, dead, strict=True):
        stream.write(good + b"\n" + bad + b"\n")
    stream.read()
    assert [event.n for event in stream.events] == [1, 2, 3, 2**64, int("9" * 400), 6]
    kinds = ["malformed", "malformed", "malformed", "schema", "malformed", "schema"]
    assert stream.kinds == kinds


def test_a_line_of_100_mb(tmp_path):
    """One dead letter, 150 MB of memory, and the lines beside it. Case 23."""
    with open(tmp_path / "app.jsonl", "wb") as file:
        file.write(lines(1))
        file.writelines(b"x" * MIB for _ in range(100))
        file.write(b"\n" + lines(2))
    code = (
        "import sys; sys.path[:0] = sys.argv[2:]\n"
        "from streamed import Stream\n"
        "with Stream(sys.argv[1]) as stream:\n"
        "    stream.read()\n"
        "    (letter,) = stream.dead\n"
        "    print(stream.numbers(), letter.kind, letter.offset, letter.length, len(letter.head), letter.line)\n"
        # Not getrusage, which counts what the process was before it was this program.
        "    print(*[line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')])\n"
    )
    tests = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    command = [sys.executable, "-c", code, str(tmp_path), tests, *sys.path]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert out[0] == f"[1, 2] too_long 8 {100 * MIB} 4096 2"
    assert int(out[1]) < 150 << 10


def test_a_line_without_end(tmp_path):
    """The offset stays, the lag tells, and memory is that of a limit. Case 24."""
    with Stream(tmp_path, line_limit=MIB) as stream:
        stream.write(lines(1))
        for _ in range(20):
            stream.write(b"y" * MIB)
            stream.read()
            assert stream.stored[1].offset == 8
        assert stream.reader.lag().bytes == 20 * MIB
        (tail,) = stream.reader._tails.values()
        assert not tail._cutter._rest
        stream.restart()
        stream.read()
        stream.write(b"\n" + lines(2))
        assert stream.read().numbers() == [1, 2]
    assert [(letter.kind, letter.length) for letter in stream.dead] == [("too_long", 20 * MIB)]


def test_carriage_returns(stream):
    """CRLF, LF, and both in one file; offsets are those of the file. Case 39."""
    stream.write(b'{"n":1}\r\n{"n":2}\n\r\n{"n":3}\r\n{bad}\r\n{"n":4,"s":"a\xe2\x80\xa8b"}\r\n')
    stream.read()
    assert stream.numbers() == [1, 2, 3, 4]
    assert stream.places == [(1, 0), (1, 9), (1, 19), (1, 35)]
    assert [(letter.offset, letter.head) for letter in stream.dead] == [(28, b"{bad}")]
    assert stream.counts.blank == 1


def test_a_byte_order_mark(stream):
    """At the beginning of a file it is no part of the line; anywhere else it is no JSON."""
    stream.write(b"\xef\xbb\xbf" + lines(1) + b"\xef\xbb\xbf" + lines(2))
    stream.read()
    assert stream.numbers() == [1]
    assert stream.places == [(1, 3)]
    assert [(letter.kind, letter.offset) for letter in stream.dead] == [("malformed", 11)]


# -- rotation --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("restarts", [False, True])
def test_rotation_by_rename(stream, restarts):
    """The rest of the old file first, then the new one. Case 6."""
    stream.write(lines(1, 2))
    stream.read()
    stream.write(lines(3))
    if restarts:
        stream.restart()
    stream.rename("app.jsonl", "app.jsonl.1")
    stream.write(lines(4), "app.jsonl.1")
    stream.write(lines(5, 6))
    assert stream.read_to_the_end().numbers() == [1, 2, 3, 4, 5, 6]
    assert [one.state for one in stream.stored.values()] == [FileState.DONE, FileState.ACTIVE]
    assert "rotated" in stream.told


def test_two_rotations_while_nobody_looked(stream):
    """The oldest first; what was deleted unread is told with its bytes. Case 7."""
    stream.write(lines(0))
    stream.read()
    stream.rename("app.jsonl", "app.jsonl.1")
    stream.write(lines(1))
    stream.read()
    stream.write(lines(2), "app.jsonl.1")
    stream.write(lines(3))
    stream.reader.look()
    stream.restart()
    stream.rename("app.jsonl", "app.jsonl.2")
    os.unlink(stream.path("app.jsonl.1"))
    stream.write(lines(4), "app.jsonl.2")
    time.sleep(0.02)
    stream.write(lines(5), "app.jsonl.1")
    stream.write(lines(6))
    stream.read_to_the_end()
    assert stream.numbers() == [0, 1, 3, 4, 5, 6]
    assert [one.kind for one in stream.noticed if one.generation == 1][-1] == "missing"
    assert stream.stored[1].state is FileState.MISSING


def test_what_was_deleted_unread_is_counted(stream):
    """As far as its size was seen. Cases 7 and 32."""
    stream.write(lines(1))
    stream.read()
    stream.write(lines(2, 3))
    stream.batch = 1
    stream.reader.look()
    stream.keep(stream.reader.take(1))
    os.unlink(stream.path())
    stream.restart()
    stream.read()
    (lost,) = [one for one in stream.noticed if one.kind == "lost"]
    assert (lost.unread, stream.stored[1].unread, stream.numbers()) == (8, 8, [1, 2])


def test_a_deleted_file_is_read_while_it_is_open(stream):
    """To its end, and what is written to it afterwards too. Case 32."""
    stream.write(lines(1))
    stream.read()
    with open(stream.path(), "ab") as writer:
        writer.write(lines(2))
        writer.flush()
        os.unlink(stream.path())
        assert stream.read().numbers() == [1, 2]
        writer.write(lines(3) + b'{"n":4}')
        writer.flush()
        stream.write(lines(5))
        stream.read_to_the_end()
    assert sorted(stream.numbers()) == [1, 2, 3, 4, 5]
    assert stream.stored[1].state is FileState.DONE
    assert "lost" not in stream.told


@pytest.mark.parametrize("sees_births", [True, False])
def test_an_inode_that_is_used_again(stream, monkeypatch, sees_births):
    """The new file is another one though it has the same inode and is larger. Case 8."""
    if not sees_births:
        monkeypatch.setattr("waycairn.streams.discovery.born", lambda *_: 0)
    stream.write(lines(1, 2))
    stream.read()
    old = os.stat(stream.path()).st_ino
    stream.restart()
    for _ in range(50):
        os.unlink(stream.path())
        stream.write(lines(*range(10, 20)))
        if os.stat(stream.path()).st_ino == old:
            break
    else:
        pytest.skip("this file system does not use inodes again at once")
    assert stream.read().numbers() == [1, 2, *range(10, 20)]


@pytest.mark.parametrize("restarts", [False, True])
def test_content_that_was_exchanged_under_the_same_face(stream, restarts):
    """Same inode, size and times: only its bytes tell. Case 9."""
    stream.write(lines(1, 2, 3))
    stream.read()
    status = os.stat(stream.path())
    if restarts:
        stream.restart()
    stream.write(lines(4, 5, 6), mode="r+b")
    os.utime(stream.path(), ns=(status.st_atime_ns, status.st_mtime_ns))
    assert stream.read().numbers() == [1, 2, 3, 4, 5, 6]
    assert stream.stored[1].state is FileState.REPLACED


@pytest.mark.parametrize("restarts", [False, True])
def test_truncated_to_less_than_was_read(stream, restarts):
    """From the beginning, with a word about what was not seen. Case 10."""
    stream.write(lines(1, 2, 3))
    stream.read()
    stream.write(lines(4, 5))
    stream.reader.look()
    stream.write(lines(9), mode="wb")
    if restarts:
        stream.restart()
    stream.read()
    assert stream.numbers()[:3] == [1, 2, 3]
    assert stream.numbers()[-1] == 9
    (told,) = [one for one in stream.noticed if one.kind in {"truncated", "replaced"}]
    assert told.unread == (0 if restarts else 16)  # what nobody looked at, nobody can count


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("has_new", [False, True])
def test_copytruncate_that_grew_past_the_offset(stream, restarts, has_new):
    """What was not read is read in the copy, the rest from the beginning, nothing twice. Case 11."""
    stream.write(lines(1, 2, 3))
    stream.read()
    if has_new:
        stream.write(lines(4, 5))
    shutil.copyfile(stream.path(), stream.path("app.jsonl.1"))
    stream.write(lines(*range(11, 20)), mode="r+b")
    if restarts:
        stream.restart()
    expected = [1, 2, 3, *([4, 5] if has_new else []), *range(11, 20)]
    assert stream.read_to_the_end().numbers() == expected
    assert stream.read_to_the_end().numbers() == expected
    stream.restart()
    assert stream.read_to_the_end().numbers() == expected


def test_copytruncate_step_by_step(stream):
    """Looked at between all steps: the copy in the making, the copy, the truncation."""
    content = lines(*range(1, 200))
    stream.write(content)
    stream.read()
    stream.write(lines(200))
    for end in (500, 1500, len(content)):
        stream.write(content[:end], "app.jsonl.1", mode="wb")
        assert stream.read().numbers() == list(range(1, 201))
    stream.write(lines(201))
    shutil.copyfile(stream.path(), stream.path("app.jsonl.1"))
    stream.reader.look()
    stream.restart()
    stream.write(b"", mode="wb")
    stream.write(lines(202))
    assert stream.read_to_the_end().numbers() == list(range(1, 203))
    stream.restart()
    assert stream.read_to_the_end().numbers() == list(range(1, 203))


def test_the_hole_of_a_writer_that_does_not_append(stream):
    """After a truncation it goes on where it was: a hole of NULs that takes no room, here of 40 GB. Case 12."""
    hole = 40 << 30
    stream.write(lines(1, 2))
    stream.read()
    os.truncate(stream.path(), 0)
    with open(stream.path(), "r+b") as file:
        file.seek(hole)
        file.write(lines(3, 4))
    begun = time.monotonic()
    stream.read()
    assert time.monotonic() - begun < 5
    assert stream.numbers() == [1, 2, 3, 4]
    assert (stream.counts.nuls, stream.dead) == (hole, [])
    assert stream.places[-2:] == [(2, hole), (2, hole + 8)]
    stream.restart()
    stream.write(lines(5))
    assert stream.read().numbers() == [1, 2, 3, 4, 5]


def test_nuls_before_lines_that_are_stored(stream):
    """Not only holes: NULs that stand there are left out too, wherever a block ends."""
    stream.write(b"\0" * (3 * MIB) + lines(1) + b"\0" * 5 + lines(2) + b"\0\n")
    stream.read()
    assert (stream.numbers(), stream.counts.nuls, stream.counts.blank) == ([1, 2], 3 * MIB + 6, 1)
    assert stream.places == [(1, 3 * MIB), (1, 3 * MIB + 13)]


# -- likeness --------------------------------------------------------------------------------------------------


def test_files_that_begin_alike_are_read_whole(tmp_path):
    """The same 10 KiB of header in both, and in one that comes later. Case 13."""
    header = lines(*range(100), pad=100)
    with Stream(tmp_path, "*.jsonl") as stream:
        stream.write(header + lines(101), "a.jsonl")
        stream.write(header + lines(102), "b.jsonl")
        stream.read()
        stream.write(header[:3000], "c.jsonl")
        stream.read()
        stream.write(header[3000:] + lines(103), "c.jsonl")
        stream.read()
    assert sorted(stream.numbers()) == sorted([*(list(range(100)) * 3), 101, 102, 103])


def test_small_files(tmp_path):
    """Empty ones, one byte, a hundred bytes. Cases 14 and 15."""
    with Stream(tmp_path, "*.jsonl") as stream:
        for name in ("a.jsonl", "b.jsonl"):
            stream.write(b"", name)
        stream.write(b"{", "c.jsonl")
        stream.write(lines(1, pad=80), "d.jsonl")
        assert stream.read().numbers() == [1]
        stream.restart()
        stream.write(lines(2), "a.jsonl")
        stream.write(lines(2), "b.jsonl")
        stream.write(b'"n":3}\n', "c.jsonl")
        assert sorted(stream.read().numbers()) == [1, 2, 2, 3]
    assert len(stream.stored) == 4


@pytest.mark.parametrize("restarts", [False, True])
def test_a_copy_of_a_file_that_is_kept(tmp_path, restarts):
    """Nothing of it is read twice; what is written to the copy is read. Case 16."""
    with Stream(tmp_path, "*.jsonl") as stream:
        stream.write(lines(1, 2, 3), "a.jsonl")
        stream.read()
        shutil.copyfile(stream.path("a.jsonl"), stream.path("b.jsonl"))
        assert stream.read().numbers() == [1, 2, 3]
        if restarts:
            stream.restart()
        stream.write(lines(4), "a.jsonl")
        stream.write(lines(5), "b.jsonl")
        assert sorted(stream.read().numbers()) == [1, 2, 3, 4, 5]
    assert stream.stored[2].copy_of == 1
    assert "copied" in stream.told


def test_a_copy_that_is_asked_to_be_read(tmp_path):
    """With on_copy="reread" a file that is only alike is a file of its own."""
    with Stream(tmp_path, "*.jsonl", on_copy="reread") as stream:
        stream.write(lines(1, 2, 3), "a.jsonl")
        stream.read()
        shutil.copyfile(stream.path("a.jsonl"), stream.path("b.jsonl"))
        assert stream.read().numbers() == [1, 2, 3, 1, 2, 3]


def test_links(tmp_path):
    """A symbolic link, its target and a hard link are one file. Case 17."""
    with Stream(tmp_path, "*.jsonl") as stream:
        stream.write(lines(1), "b.jsonl")
        os.symlink(stream.path("b.jsonl"), stream.path("a.jsonl"))
        os.link(stream.path("b.jsonl"), stream.path("c.jsonl"))
        stream.read()
        stream.write(lines(2), "c.jsonl")
        assert stream.read().numbers() == [1, 2]
        os.unlink(stream.path("b.jsonl"))
        stream.restart()
        stream.write(lines(3), "c.jsonl")
        assert stream.read().numbers() == [1, 2, 3]


def test_an_editor_that_saves_by_renaming(stream):
    """Another inode, the old lines and a new one: only that is read. Case 33."""
    stream.write(lines(1))
    stream.read()
    stream.write(lines(1, 2), "other.tmp")
    stream.rename("other.tmp", "app.jsonl")
    assert stream.read().numbers() == [1, 2]
    stream.restart()
    stream.write(lines(1, 2, 3), "other.tmp")
    stream.rename("other.tmp", "app.jsonl")
    assert stream.read().numbers() == [1, 2, 3]
    assert len(stream.stored) == 1


def test_an_edit_in_the_middle_is_not_seen(stream):
    """What was consumed is looked at by its ends only: this is what is promised, and no more. Case 34."""
    stream.write(lines(*range(1000)))
    stream.read()
    with open(stream.path(), "r+b") as file:
        file.seek(5000)
        file.write(b"{}")
    stream.restart()
    stream.write(lines(1000))
    assert stream.read().numbers() == list(range(1001))


def test_marks_on_the_way(stream):
    """Each 64 MiB has one: an edit that meets it is found by a check of them, not while the file is followed. Case 34."""
    stream.write(b"".join(lines(number, pad=1_000_000) for number in range(70)))
    stream.read()
    files = Rereading(stream.patterns, list(stream.stored.values()))
    assert [(one.marks, one.changed) for one in files.check()] == [(3, [])]
    with open(stream.path(), "r+b") as file:
        file.seek((64 << 20) - 10)
        file.write(b"y")
    assert [one.changed for one in files.check()] == [[((64 << 20) - 1024, 64 << 20)]]
    stream.restart()
    assert stream.read().numbers() == list(range(70))


def test_a_file_that_comes_back(stream):
    """Not there is not gone: a drive that was away for a while brings nothing twice. Rule 5."""
    stream.write(lines(1, 2))
    stream.read()
    stream.rename("app.jsonl", "elsewhere")
    stream.restart()
    stream.read()
    assert stream.stored[1].state is FileState.MISSING
    stream.rename("elsewhere", "app.jsonl")
    stream.write(lines(3))
    assert stream.read().numbers() == [1, 2, 3]
    assert stream.told[-2:] == ["missing", "returned"]


def test_a_file_that_was_restored_after_its_time(stream):
    """Known for 30 days, then read anew."""
    stream.write(lines(1))
    stream.read()
    stream.rename("app.jsonl", "elsewhere")
    stream.restart()
    stream.read()
    stream.clock.pass_(31 * 86400)
    stream.restart()
    stream.rename("elsewhere", "app.jsonl")
    assert stream.read().numbers() == [1, 1]


def test_the_archive_before_the_stream_is_left_alone(stream):
    """Rotated forms that were there first are not read, those that come are, at any pace."""
    stream.write(lines(1), "app.jsonl.2")
    time.sleep(0.02)
    stream.write(lines(2), "app.jsonl.1")
    time.sleep(0.05)
    stream.clock.wall = time.time()
    stream.write(lines(3))
    assert stream.read().numbers() == [3]
    stream.restart()
    for old, new in (("app.jsonl.2", "app.jsonl.4"), ("app.jsonl.1", "app.jsonl.3"), ("app.jsonl", "app.jsonl.2")):
        stream.rename(old, new)
    time.sleep(0.02)
    stream.write(lines(4), "app.jsonl.1")
    stream.write(lines(5))
    assert stream.read_to_the_end().numbers() == [3, 4, 5]


# -- compressed ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("keeps_original", [False, True])
def test_compressed_while_half_read(stream, restarts, keeps_original):
    """It goes on in the compressed file, at the place in what was compressed. Case 18."""
    stream.batch = 1
    stream.write(lines(1, 2, 3, 4))
    stream.reader.look()
    stream.keep(stream.reader.take(2))
    stream.write(gzip.compress(lines(1, 2, 3, 4, 5)), "app.jsonl.1.gz")
    if not keeps_original:
        os.unlink(stream.path())
    if restarts:
        stream.restart()
    stream.write(lines(6), "app.jsonl.new")
    stream.rename("app.jsonl.new", "app.jsonl")
    assert sorted(stream.read_to_the_end().numbers()) == [1, 2, 3, 4, 5, 6]
    assert stream.numbers()[:2] == [1, 2]


def test_compressed_beside_its_original(stream):
    """gzip leaves the original until it is through: at no step is anything read twice."""
    stream.write(lines(1, 2))
    stream.read()
    stream.rename("app.jsonl", "app.jsonl.1")
    stream.write(lines(3), "app.jsonl.1")
    whole = gzip.compress(lines(1, 2, 3))
    for end in (0, 5, 15, len(whole) - 4, len(whole)):
        stream.write(whole[:end], "app.jsonl.1.gz", mode="wb")
        stream.read()
    os.unlink(stream.path("app.jsonl.1"))
    assert stream.read_to_the_end().numbers() == [1, 2, 3]
    stream.restart()
    assert stream.read_to_the_end().numbers() == [1, 2, 3]
    assert stream.dead == []


def test_a_compressed_file_that_is_being_written(tmp_path):
    """Read as it grows, member after member, and waited for. Case 19."""
    with Stream(tmp_path, "*.gz") as stream:
        packer = zlib.compressobj(wbits=31)
        stream.write(packer.compress(lines(1, 2)) + packer.flush(zlib.Z_SYNC_FLUSH), "a.gz")
        assert stream.read().numbers() == [1, 2]
        stream.clock.pass_(20)
        stream.write(packer.compress(lines(3)) + packer.flush(), "a.gz")
        stream.write(gzip.compress(lines(4))[:10], "a.gz")
        assert stream.read().numbers() == [1, 2, 3]
        stream.restart()
        stream.write(gzip.compress(lines(4))[10:], "a.gz")
        assert stream.read_to_the_end().numbers() == [1, 2, 3, 4]
    assert (stream.dead, stream.stored[1].state) == ([], FileState.DONE)


def test_a_compressed_file_that_was_cut_off(tmp_path):
    """Waited for a minute, then it is a dead letter; if it goes on after all, so does reading. Case 19."""
    content = lines(*range(1000), pad=20)
    whole = gzip.compress(content)
    with Stream(tmp_path, "*.gz") as stream:
        stream.write(whole[: len(whole) // 2], "a.gz")
        stream.read()
        stream.clock.pass_(50)
        read = stream.read().numbers()
        assert read == list(range(len(read)))
        assert (0 < len(read) < 1000, stream.dead) == (True, [])
        stream.clock.pass_(10)
        stream.read()
        assert (stream.kinds, stream.stored[1].state) == (["damaged"], FileState.DONE)
        stream.write(whole[len(whole) // 2 :], "a.gz")
        assert stream.read().numbers() == list(range(1000))
    assert stream.kinds == ["damaged"]


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_a_compressed_file_with_a_wrong_checksum(tmp_path, batch):
    """All of it is read and the error is kept, whatever the batch. Case 19."""
    whole = bytearray(gzip.compress(lines(*range(100))))
    whole[-8] ^= 1
    with Stream(tmp_path, "*.gz", batch=batch) as stream:
        stream.write(whole, "a.gz")
        assert stream.read_to_the_end().numbers() == list(range(100))
        (letter,) = stream.dead
        assert (letter.kind, "incorrect data check" in letter.error) == ("damaged", True)
        stream.restart()
        assert stream.read_to_the_end().numbers() == list(range(100))
    assert len(stream.dead) == 1


# -- many files, and odd ones ----------------------------------------------------------------------------------


def test_thousands_of_files_with_few_descriptors(tmp_path):
    """Ten lines each, 64 open files allowed, one of them busy. Case 25."""
    code = (
        "import resource, sys; sys.path[:0] = sys.argv[2:]\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n"
        "from streamed import Stream, lines\n"
        "with Stream(sys.argv[1], '*.jsonl') as stream:\n"
        "    for number in range(2000):\n"
        "        stream.write(lines(*range(10)), f'{number:05d}.jsonl')\n"
        "    stream.write(lines(*range(100_000)), 'busy.jsonl')\n"
        "    stream.read()\n"
        "    print(len(stream.events), len(stream.stored))\n"
        "    stream.restart()\n"
        "    stream.write(lines(10), '00007.jsonl')\n"
        "    print(len(stream.read().events))\n"
    )
    tests = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    command = [sys.executable, "-c", code, str(tmp_path), tests, *sys.path]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert out == ["120000 2001", "120001"]


def test_a_busy_file_does_not_starve_the_others(tmp_path):
    """After its turn it is the next one's turn."""
    with Stream(tmp_path, "*.jsonl", turn=4096) as stream:
        stream.write(lines(*range(100_000)), "a.jsonl")
        for number in range(5):
            stream.write(lines(-1 - number), f"b{number}.jsonl")
        for _ in range(4):
            stream.keep(stream.reader.take(1000))
        assert sorted(number for number in stream.numbers() if number < 0) == [-5, -4, -3, -2, -1]


@pytest.fixture
def open_folder():
    """A directory that others may go into."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield folder


def test_what_is_no_file(open_folder):
    """A directory, a FIFO, and a file that cannot be read are told once and left out. Case 30."""
    with Stream(open_folder, "*.jsonl", "sub") as stream:
        os.mkdir(stream.path("dir.jsonl"))
        os.mkdir(stream.path("sub"))
        os.mkfifo(stream.path("fifo.jsonl"))
        os.symlink("nowhere", stream.path("link.jsonl"))
        stream.write(lines(1), "good.jsonl")
        stream.write(lines(2), "secret.jsonl")
        os.chmod(stream.path("secret.jsonl"), 0)
        with as_nobody():
            stream.read()
            stream.read()
        told = [os.path.basename(one.path) for one in stream.noticed if one.kind == "unreadable"]
        assert sorted(told) == [b"dir.jsonl", b"fifo.jsonl", b"secret.jsonl", b"sub"]
        assert stream.numbers() == [1]
        os.chmod(stream.path("secret.jsonl"), 0o600)
        assert sorted(stream.read().numbers()) == [1, 2]


@contextlib.contextmanager
def as_nobody():
    """Root may read everything."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


def test_a_file_that_goes_between_look_and_open(stream, monkeypatch):
    """The others go on."""
    from waycairn.streams import discovery

    real = discovery._Folder._looked

    def vanishing(folder, name, path, status, notes):
        seen = real(folder, name, path, status, notes)
        if name == b"app.jsonl":
            os.unlink(path)
        return seen

    stream.write(lines(1))
    stream.write(lines(2), "b.jsonl")
    stream.patterns.append(stream.path("b.jsonl"))
    stream.restart()
    monkeypatch.setattr(discovery._Folder, "_looked", vanishing)
    assert stream.read().numbers() == [2]


def test_clocks_that_jump(stream):
    """Neither times of files nor that of the host decide what is read. Case 31."""
    stream.write(lines(1))
    os.utime(stream.path(), (2_000_000_000, 2_000_000_000))
    stream.read()
    stream.clock.wall -= 3600
    stream.write(lines(2))
    os.utime(stream.path(), (1_000_000_000, 1_000_000_000))
    assert stream.read().numbers() == [1, 2]
    stream.restart()
    stream.write(lines(3))
    assert stream.read().numbers() == [1, 2, 3]
    assert stream.reader.lag().seconds == 0.0


@pytest.mark.parametrize(
    "name", ["caf\u00e9.jsonl", "cafe\u0301.jsonl", b"new\nline.jsonl", b"\xff\xfe.jsonl", "[x].jsonl"]
)
def test_names_of_any_bytes(tmp_path, name):
    """Paths are bytes. Case 35."""
    with Stream(tmp_path, "*.jsonl") as stream:
        stream.write(lines(1), name)
        stream.read()
        stream.rename(name, os.fsencode(name) + b".1")
        stream.write(lines(2), name)
        stream.restart()
        assert stream.read().numbers() == [1, 2]
    assert os.path.basename(stream.stored[2].path) == os.fsencode(name)


# -- batches ---------------------------------------------------------------------------------------------------


def test_a_batch_that_is_put_back_comes_again(stream):
    """The same events at the same places, not the objects that the caller may have changed."""
    stream.write(lines(1, 2, 3) + b"bad\n" + lines(4))
    first = stream.reader.take(4)
    for event in first.portions[0].events:
        event.clear()
    stream.reader.put_back(first)
    stream.write(lines(5))
    stream.reader.look()
    again = stream.reader.take(1000)
    assert [event["n"] for event in again.portions[0].events] == [1, 2, 3]
    assert (again.portions[0].places, again.changed) == (first.portions[0].places, first.changed)
    assert again.portions[0].dead == first.portions[0].dead
    stream.keep(again)
    assert stream.read().numbers() == [1, 2, 3, 4, 5]


def test_one_batch_is_out_at_a_time(stream):
    """Whoever asks for another before is told so, and what is kept is what was given."""
    stream.write(lines(1, 2))
    taken = stream.reader.take(1)
    with pytest.raises(RuntimeError, match="keep it or put it back"):
        stream.reader.take(1)
    with pytest.raises(ValueError, match="not the one"):
        stream.reader.keep(msgspec.structs.replace(taken))
    stream.keep(taken)
    assert stream.read().numbers() == [1, 2]


def test_stopping_at_a_line_that_cannot_be_used(tmp_path):
    """Nothing moves; with the line mended it goes on from there. Case 36."""

    def pick(event):
        if event["n"] == 3 and strict:
            raise KeyError("three")
        return event

    strict = True
    with Stream(tmp_path, parser=Parser(transform=pick, on_error="stop"), batch=2) as stream:
        stream.write(lines(1, 2, 3, 4))
        with pytest.raises(
            LineUnusable, match=r"line 3 of .*app.jsonl \(byte 16, 7 bytes\).*KeyError: 'three'"
        ) as told:
            stream.read()
        assert told.value.letter.kind == "transform"
        assert stream.stored[1].offset == 16
        with pytest.raises(LineUnusable):
            stream.read()
        strict = False
        assert stream.read().numbers() == [1, 2, 3, 4]


def test_lag(tmp_path):
    """Bytes, seconds and files behind; also without a reader. Rule 19."""
    with Stream(tmp_path, "*.jsonl") as stream:
        assert stream.reader.lag().files == 0
        stream.write(lines(1, 2), "a.jsonl")
        stream.write(lines(3), "b.jsonl")
        for name, age in (("a.jsonl", 60), ("b.jsonl", 10)):
            os.utime(stream.path(name), (stream.clock.wall - age, stream.clock.wall - age))
        apart = lag_of(stream.patterns, [], stream.clock.wall)
        assert (apart.bytes, apart.files, apart.oldest, round(apart.seconds)) == (24, 2, None, 60)
        stream.reader.look()
        lag = stream.reader.lag()
        assert (lag.bytes, lag.files, lag.oldest, round(lag.seconds)) == (24, 2, 1, 60)
        stream.keep(stream.reader.take(1))
        assert stream.reader.lag().bytes == 16
        assert lag_of(stream.patterns, list(stream.stored.values()), stream.clock.wall).bytes == 16
        stream.read()
        assert stream.reader.lag().bytes == 0


PIECES = st.lists(
    st.one_of(
        st.binary(max_size=30),
        st.sampled_from(
            [b"\n", b"\r\n", b"\0\0\0", b"\xef\xbb\xbf", b'{"n":1}\n', b'{"n":2}\r\n', b"  \n", b"[1]\n", b"x" * 40]
        ),
    ),
    max_size=20,
)


@settings(max_examples=150, deadline=None)
@given(pieces=PIECES, seed=st.integers(0, 2**32))
def test_any_bytes_in_any_batches_with_any_stops(tmp_path_factory, pieces, seed):
    """Give the same events and dead letters as reading all of it in one go. Case 37."""
    # What begins like a compressed file and is none is told as damaged each time that it has grown.
    assume(not b"".join(pieces).startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd")))
    chance = random.Random(seed)
    folder = tmp_path_factory.mktemp("any")
    options = {"line_limit": 32, "once": True, "final_line": "wait"}
    with Stream(folder, "whole.jsonl", **options) as whole, Stream(folder, "parts.jsonl", turn=50, **options) as parts:
        whole.write(b"".join(pieces), "whole.jsonl")
        whole.read()
        for piece in pieces:
            parts.write(piece, "parts.jsonl")
            parts.batch = chance.randint(1, 4)
            for _ in range(chance.randint(0, 3)):
                _one_step(parts, chance)
        parts.write(b"", "parts.jsonl")
        parts.read()
        assert parts.events == whole.events
        assert parts.places == whole.places
        assert [_told(letter) for letter in parts.dead] == [_told(letter) for letter in whole.dead]
        assert parts.counts == whole.counts
        assert [_marks(one) for one in parts.stored.values()] == [_marks(one) for one in whole.stored.values()]


def _one_step(stream, chance):
    stream.reader.look()
    taken = stream.reader.take(stream.batch)
    if taken is not None and chance.random() < 0.7:
        stream.keep(taken)
    elif taken is not None and chance.random() < 0.5:
        stream.reader.put_back(taken)
        stream.keep(stream.reader.take(1000))
    else:
        stream.restart()


def _told(letter):
    return letter.offset, letter.length, letter.line, letter.kind, letter.head, letter.digest


def _marks(generation):
    head = generation.head if generation.offset else None  # of what was there at the look
    return generation.offset, generation.lines, head, generation.tail, generation.posts
