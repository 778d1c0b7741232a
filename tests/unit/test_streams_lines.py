"""Cutting bytes into lines."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waycairn.streams.lines import Cutter, OddLine, first_bytes, last_bytes, text_of


def cut(pieces, limit=1 << 20):
    cutter = Cutter(limit)
    lines = [line for piece in pieces for line in cutter.cut(b"#" + piece, 1)]
    return lines, cutter


def shown(line):
    if isinstance(line, bytes):
        return line
    return (line.nuls, line.text) if line.text is not None else (line.nuls, line.length, line.head, line.sha256)


def test_only_at_newlines():
    """A carriage return, a form feed or a line separator ends no line."""
    content = b"a\rb\x0bc\x0cd\x85e\xe2\x80\xa8f\n\ng\r\nh"
    lines, cutter = cut([content])
    assert lines == [b"a\rb\x0bc\x0cd\x85e\xe2\x80\xa8f\n", b"\n", b"g\r\n"]
    assert (cutter.unfinished, cutter.flush()) == (1, [b"h"])


TEXTS = st.lists(st.one_of(st.binary(max_size=40), st.sampled_from([b"\n", b"\0\0\0", b"\r\n", b"\r"])), max_size=15)


@given(pieces=TEXTS, limit=st.sampled_from([3, 10, 1000]))
def test_the_sizes_of_blocks_do_not_matter(pieces, limit):
    """The same lines in one piece and byte by byte, and their lengths add up."""
    whole = b"".join(pieces)
    for blocks in (pieces, [whole[place : place + 1] for place in range(len(whole))]):
        lines, cutter = cut(blocks, limit)
        expected, all_at_once = cut([whole], limit)
        assert [meaning(line) for line in lines] == [meaning(line) for line in expected]
        assert sum(map(len, lines)) + cutter.unfinished == len(whole)
        assert cutter.has_rest == all_at_once.has_rest
        end = sum(map(len, lines))
        assert last_bytes(lines, b"") == whole[:end][-1024:]
        assert first_bytes(lines, b"") == whole[:end][:1024]


def meaning(line):
    """A line with NULs before it may be kept with them or without."""
    if isinstance(line, bytes):
        return len(line) - len(line.lstrip(b"\0")), line.lstrip(b"\0")
    return shown(line)


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
@pytest.mark.parametrize("block", [1, 7, 1000])
def test_too_long(newline, block):
    """Only the beginning of it is kept; length and hash are those of the text."""
    text = bytes(range(65, 91)) * 200
    whole = b"x\n" + text + newline + b"y\n"
    lines, cutter = cut([whole[place : place + block] for place in range(0, len(whole), block)], limit=5199)
    short, odd, last = lines
    assert (short, last, cutter.unfinished) == (b"x\n", b"y\n", 0)
    assert (odd.text, odd.length, odd.head) == (None, 5200, text[:4096])
    assert odd.sha256 == hashlib.sha256(text).digest()
    assert len(odd) == 5200 + len(newline)
    assert odd.end == (text + newline)[-1024:]


def test_as_long_as_is_allowed():
    """The limit is that of the text, without its newline."""
    for newline in (b"\n", b"\r\n"):
        lines, _ = cut([b"abc" + newline, b"\0\0\0abc" + newline, b"abcd" + newline], limit=3)
        assert [isinstance(line, OddLine) and line.text is None for line in lines] == [False, False, True]


def test_an_endless_line_takes_no_room():
    """What is over the limit is hashed and let go."""
    cutter = Cutter(1000)
    for _ in range(1000):
        assert cutter.cut(b"z" * 1000) == []
    assert cutter.unfinished == 1_000_000
    assert len(cutter._rest) + len(cutter._long.head) + len(cutter._long.end) < 6000
    assert cutter.rest().length == 1_000_000
    assert cutter.cut(b"z\n")[0].sha256 == hashlib.sha256(b"z" * 1_000_001).digest()


def test_a_hole_is_not_kept():
    """NULs before a line are counted, whether they were read or gone over."""
    cutter = Cutter()
    cutter.cut(b"\0" * 1000)
    cutter.add_nuls(1 << 40)
    assert (cutter.has_rest, cutter.unfinished, cutter._rest) == (False, 1000 + (1 << 40), b"")
    (line,) = cutter.cut(b"\0abc\n")
    assert (line.nuls, line.text, len(line)) == (1001 + (1 << 40), b"abc\n", 1005 + (1 << 40))
    assert cutter.unfinished == 0


@pytest.mark.parametrize(
    ("line", "place", "expected"),
    [
        (b"abc\n", 0, (b"abc", 0)),
        (b"abc\r\n", 5, (b"abc", 0)),
        (b"abc\r\r\n", 5, (b"abc\r", 0)),
        (b"abc", 5, (b"abc", 0)),
        (b"\xef\xbb\xbfabc\n", 0, (b"abc", 3)),
        (b"\xef\xbb\xbfabc\n", 5, (b"\xef\xbb\xbfabc", 0)),
        (b"\0\0abc\0\n", 5, (b"abc\0", 2)),
        (b"\n", 5, (b"", 0)),
    ],
)
def test_what_a_parser_sees(line, place, expected):
    """Without newline, NULs and the mark at the beginning of a file."""
    assert text_of(line, place) == expected
