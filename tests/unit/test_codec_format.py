"""The bytes on disk: what a version means stays what it meant."""

import dataclasses
import datetime as dt
import doctest
import enum
import hashlib
from collections import Counter, OrderedDict, defaultdict, deque
from decimal import Decimal
from pathlib import PurePosixPath
from uuid import UUID

import msgspec
import pytest

import waycairn.codec
from codec_states import fetcher, round_trip
from waycairn.codec import Types, codes, decode, encode
from waycairn.errors import Damaged, StoreTooNew


class Colour(enum.Enum):
    RED = 1


@dataclasses.dataclass
class Point:
    x: int
    colour: Colour


for kind in (Colour, Point):
    kind.__module__ = "shapes"

GOLDEN = {
    "01 00 82 a1 61 cb 3f f8 00 00 00 00 00 00 01 92 c0 c4 01 62": {"a": 1.5, 1: [None, b"b"]},
    "01 01 82 a4 70 61 67 65 07 a4 73 65 65 6e 93 c7 00 20 c3 c0": {"page": 7, "seen": (True, None)},
    "01 00 c7 09 01 00 00 00 00 00 00 00 00 01": 2**64,
    "01 00 d8 02 00 00 00 00 00 00 f0 3f 00 00 00 00 00 00 00 c0": 1 - 2j,
    "01 00 c7 03 03 ed a0 80": "\ud800",
    "01 00 d6 04 07 ea 0b 15": dt.date(2026, 11, 21),
    "01 00 d7 05 01 02 03 00 00 00 04 00": dt.time(1, 2, 3, 4),
    "01 00 c7 15 06 07 ea 0b 15 01 02 03 00 00 00 04 00 6f 00 00 00 01 ad 27 48 00": dt.datetime(
        2026, 11, 21, 1, 2, 3, 4, dt.timezone(dt.timedelta(hours=2))
    ),
    "01 00 c7 0c 07 ff ff ff ff 00 00 00 01 00 00 00 02": dt.timedelta(days=-1, seconds=1, microseconds=2),
    "01 00 d6 08 31 2e 35 30": Decimal("1.50"),
    "01 00 d8 09 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 05": UUID(int=5),
    "01 00 d6 0a 70 61 2f 62": PurePosixPath("a/b"),
    "01 00 d4 0b 65": ...,
    "01 01 93 c7 00 21 01 02": {2, 1},
    "01 01 93 c7 00 23 92 c7 00 20 01": None,
    "01 01 94 c7 00 24 c0 a1 61 01": OrderedDict(a=1),
    "01 01 94 c7 00 25 c0 a1 61 01": Counter("a"),
    "01 01 94 c7 00 26 a4 6c 69 73 74 a1 61 01": defaultdict(list, a=1),
    "01 01 93 c7 00 27 05 01": deque([1], 5),
    "01 01 92 c7 00 28 c4 01 61": bytearray(b"a"),
    "01 01 94 c7 00 29 00 09 02": range(0, 9, 2),
}


@pytest.mark.parametrize(("document", "state"), [(d, s) for d, s in GOLDEN.items() if s is not None])
def test_golden_documents(document, state):
    """Documents of version 1, byte for byte."""
    assert encode(state).document.hex(" ") == document
    assert decode(bytes.fromhex(document), None) == state


def test_a_golden_object():
    """The table of shapes, and objects that refer to it by digest."""
    document = encode(Point(5, Colour.RED)).document
    assert document.hex(" ") == (
        "01 03 42 00 00 00 92 "
        "93 c4 08 0a ed 56 31 9a 45 57 6b ac 73 68 61 70 65 73 3a 50 6f 69 6e 74 92 a1 78 a6 63 6f 6c 6f 75 72 "
        "93 c4 08 1c 40 e9 36 d1 74 88 cd ad 73 68 61 70 65 73 3a 43 6f 6c 6f 75 72 91 a4 6e 61 6d 65 "
        "93 d7 30 0a ed 56 31 9a 45 57 6b 05 92 d7 30 1c 40 e9 36 d1 74 88 cd a3 52 45 44"
    )
    assert decode(document, None, types=Types.of(Point)) == Point(5, Colour.RED)


def test_an_object_by_the_description():
    """The package docstring says enough to read an object with msgpack alone."""
    document = encode(Point(5, Colour.RED)).document
    length = int.from_bytes(document[2:6], "little")
    table = {bytes(d): (name, fields) for d, name, fields in msgspec.msgpack.decode(document[6 : 6 + length])}
    assert sorted(table.values()) == [("shapes:Colour", ["name"]), ("shapes:Point", ["x", "colour"])]
    mark, x, colour = msgspec.msgpack.decode(document[6 + length :])
    assert (mark.code, table[mark.data], x) == (48, ("shapes:Point", ["x", "colour"]), 5)
    assert (colour[0].code, table[colour[0].data], colour[1]) == (48, ("shapes:Colour", ["name"]), "RED")
    digest = hashlib.blake2b(msgspec.msgpack.encode(["shapes:Colour", ["name"]]), digest_size=8).digest()
    assert colour[0].data == digest


def test_the_example_in_the_docstring():
    """The hex example that docs/reference/format.md shows."""
    results = doctest.testmod(waycairn.codec)
    assert (results.attempted, results.failed) == (1, 0)


def test_every_code_is_described():
    """The docstring names the code of every extension type."""
    numbers = {
        value
        for name, value in vars(codes).items()
        if name.isupper() and isinstance(value, int) and name not in {"MARKED", "SHAPED", "VERSION", "FIRST_MARK"}
    } - {codes.MAX_DEPTH, codes.INLINE, codes.ALIGNMENT, codes.LOOK_DEPTH}
    for number in numbers:
        assert f" {number}  " in waycairn.codec.__doc__, number


def test_a_later_version_is_named():
    """A document of version 2 says that waycairn has to be upgraded; it is not called damaged."""
    with pytest.raises(StoreTooNew, match=r"format 2; this waycairn reads format 1.*Upgrade"):
        decode(b"\x02\x00\xc0", None)


@pytest.mark.parametrize(
    "document", [b"", b"\x01", b"\x01\x00", b"\x01\x04\xc0", b"\x01\x00\xc0\xc0", b"\x01\x02\xff\xff\xff\xff\xc0"]
)
def test_a_wrong_frame_is_damage(document):
    """Too short, unknown flags, trailing bytes, a table longer than the document."""
    with pytest.raises(Damaged, match="waycairn doctor"):
        decode(document, None)


def test_bytes_do_not_depend_on_what_stands_before():
    """An object has the same bytes wherever it stands and whatever other types the document holds."""
    element = bytes.fromhex("93 d7 30 0a ed 56 31 9a 45 57 6b 05 92 d7 30 1c 40 e9 36 d1 74 88 cd a3 52 45 44")
    for state in ([Point(5, Colour.RED)], [Decimal(1), Colour.RED, {1}, Point(5, Colour.RED), 5]):
        assert element in encode(state).document


def test_documents_may_be_any_buffer():
    """bytes, bytearray, memoryview."""
    encoded = encode({"a": (1,)})
    for kind in (bytes, bytearray, memoryview):
        assert decode(kind(encoded.document), fetcher(encoded)) == {"a": (1,)}
    assert round_trip({"a": (1,)}) == {"a": (1,)}
