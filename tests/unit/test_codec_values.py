"""Every value of DESIGN section 5 comes back as it was: the same type, the same bits."""

import dataclasses
import datetime as dt
import math
import random
import struct
from collections import Counter, OrderedDict, defaultdict, deque
from decimal import Decimal
from pathlib import PurePath, PurePosixPath, PureWindowsPath
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from codec_states import bits, fetcher, round_trip, same
from waycairn.codec import Types, decode, encode, register

FLOATS = st.integers(0, 2**64 - 1).map(lambda n: struct.unpack("<d", n.to_bytes(8, "little"))[0])
ZONES = st.one_of(
    st.none(),
    st.sampled_from([dt.UTC, ZoneInfo("Europe/Berlin"), ZoneInfo("UTC")]),
    st.timedeltas(dt.timedelta(hours=-23), dt.timedelta(hours=23)).map(dt.timezone),
    st.builds(dt.timezone, st.just(dt.timedelta(hours=2)), st.text(st.characters(exclude_categories=[]), max_size=5)),
)
HASHABLE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**70), 2**70),
    FLOATS,
    st.complex_numbers(),
    st.text(st.characters(exclude_categories=[]), max_size=20),
    st.binary(max_size=20),
    st.dates(),
    st.times(timezones=ZONES),
    st.datetimes(timezones=ZONES, allow_imaginary=False),
    st.timedeltas(),
    st.decimals().filter(lambda number: not number.is_snan()),  # it cannot be hashed
    st.uuids(),
    st.builds(PurePosixPath, st.text(max_size=9)),
    st.builds(PureWindowsPath, st.text(max_size=9)),
    st.just(...),
    st.builds(range, st.integers(-9, 9), st.integers(), st.sampled_from([-3, 1, 2**70])),
)
KEYS = st.recursive(
    HASHABLE, lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3), max_leaves=5
)


def containers(inner):
    pairs = st.lists(st.tuples(KEYS, inner), max_size=4)
    return st.one_of(
        st.lists(inner, max_size=5),
        st.lists(inner, max_size=5).map(tuple),
        st.dictionaries(st.text(max_size=5), inner, max_size=5),
        pairs.map(dict),
        pairs.map(OrderedDict),
        st.dictionaries(KEYS, st.integers(), max_size=4).map(Counter),
        pairs.map(lambda items: defaultdict(list, items)),
        st.builds(deque, st.lists(inner, max_size=4), st.none() | st.integers(4, 9)),
        st.sets(KEYS, max_size=4),
        st.frozensets(KEYS, max_size=4),
        st.binary(max_size=9).map(bytearray),
    )


STATES = st.recursive(HASHABLE, containers, max_leaves=20)


@settings(max_examples=300, deadline=None)
@given(STATES)
@example([math.nan, -0.0, 2**64, -(2**63) - 1])
@example({math.nan: 1, -0.0: 2})
@example({"\ud800": "\udfff", 2**64: ()})
@example({("a", 1): {(): frozenset({1, "\ud800"})}})
def test_what_goes_in_comes_out(state):
    """Any tree of the supported values is the same after a round trip, bit by bit."""
    assert same(round_trip(state), state)


@settings(max_examples=100, deadline=None)
@given(STATES)
def test_equal_states_give_equal_bytes(state):
    """A restored state encodes to the bytes it came from: nothing depends on memory or on hash seeds."""
    assert encode(round_trip(state)).document == encode(state).document


@pytest.mark.parametrize("payload", [0x7FF8000000000001, 0x7FF0000000000001, 0xFFF8DEADBEEF0001, 0x8000000000000000])
def test_float_bits(payload):
    """NaN payloads and -0.0 keep their bits, alone, in a list and as a key."""
    value = struct.unpack("<d", payload.to_bytes(8, "little"))[0]
    assert bits(round_trip(value)) == bits(value)
    assert bits(round_trip([value, (value,)])[1][0]) == bits(value)
    assert bits(next(iter(round_trip({value: {1}})))) == bits(value)


@pytest.mark.parametrize(
    "value",
    [2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 2**127, -(2**128), 10**1000, -(10**1000), -1, 0],
)
def test_integers_of_any_size(value):
    """Integers at and beyond the limits of 64 bits are exact."""
    assert round_trip({value: [value]}) == {value: [value]}


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "-0",
        "1E+5",
        "0.10",
        "NaN",
        "-NaN123",
        "sNaN7",
        "-Infinity",
        "1E-999999",
        "123456789123456789.123456789123456789",
    ],
)
def test_decimals_keep_digits_and_exponent(text):
    """Decimals are equal as tuples: sign, digits, exponent, NaN payload."""
    assert round_trip(Decimal(text)).as_tuple() == Decimal(text).as_tuple()


@pytest.mark.parametrize("fold", [0, 1])
def test_an_ambiguous_time_keeps_its_fold(fold):
    """In the night of the change to winter time 02:30 happens twice; which one is kept."""
    moment = dt.datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=fold)
    restored = round_trip({"at": moment, "time": moment.timetz()})
    assert (restored["at"].fold, restored["at"].utcoffset()) == (fold, moment.utcoffset())
    assert restored["at"].tzinfo is moment.tzinfo
    assert restored["time"].fold == fold


def test_the_order_of_a_dict_is_kept():
    """Insertion order, with keys of many types."""
    state = {"z": 1, 5: 2, (1, 2): 3, None: 4, b"a": 5, 1.5: 6, frozenset({1}): 7, UUID(int=3): 8, True: 9}
    assert list(round_trip(state).items()) == list(state.items())


def test_tuples_and_lists_stay_apart():
    """msgpack alone would turn tuples into lists, also as keys."""
    state = [(), [], ([],), [()], {(): [()], ((1,),): 2}, ("a", ["b", ("c",)])]
    assert same(round_trip(state), state)


def test_a_generator_goes_on_where_it_was():
    """random.Random gives the numbers it would have given, gauss' second number included."""
    rng = random.Random(5)
    rng.gauss()
    restored = round_trip({"rng": rng})["rng"]
    assert [restored.gauss(), restored.random()] == [rng.gauss(), rng.random()]
    assert round_trip(rng.getstate()) == rng.getstate()


def test_a_default_dict_keeps_its_factory():
    """A missing key after the round trip gives what it gave before."""
    restored = round_trip(defaultdict(int, a=1))
    assert restored["b"] == 0
    assert round_trip(defaultdict(None, a=1)).default_factory is None


def test_an_ordered_dict_keeps_what_was_set_on_it():
    """state_dict() of a torch module carries its versions as an attribute."""
    state = OrderedDict(a=1)
    state._metadata = {"": {"version": 2}}
    assert round_trip(state)._metadata == {"": {"version": 2}}


def test_a_local_path_comes_back_as_one():
    """Concrete paths stay concrete, pure ones pure."""
    here = type(PurePath())
    assert round_trip(here("a/b")) == here("a/b")
    assert type(round_trip([here("a"), PureWindowsPath("c:/x")])[1]) is PureWindowsPath


def test_sets_encode_alike_whatever_their_order():
    """Sets filled in another order (so iterated in another) give the same bytes."""
    forward, backward = set(), set()
    words = [f"word{n}" for n in range(0, 800, 8)] + [(n, "x") for n in range(50)] + [n * 8 for n in range(100)]
    forward.update(words)
    for word in reversed(words):
        backward.add(word)
    assert list(forward) != list(backward)
    assert encode(forward).document == encode(backward).document


def test_slices_and_constants():
    """Cheap to have: slice, Ellipsis, NotImplemented."""
    state = [slice(1, None, 2**70), ..., NotImplemented]
    assert round_trip(state) == state


def _with_attribute(x):
    state = OrderedDict()
    state.held = x
    return state


@dataclasses.dataclass(frozen=True)
class Box:
    content: object


class Pair(NamedTuple):
    first: object
    second: object


@register(encode=lambda crate: crate.content, decode=lambda content: Crate(content))  # noqa: PLW0108 - the class is not there yet
class Crate:
    def __init__(self, content):
        self.content = content

    def __eq__(self, other):
        return self.content == other.content

    def __hash__(self):
        return 1


WRAPS = {
    "list": lambda x: [x],
    "dict": lambda x: {"k": x},
    "tuple": lambda x: (x,),
    "deque": lambda x: deque([x]),
    "pairs": lambda x: {(): x},
    "ordered": lambda x: OrderedDict(k=x),
    "attribute": _with_attribute,
    "default": lambda x: defaultdict(list, k=x),
    "frozenset": lambda x: frozenset({x}),
    "dataclass": Box,
    "registered": Crate,
    "pair": lambda x: Pair(1, x),
}


def _deepest(frames, call):
    """Call with as many frames above it."""
    return call() if frames <= 0 else _deepest(frames - 1, call)


@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS)
def test_the_deepest_state_can_be_restored_wherever_the_caller_stands(wrap):
    """What can be saved at the limit of nesting is restored, also from a caller that is close to Python's own limit."""
    state, levels = 1, 0
    while True:
        deeper = wrap(state)
        try:
            encoded = encode(deeper)
        except ValueError as error:
            assert "levels deep" in str(error)  # noqa: PT017 - the end of the search
            break
        state, levels = deeper, levels + 1
    assert levels >= 90
    encoded = encode(state)
    restored = _deepest(800, lambda: decode(encoded.document, fetcher(encoded), types=Types.of(Box, Pair)))
    assert encode(restored).document == encoded.document
