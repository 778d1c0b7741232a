"""Damaged documents: an error that says so, and never a crash, a hang, a flood of memory or a line of code run."""

import datetime as dt
import resource
import time
from zoneinfo import ZoneInfo

import pytest

from programme import documents
from programme.documents import FINDINGS, SEEDS
from waycairn.codec import decode, encode
from waycairn.errors import Damaged, StoreUnreachable, UnknownType


@pytest.mark.parametrize("name", FINDINGS)
def test_the_corpus(name):
    """Every file that once was a finding, or that a fuzzer chose."""
    documents.decode_anything(FINDINGS[name])


@pytest.mark.parametrize("number", range(len(SEEDS)))
def test_every_truncation(number):
    """A document cut off anywhere is damage: every byte counts."""
    document = SEEDS[number]
    for length in range(0, len(document), max(1, len(document) // 150)):
        with pytest.raises(Damaged):
            decode(document[:length], documents.fetch, types=documents.TYPES)


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
        decode(b"\x01\x01" + bytes.fromhex(body), documents.fetch)
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
