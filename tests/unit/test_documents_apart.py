"""Large bytes of a document, which are read to where they stay."""

import random
import struct
from dataclasses import dataclass

import pytest

from chunk_index import INFO, SqliteIndex
from waycairn.blobs import LocalBlobs
from waycairn.chunks import ChunkReader, ChunkWriter, open_state
from waycairn.codec import Types, apart, encode, load, read_apart
from waycairn.errors import Damaged

KIB = 1024
TEN = 10 * KIB
NOISE = random.Random(4).randbytes(90 * TEN)


@dataclass
class Page:
    number: int
    body: bytes


STATES = {
    "a flat dict": {f"file {at}": NOISE[: (4 + 5 * at) * TEN] for at in range(8)},
    "one that repeats itself": {"a": NOISE[: 90 * TEN], "b": NOISE[: 90 * TEN], "c": [NOISE[: 90 * TEN]] * 3},
    "text and numbers before it": {
        "numbers": [1, -1, 128, -129, 1 << 20, -(1 << 40), 1.5, None, True, 2**63, "ä" * 40, "x" * 300, "y" * 70_000],
        "lists": [list(range(40)), {str(at): at for at in range(20)}, b"ab", b"c" * 300],
        "bytes": NOISE[: 80 * TEN],
    },
    "marks": (NOISE[: 20 * TEN], {1, 2}, bytearray(NOISE[: 30 * TEN]), {(1, 2): NOISE[: 40 * TEN]}, 2**70, 3j),
    "shapes": [Page(1, NOISE[: 64 * TEN]), Page(2, b"short"), Page(3, NOISE[8 * TEN : 50 * TEN])],
    "a key": {NOISE[: 9 * TEN]: NOISE[9 * TEN : 60 * TEN]},
    "alone": NOISE,
    "many small ones before it": [list(range(3000)), NOISE[: 32 * TEN]],
}


@pytest.fixture
def store(tmp_path, monkeypatch):
    """In which 64 KiB are large, the least whose length takes four bytes."""
    monkeypatch.setattr(apart, "FROM", 64 * KIB)
    monkeypatch.setattr(open_state, "_LARGE_DOCUMENT", 8 * KIB)
    index, blobs = SqliteIndex(), LocalBlobs(tmp_path / "packs")
    writer = ChunkWriter(index, blobs, INFO, content_large=4 * KIB, literal_document=64, block=64 * KIB)
    yield index, writer, ChunkReader(index, blobs, INFO)
    index.close()


def saved(store, state):
    index, writer, _ = store
    stored, data = writer.write(encode(state, types=Types.of(Page)))
    assert index.commit(data)
    writer.committed(data)
    return stored


def loaded(store, stored, **more):
    state = store[2].open(stored)
    document, values = read_apart(state.large_document)
    return load(document, state, types=Types.of(Page), apart=values, **more), values


@pytest.mark.parametrize("name", STATES)
def test_every_state_comes_back(store, name):
    state = STATES[name]
    found, values = loaded(store, saved(store, state))
    assert found == state
    assert type(found) is type(state)
    assert all(len(value) >= 64 * KIB for value in values)
    assert bool(values) == (name != "many small ones before it")


def test_a_part_of_it(store):
    stored = saved(store, {"a": {"b": NOISE[: 40 * TEN]}, "c": NOISE[: 10 * KIB]})
    assert loaded(store, stored, only="a.b")[0] == NOISE[: 40 * TEN]


def test_damage_is_told_before_anything_is_handed_out(store, tmp_path):
    stored = saved(store, {"a": NOISE})
    (pack,) = (file for file in (tmp_path / "packs").rglob("*") if file.is_file())
    content = bytearray(pack.read_bytes())
    content[500 * KIB] ^= 1
    pack.write_bytes(content)
    with pytest.raises(Damaged, match="do not match their hash"):
        loaded(store, stored)


def test_a_document_that_claims_a_value_apart(store):
    """No writer makes that extension value; one that holds it is damaged."""
    state = store[2].open(saved(store, {"a": 1, "b": NOISE[: 20 * TEN]}))
    document, values = read_apart(state.large_document)
    forged = b"\1\0\x92" + struct.pack("BBB", 0xC7, 2, apart.APART) + b"\0\7" + b"\1"
    for held in ([], values):
        with pytest.raises(Damaged):
            load(forged, state, apart=held)
    assert load(document, state, apart=values)["a"] == 1
