"""Lines into events and dead letters."""

import dataclasses
import sys

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from waycairn.errors import LineUnusable
from waycairn.streams.lines import OddLine
from waycairn.streams.parsing import Parser, Where


class Event(msgspec.Struct):
    n: int
    s: str = ""


@dataclasses.dataclass
class Plain:
    n: int


WHERE = Where(generation=7, path=b"/a", place=100, line=11, at=5.0)


def parse(*lines, parser=None, where=WHERE):
    return (parser or Parser()).parse([line + b"\n" for line in lines], where)


DEEP = b'{"n":1,"s":' + b"[" * 2000 + b"]" * 2000 + b"}"
QUIRKS = [  # what the two parsers of ours make of what JSON parsers disagree about
    (b'{"n":NaN}', "malformed", "malformed"),
    (b'{"n":Infinity}', "malformed", "malformed"),
    (b'{"n":1e400}', "malformed", "malformed"),
    (b'{"n":9223372036854775808}', 2**63, 2**63),
    (b'{"n":18446744073709551616}', 2**64, 2**64),
    (b'{"n":%s}' % (b"9" * 400), int("9" * 400), int("9" * 400)),
    (b'{"n":1,"s":"\\ud800"}', "malformed", "malformed"),
    (b'{"n":1,"s":"\xff"}', "malformed", "malformed"),
    (b'{"n":1,"unused":"\xff"}', "malformed", 1),
    (b'{"n":1,"unused":1e400}', "malformed", 1),
    (b'\xff\xfe{\0"\0n\0"\0:\x001\0}\0', "malformed", "malformed"),
    (b'{"n":1,"s":"a\0b"}', "malformed", "malformed"),
    (b'{"n":1,"s":"a\tb"}', "malformed", "malformed"),
    (b'{"n":1,"s":"a\\u0000b"}', 1, 1),
    (b"1", "not_object", "not_object"),
    (b"null", "not_object", "not_object"),
    (b'[{"n":1}]', "not_object", "not_object"),
    (b'"n"', "not_object", "not_object"),
    (DEEP, "malformed", "malformed"),
    (b'{"n":1,}', "malformed", "malformed"),
    (b'{"n":1}{"n":2}', "malformed", "malformed"),
    (b'{"n":1}\r{"n":2}', "malformed", "malformed"),
    (b"{'n':1}", "malformed", "malformed"),
    (b'{"n":1,"n":2}', 2, 2),
    (b'  {"n":1} \t', 1, 1),
    (b'{"n":"1"}', "1", "schema"),
    (b"{}", None, "schema"),
]


@pytest.mark.parametrize(("line", "untyped", "typed"), QUIRKS)
def test_quirks_of_json(line, untyped, typed):
    """Every one has a written outcome, the same alone and among good lines."""
    for parser, expected in ((Parser(), untyped), (Parser(Event), typed)):
        for lines in ([line], [b'{"n":0}', line, b'{"n":9}']):
            parsed = parse(*lines, parser=parser)
            got = [event.get("n") if isinstance(event, dict) else event.n for event in parsed.events]
            if len(lines) > 1:
                assert (got.pop(0), got.pop()) == (0, 9)
            assert [letter.kind for letter in parsed.dead] + got == [expected]
            assert all(isinstance(value, type(expected)) for value in got)


def test_a_dead_letter_tells_all():
    """Where, why, how it begins, and the hash by which it is found again."""
    parsed = parse(b'{"n":1}', b"\0\0{bad}\r", b'{"n":2}')
    assert [event["n"] for event in parsed.events] == [1, 2]
    assert (parsed.places, parsed.end) == ([100, 117], 125)
    (letter,) = parsed.dead
    assert (letter.generation, letter.path, letter.offset, letter.length, letter.line) == (7, b"/a", 110, 5, 12)
    assert (letter.kind, letter.head, letter.at) == ("malformed", b"{bad}", 5.0)
    assert "malformed" in letter.error
    counts = parsed.counts
    assert (counts.events, counts.dead, counts.blank, counts.nuls, counts.bytes) == (2, 1, 0, 2, 25)


@pytest.mark.parametrize("schema", [None, Event, Plain, dict[str, int]])
def test_schemas(schema):
    """Any type that can be decoded."""
    parsed = parse(b'{"n":1}', b'{"n":2}', parser=Parser(schema))
    assert len(parsed.events) == 2
    assert type(parsed.events[0]) is (dict if schema is None or isinstance(schema, type(dict[str, int])) else schema)


def test_a_function_as_schema():
    """It gets the text of a line; None is skipped, what it raises makes a dead letter."""
    seen = []

    def split(text):
        seen.append(text)
        if text == b"#":
            return None
        return text.decode("ascii").split(",")

    parsed = parse(b"a,b\r", b"#", b"", b"\xff", parser=Parser(split))
    assert (parsed.events, seen) == ([["a", "b"]], [b"a,b", b"#", b"\xff"])
    assert [(letter.kind, letter.error[:18]) for letter in parsed.dead] == [("malformed", "UnicodeDecodeError")]
    assert (parsed.counts.skipped, parsed.counts.blank) == (1, 1)


def deeper(event):
    return deeper(event)


def forget(event):
    raise MemoryError


@pytest.mark.parametrize(
    ("transform", "error"),
    [(lambda event: 1 / event["n"], "ZeroDivisionError"), (deeper, "RecursionError"), (forget, "MemoryError")],
)
def test_a_transform_that_raises(transform, error):
    """Is said of that event alone."""
    parsed = parse(b'{"n":0}', b"", parser=Parser(transform=transform))
    assert parsed.events == []
    (letter,) = parsed.dead
    assert (letter.kind, letter.head, letter.offset) == ("transform", b'{"n":0}', 100)
    assert letter.error.startswith(error)


def test_a_transform_is_called_once_for_each_event():
    """Also when a bad line makes all of them be looked at again."""
    calls = []
    parse(b'{"n":1}', b"bad", b'{"n":2}', parser=Parser(transform=lambda event: calls.append(event["n"])))
    assert calls == [1, 2]


def test_interruptions_pass():
    """They are said of the process and not of a line."""

    def interrupt(event):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        parse(b'{"n":1}', parser=Parser(transform=interrupt))


def test_what_becomes_of_bad_lines():
    """Kept, skipped, or the end."""
    assert parse(b"bad", parser=Parser(on_error="skip")).counts.skipped == 1
    with pytest.raises(LineUnusable, match=r"line 11 of /a \(byte 100, 3 bytes\) cannot be used: malformed.*b'bad'"):
        parse(b"bad", parser=Parser(on_error="stop"))
    with pytest.raises(ValueError, match="dead_letter, stop, skip"):
        Parser(on_error="ignore")
    with pytest.raises(TypeError, match="schema is a type"):
        Parser("Event")


def test_a_line_without_its_end():
    """Is an event if it parses, and truncated if not."""
    parsed = Parser().parse([b'{"n":1}'], WHERE)
    assert parsed.events == [{"n": 1}]
    for text in (b'{"n":', b"12"):
        (letter,) = Parser().parse([text], WHERE).dead
        assert letter.kind == "truncated"


def test_too_long_a_line():
    """Its hash and length are those that were taken while it was let go."""
    odd = OddLine(3)
    odd.add(b"x" * 5000 + b"\n")
    parsed = Parser().parse([b'{"n":1}\n', odd], WHERE)
    (letter,) = parsed.dead
    assert (letter.kind, letter.offset, letter.length, len(letter.head)) == ("too_long", 111, 5000, 4096)
    assert parsed.counts.nuls == 3


def test_how_deep_is_too_deep_does_not_depend_on_the_caller():
    """A line that a shallow caller can decode is decoded for a deep one."""
    depth = sys.getrecursionlimit() * 7 // 10
    line = b'{"n":' + b"[" * depth + b"]" * depth + b"}"

    def from_below(steps):
        return from_below(steps - 1) if steps else parse(line)

    assert len(from_below(0).events) == 1
    assert len(from_below(depth // 2).events) == 1


def test_names_tell_one_parser_from_another():
    """A field more is another schema."""
    more = msgspec.defstruct("Event", [("n", int), ("s", str, ""), ("t", int, 0)], module=__name__)
    names = {Parser(schema).name for schema in (None, Event, Plain, more, len)}
    assert len(names) == 5
    assert Parser(Event).name == f"JSON as {__name__}.Event (n: int, s: str)"
    assert Parser(transform=len).name == "JSON objects, then builtins.len"


LINES = st.lists(
    st.one_of(
        st.sampled_from([line for line, _, _ in QUIRKS if line is not DEEP] + [b"", b" ", b"\0"]), st.binary(max_size=8)
    ),
    max_size=12,
)


@given(lines=LINES, cut=st.integers(0, 12), schema=st.sampled_from([None, Event]))
def test_the_same_alone_and_together(lines, cut, schema):
    """Where one block of lines ends and the next begins changes nothing."""
    whole = [line.replace(b"\n", b"") + b"\n" for line in lines]
    parser = Parser(schema)
    together = parser.parse(whole, WHERE)
    before = parser.parse(whole[:cut], WHERE)
    after = parser.parse(
        whole[cut:], Where(WHERE.generation, WHERE.path, before.end, WHERE.line + len(whole[:cut]), WHERE.at)
    )
    assert together.events == [*before.events, *after.events]
    assert together.places == [*before.places, *after.places]
    assert together.dead == [*before.dead, *after.dead]
    assert together.counts == before.counts + after.counts
