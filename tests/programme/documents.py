"""What any bytes may do to the decoder of states: give a value, or Damaged, StoreTooNew, UnknownType. Nothing else, ever."""

import dataclasses
import datetime as dt
import enum
import random
import warnings
from collections import Counter, OrderedDict, defaultdict, deque
from decimal import Decimal
from pathlib import Path, PurePosixPath
from uuid import UUID
from zoneinfo import ZoneInfo

from waycairn.codec import Types, decode, encode, register
from waycairn.errors import Damaged, StoreTooNew, UnknownType


class Colour(enum.Enum):
    RED = 1
    GREEN = 2


@dataclasses.dataclass
class Node:
    name: str
    colour: Colour = Colour.RED
    children: "list[Node]" = dataclasses.field(default_factory=list)


@register(name="fuzz crate", encode=lambda crate: crate.content, decode=lambda content: Crate(content))  # noqa: PLW0108
class Crate:
    def __init__(self, content):
        self.content = content


TYPES = Types.of(Node)
LARGEST_BUFFER = 1 << 16


def fetch(number):
    """Buffers as a store would give them: a few, of a fixed size; LookupError beyond."""
    if number > 3:
        raise IndexError(number)
    return memoryview(bytearray(b"\x01" * (LARGEST_BUFFER >> number)))


def decode_anything(data: bytes) -> object:
    """The value, or None where the bytes were refused as they should be. Any other exception is a finding."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy warns about odd dtypes, torch about beta features
        for options in ({"types": TYPES}, {"strict": False}, {"types": TYPES, "only": "a.0"}):
            value = None
            try:
                value = decode(data, fetch, **options)
            except (Damaged, StoreTooNew, UnknownType):
                continue
            except KeyError as error:
                if "only" not in options or " has no part " not in str(error):
                    raise
            if "only" not in options:
                encode_again(value)
        return value


def encode_again(value: object) -> None:
    """What could be decoded can be encoded again, or is refused with a sentence (a Record stands for a type)."""
    try:
        encode(value)
    except (TypeError, ValueError) as error:
        if "Nothing was stored" not in str(error):
            raise


def seeds():
    yield {"a": [1, -5, 2**64 - 1, 1.5, None, True, "text", b"bytes"], "k" * 40: {"n": {"m": []}}}
    yield {"a": (1, {2, 3}, frozenset({"x"})), 5: OrderedDict(a=1), "c": Counter("aab"), "d": deque([1], 3)}
    yield [2**70, 1 + 2j, "\ud800", Decimal("1.5"), UUID(int=1), PurePosixPath("a/b"), ..., range(5), slice(1, 2)]
    yield [dt.date(2026, 1, 2), dt.time(1, 2, tzinfo=dt.UTC), dt.datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC"))]
    yield [dt.timedelta(5, 6, 7), {(1, 2): {1: {2}}}, defaultdict(list, a=[1]), bytearray(b"abc"), random.Random(1)]
    yield {"a": [Node("n", Colour.GREEN, [Node("m")]), Crate({"x": (1,)})]}
    try:
        import numpy as np
    except ImportError:
        return
    whole = np.arange(400.0)
    yield {"a": [whole, whole[5:9], np.arange(6, dtype=">i2").reshape(2, 3).T, np.float32(1.5), np.str_("x")]}
    yield [np.zeros(2, [("x", "i4", (2,)), ("y", "S3")]), np.random.default_rng(1), np.random.RandomState(1)]
    try:
        import torch
    except ImportError:
        return
    weight = torch.arange(600.0).reshape(20, 30)
    yield {"a": [weight, weight.T, torch.nn.Parameter(torch.ones(2)), torch.float16, weight.shape, torch.Generator()]}


SEEDS = [encode(state).document for state in seeds()]
FINDINGS = {path.name: path.read_bytes() for path in sorted((Path(__file__).parent / "corpus").iterdir())}
"""Each once was a finding, or opens a path that few inputs take."""
CORPUS = list(FINDINGS.values())
