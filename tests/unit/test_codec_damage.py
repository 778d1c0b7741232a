"""Damaged documents: an error that says so, and never a crash, a hang, a flood of memory or a line of code run."""

import datetime as dt
import importlib.util
import os
import random
import resource
import struct
import subprocess
import sys
import time
from collections import Counter, OrderedDict, defaultdict, deque
from decimal import Decimal
from pathlib import Path, PurePosixPath
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from waycairn.codec import decode, encode
from waycairn.errors import Damaged, StoreUnreachable, UnknownType

FUZZ = Path(__file__).parent.parent / "fuzz"
CORPUS = sorted((FUZZ / "corpus").iterdir())

spec = importlib.util.spec_from_file_location("codec_target", FUZZ / "codec_target.py")
target = importlib.util.module_from_spec(spec)
sys.modules["codec_target"] = target
spec.loader.exec_module(target)


def seeds():
    yield {"a": [1, -5, 2**64 - 1, 1.5, None, True, "text", b"bytes"], "k" * 40: {"n": {"m": []}}}
    yield {"a": (1, {2, 3}, frozenset({"x"})), 5: OrderedDict(a=1), "c": Counter("aab"), "d": deque([1], 3)}
    yield [2**70, 1 + 2j, "\ud800", Decimal("1.5"), UUID(int=1), PurePosixPath("a/b"), ..., range(5), slice(1, 2)]
    yield [dt.date(2026, 1, 2), dt.time(1, 2, tzinfo=dt.UTC), dt.datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC"))]
    yield [dt.timedelta(5, 6, 7), {(1, 2): {1: {2}}}, defaultdict(list, a=[1]), bytearray(b"abc"), random.Random(1)]
    yield {"a": [target.Node("n", target.Colour.GREEN, [target.Node("m")]), target.Crate({"x": (1,)})]}
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
INTERESTING = [0x00, 0x01, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xC0, 0xC1, 0xC4, 0xC6, 0xC7, 0xC9, 0xCB, 0xCF, 0xD3]
INTERESTING += [0xD4, 0xD7, 0xD8, 0xDB, 0xDC, 0xDD, 0xDE, 0xDF, 0xFF, *range(32, 50), *range(64, 74)]


def mutate(rng, document):
    """A document with a few bytes changed, removed, repeated, or replaced by a piece of another."""
    data = bytearray(document)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        at = rng.randrange(2 if rng.random() < 0.95 else 0, len(data))
        match rng.randrange(6):
            case 0:
                data[at] = rng.randrange(256)
            case 1:
                data[at] = rng.choice(INTERESTING)
            case 2:
                del data[at : at + rng.randrange(1, 9)]
            case 3:
                data[at:at] = data[rng.randrange(len(data)) :][: rng.randrange(1, 40)]
            case 4:
                other = rng.choice(SEEDS)
                data[at : at + rng.randrange(9)] = other[rng.randrange(len(other)) :][: rng.randrange(1, 40)]
            case 5:
                data[at : at + 4] = struct.pack(">I", rng.choice([0, 2**16, 2**31 - 1, 2**32 - 1]))
        if len(data) < 3:
            break
    return bytes(data)


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_the_corpus(path):
    """Every file that once was a finding, or that a fuzzer chose."""
    target.decode_anything(path.read_bytes())


@pytest.mark.parametrize("seed", range(4))
def test_mutations(seed):
    """Thousands of damaged documents: each gives a value or one of our errors, none takes a second of processor time."""
    rng = random.Random(seed)
    slowest = refused = 0
    for _ in range(1000):
        data = mutate(rng, rng.choice(SEEDS))
        start = time.process_time()
        refused += target.decode_anything(data) is None
        slowest = max(slowest, time.process_time() - start)
    assert slowest < 1
    assert 100 < refused < 1000


@pytest.mark.parametrize("number", range(len(SEEDS)))
def test_every_truncation(number):
    """A document cut off anywhere is damage: every byte counts."""
    document = SEEDS[number]
    for length in range(0, len(document), max(1, len(document) // 150)):
        with pytest.raises(Damaged):
            decode(document[:length], target.fetch, types=target.TYPES)


BOMBS = {
    "array of 4 G": "dd ff ff ff ff 01",
    "arrays of 4 G in arrays": "dd ff ff ff ff" * 200,
    "map of 4 G": "df ff ff ff ff 01 01",
    "string of 4 GiB": "db ff ff ff ff 61",
    "bytes of 4 GiB": "c6 ff ff ff ff 61",
    "extension of 4 GiB": "c9 ff ff ff ff 01 61",
    "nested arrays": "91" * 1_000_000,
    "nested tuples": "92 c7 00 20" * 300_000,
    "nested dicts": "81 01" * 500_000,
    "nested keys": "81" + "91" * 5000,
    "array of 2**60 zeros": "96 c7 00 40 a3 3c 66 38 91 cf 10 00 00 00 00 00 00 00 c0 00 c4 00",
    "array beyond its buffer": "96 c7 00 40 a3 3c 66 38 91 02 91 08 01 c4 10" + "00" * 16,
    "array of 0 times 2**60": "96 c7 00 40 a3 3c 66 38 92 00 cf 10 00 00 00 00 00 00 00 c0 00 c4 00",
    "dtype of 2 GiB": "96 c7 00 40 ac 7c 56 32 31 34 37 34 38 33 36 34 37 90 c0 00 c4 00",
    "objects": "96 c7 00 40 a2 7c 4f 91 01 c0 00 c4 08" + "41" * 8,
    "negative offset": "96 c7 00 40 a3 3c 66 38 91 01 c0 d0 80 00",
    "stride before the start": "96 c7 00 40 a3 3c 66 38 91 02 91 f8 00 00",
    "stride that overflows 64 bits": "96 c7 00 40 a3 3c 66 38 91 05 91 d3 c0 00 00 00 00 00 00 00 00 c4 08" + "00" * 8,
    "strides for other axes": "96 c7 00 40 a3 3c 66 38 91 02 90 00 00",
    "strides of text": "96 c7 00 40 a3 3c 66 38 91 01 91 a1 78 00 00",
    "tensor of 2**60": "97 c7 00 48 a7 66 6c 6f 61 74 33 32 91 cf 10 00 00 00 00 00 00 00 c0 00 00 00",
    "tensor stride": "97 c7 00 48 a7 66 6c 6f 61 74 33 32 91 02 91 cf 10 00 00 00 00 00 00 00 00 00 00",
    "tensor stride that overflows": "97 c7 00 48 a7 66 6c 6f 61 74 33 32 91 09 91 cf 20 00 00 00 00 00 00 00 00 00 c4 08"
    + "00" * 8,
    "negative tensor stride": "97 c7 00 48 a7 66 6c 6f 61 74 33 32 91 02 91 ff 00 00 00",
    "bytearray of a length": "92 c7 00 28 ce ff ff ff ff",
    "zone outside": "c7 17 05 01 02 03 00 00 00 04 00 7a 2f 65 74 63 2f 70 61 73 73 77 64 2f 2e 2e",
    "zone upwards": "c7 14 05 01 02 03 00 00 00 04 00 7a 2e 2e 2f 2e 2e 2f 65 74 63 2f",
    "zone as a module": "c7 0e 05 01 02 03 00 00 00 04 00 7a 61 2e 62 2f 63",
    "fresh code": "c7 00 1f",
    "fresh mark": "92 c7 00 7f 01",
    "mark as a value": "92 01 c7 00 20",
    "mark as a key": "81 c7 00 20 01",
    "set of lists": "92 c7 00 21 91 01",
    "unknown shape": "92 d7 30 00 00 00 00 00 00 00 00 01",
    "factory of code": "95 c7 00 26 a4 65 76 61 6c a1 61 01",
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs(name):
    """Claimed lengths, depth, shapes and strides beyond the data; names of things that are not to be had."""
    if "tensor" in name:
        pytest.importorskip("torch", reason="torch is not installed")
    body = BOMBS[name]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    with pytest.raises(Damaged):
        decode(b"\x01\x01" + bytes.fromhex(body), target.fetch)
    assert time.process_time() - start < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # KiB; a depth bomb takes stack


def test_what_fetch_raises():
    """A buffer that is missing or too short is damage; what the store itself says goes through."""
    np = pytest.importorskip("numpy", reason="numpy is not installed")
    document = encode(np.zeros(1000)).document
    with pytest.raises(Damaged, match="shorter"):
        decode(document, lambda _: memoryview(bytearray(7999)))
    for error, expected in ((IndexError(0), Damaged), (KeyError(0), Damaged), (StoreUnreachable(), StoreUnreachable)):

        def fetch(_, error=error):
            raise error

        with pytest.raises(expected):
            decode(document, fetch)


def test_an_unknown_zone_is_named():
    """A zone that this machine does not have is no damage."""
    document = encode(dt.datetime(2026, 1, 1, tzinfo=ZoneInfo("Europe/Berlin"))).document
    with pytest.raises(UnknownType, match=r"time zone 'Europe/Barlin'.*tzdata"):
        decode(document.replace(b"Berlin", b"Barlin"), None)


def test_the_fuzz_target_runs():
    """tests/fuzz/fuzz_codec.py: a short run over the corpus, or its reason not to."""
    done = subprocess.run(
        [sys.executable, FUZZ / "fuzz_codec.py", FUZZ / "corpus", "-runs=0"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(FUZZ)},
    )
    assert done.returncode == 0, done.stderr
    if done.stdout.startswith("skipped:"):
        pytest.skip(done.stdout.strip())
