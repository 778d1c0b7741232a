"""Loaded states as JSON values that people read."""

import datetime as dt
import enum
import json
import math
import random
from collections import Counter, OrderedDict, defaultdict, deque
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from typing import NamedTuple
from uuid import UUID

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from any_state import states
from waycairn.codec import Record, decode, encode
from waycairn.upkeep.readable import readable, short


class Point(NamedTuple):
    x: int
    y: int


class Colour(enum.Enum):
    RED = 1


class Box(msgspec.Struct):
    size: int


_UTC = dt.UTC


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (10**40, 10**40),
        (1.5, 1.5),
        ("näh", "näh"),
        (math.nan, {"type": "float", "value": "NaN"}),
        (-math.inf, {"type": "float", "value": "-Infinity"}),
        (b"\x00\xff", {"type": "bytes", "base64": "AP8="}),
        (bytearray(b"a"), {"type": "bytearray", "base64": "YQ=="}),
        ((1, (2, 3)), [1, [2, 3]]),
        pytest.param({"b", "a"}, {"type": "set", "items": ["a", "b"]}, id="set"),
        (frozenset({1}), {"type": "frozenset", "items": [1]}),
        ({1: "x", "1": "y"}, {"type": "dict", "items": [[1, "x"], ["1", "y"]]}),
        (deque([1], 3), {"type": "deque", "items": [1], "maxlen": 3}),
        (OrderedDict(a=1), {"a": 1}),
        (Counter("aab"), {"a": 2, "b": 1}),
        (defaultdict(list, a=[1]), {"a": [1]}),
        (range(1, 9, 2), {"type": "range", "start": 1, "stop": 9, "step": 2}),
        (2 + 3j, {"type": "complex", "real": 2.0, "imag": 3.0}),
        (dt.date(2026, 11, 21), "2026-11-21"),
        (dt.datetime(2026, 11, 21, 9, 5, tzinfo=_UTC), "2026-11-21T09:05:00+00:00"),
        (dt.timedelta(minutes=2), {"type": "timedelta", "seconds": 120.0}),
        (Decimal("1.10"), "1.10"),
        (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (PurePosixPath("a/b"), "a/b"),
        (Record("jobs:State", {"n": 1}), {"type": "jobs:State", "fields": {"n": 1}}),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (np.datetime64("2026-11-21"), "2026-11-21"),
        (Ellipsis, {"type": "ellipsis", "text": "Ellipsis"}),
    ],
    ids=repr,
)
def test_each_kind_of_value(value, expected):
    """What JSON has stays as it is, the rest says what it is."""
    assert readable(value) == expected


def test_objects_are_their_fields():
    """Named tuples, structs and enum members, where their types are known."""
    assert readable(Point(1, 2))["fields"] == {"x": 1, "y": 2}
    assert readable(Box(3)) == {"type": f"{Box.__module__}:Box", "fields": {"size": 3}}
    assert readable(Colour.RED)["name"] == "RED"
    assert readable(Fraction(1, 3)) == {"type": "fractions:Fraction", "text": "1/3"}


@pytest.mark.parametrize(
    ("array", "data"),
    [
        (np.array([[1, 2], [3, 4]], dtype="int8"), [[1, 2], [3, 4]]),
        (np.array(2.5), 2.5),
        (np.array([np.nan, 1.0]), [{"type": "float", "value": "NaN"}, 1.0]),
        (np.array([1 + 2j]), [{"type": "complex", "real": 1.0, "imag": 2.0}]),
        (np.array(["ab", "c"]), ["ab", "c"]),
        (np.array([b"ab"]), [{"type": "bytes", "base64": "YWI="}]),
        (np.array(["2026-11-21T00:00:00.000000001"], dtype="M8[ns]"), ["2026-11-21T00:00:00.000000001"]),
        (np.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")]), [[1, 2.5]]),
        (np.zeros((0, 3)), []),
    ],
    ids=lambda value: str(value.dtype) if isinstance(value, np.ndarray) else "",
)
def test_arrays_have_dtype_shape_and_data(array, data):
    """Of every dtype, in nested lists."""
    assert readable(array) == {"type": "array", "dtype": str(array.dtype), "shape": list(array.shape), "data": data}


@pytest.mark.parametrize(
    ("array", "extremes"),
    [
        (np.array([3, 1, 2]), (1, 3)),
        (np.array([np.nan, 7.0]), (7.0, 7.0)),
        (np.array([np.nan]), (None, None)),
        (np.array([], dtype=int), (None, None)),
        (np.array(["a"]), (None, None)),
        (np.array([1j]), (None, None)),
    ],
    ids=repr,
)
def test_arrays_can_be_described_without_their_data(array, extremes):
    """Bytes, lowest and highest, where there is an order."""
    told = readable(array, data=False)
    assert "data" not in told
    assert (told["bytes"], told["min"], told["max"]) == (array.nbytes, *extremes)


def test_tensors_of_dtypes_that_numpy_does_not_have():
    """bfloat16 and float8 are shown as numbers too."""
    torch = pytest.importorskip("torch", reason="torch is not installed here: tensors cannot be tested")
    for dtype in (torch.bfloat16, torch.float8_e4m3fn, torch.bool, torch.int64):
        tensor = torch.tensor([0, 1], dtype=dtype)
        told = readable(torch.nn.Parameter(tensor) if dtype is torch.bfloat16 else tensor)
        assert told["type"] == "tensor"
        assert told["dtype"] == str(dtype).removeprefix("torch.")
        assert told["data"] == [0, 1]
        assert readable(tensor, data=False)["max"] == 1
    assert readable(torch.Size([2, 3])) == [2, 3]
    assert readable(torch.float32)["text"] == "torch.float32"
    one, two = (readable(torch.Generator().manual_seed(seed))["state"] for seed in (1, 2))
    assert one["dtype"] == "uint8"
    assert one != two


def test_generators_show_where_they_stand():
    """The state of random.Random and numpy's generators, the same for the same state."""
    for make in (random.Random, np.random.default_rng, np.random.RandomState):
        assert json.dumps(readable(make(3))) == json.dumps(readable(make(3)))
        assert json.dumps(readable(make(3))) != json.dumps(readable(make(4)))


@given(states())
def test_whatever_can_be_stored_can_be_read(state):
    """Any state, loaded without its types, becomes strict JSON, with and without the data of arrays."""
    encoded = encode(state)
    loaded = decode(encoded.document, lambda number: encoded.buffers[number], strict=False)
    for data in (True, False):
        json.dumps(readable(loaded, data=data), allow_nan=False)


@given(states() | st.text() | st.binary())
def test_short_texts_are_short(state):
    """One line of a bounded length for anything."""
    assert len(short(state)) <= 200
