"""Writing through faults, sweeps and races; and how little a growing state costs."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from chunk_index import INFO, SqliteIndex
from waycairn.blobs import LocalBlobs
from waycairn.chunks import ChunkReader, ChunkWriter
from waycairn.chunks.known import FreshNumbers, KnownChunks
from waycairn.codec import encode
from waycairn.errors import StoreFull, WriteFailed
from waycairn.model.encoded import Encoded
from waycairn.world import crashpoints

KIB, MIB = 1 << 10, 1 << 20


@pytest.fixture
def index(tmp_path):
    index = SqliteIndex(str(tmp_path / "index.db"))
    yield index
    index.close()


@pytest.fixture
def blobs(tmp_path):
    return LocalBlobs(tmp_path / "packs")


@pytest.fixture
def writer(index, blobs):
    yield ChunkWriter(index, blobs, INFO)
    crashpoints.disarm()


def noise(size, seed=1):
    return random.Random(seed).randbytes(size)


def state(seed=1):
    return Encoded(noise(200 * KIB, seed), [memoryview(noise(6 * MIB, seed))])


def files(blobs):
    return [path for path in blobs.path("0" * 32).parent.parent.rglob("*") if path.is_file()]


# -- faults ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["pack.create", "pack.write", "pack.flush", "pack.rename", "pack.directory"])
def test_a_failed_write_is_written_again_to_a_new_file(index, blobs, writer, step):
    """Once, from memory, under a new name; the save then is as good as any."""
    names = []
    real = blobs.create
    blobs.create = lambda name, hint: names.append(name) or real(name, hint)
    crashpoints.arm(step, act="RAISE")
    encoded = state()
    stored, data = writer.write(encoded)
    assert len(names) == len(set(names)) == 2
    assert [pack.id for pack in data.packs] == names[1:]
    assert [file.name for file in files(blobs)] == names[1:]
    assert index.commit(data)
    opened = ChunkReader(index, blobs, INFO).open(stored)
    assert (opened.document, opened.fetch(0)) == (encoded.document, encoded.buffers[0])


def test_a_disk_that_keeps_failing_is_told(blobs, writer, monkeypatch):
    """Twice is enough; nothing is left, and nothing is acknowledged."""
    monkeypatch.setattr("waycairn.blobs.unfinished.flush", lambda handle: crashpoints.crashpoint("x") or _fail())
    with pytest.raises(WriteFailed):
        writer.write(state())
    assert files(blobs) == []


def _fail():
    raise OSError(5, "the disk said no")


def test_a_failed_write_of_much_leaves_no_thread(blobs, writer, monkeypatch):
    """Whatever was cut, hashed and compressed ahead; also while the error is still held."""
    monkeypatch.setattr(blobs, "create", lambda *_: (_ for _ in ()).throw(StoreFull("full")))
    document = noise(24 * MIB)
    cuts = [at * MIB for at in range(1, 24)]
    before = threading.active_count()
    with pytest.raises(StoreFull) as error:
        writer.write(Encoded(document, cuts=lambda: cuts))
    assert error.value.__traceback__
    assert threading.active_count() == before


def test_a_full_disk_is_not_tried_again(blobs, writer):
    """There is no more space the second time; a later save goes well."""
    hits = crashpoints.arm("pack.write", act="ENOSPC")
    with pytest.raises(StoreFull):
        writer.write(state())
    assert hits["pack.create"] == 1
    assert files(blobs) == []
    writer.write(state())


def test_small_saves_touch_no_file(blobs, writer):
    """Up to 128 KiB rides in the catalog's transaction."""
    _, data = writer.write(Encoded(noise(100 * KIB)))
    assert data.packs == []
    assert all(block.inline is not None for block in data.blocks)
    assert files(blobs) == []


# -- sweeps and races --------------------------------------------------------------------------------------------


def test_a_sweep_between_two_saves_is_noticed(index, blobs, writer):
    """Remembered numbers of swept chunks are worthless: a large save asks first and stores them again."""
    encoded = Encoded(noise(2 * MIB))
    for _ in range(2):
        _, data = writer.write(encoded)
        assert index.commit(data)
        writer.committed(data)
    index.sweep(range(5000))
    stored, data = writer.write(encoded)
    assert data.chunks
    assert index.commit(data)
    assert ChunkReader(index, blobs, INFO).open(stored).document == encoded.document


def test_a_sweep_during_a_save_refuses_its_commit(index, blobs, writer):
    """Chunks were found again and then swept: the epoch in the rows tells, and after `forget` it goes well."""
    encoded = Encoded(noise(50 * KIB))
    _, data = writer.write(encoded)
    assert index.commit(data)
    stored, data = writer.write(encoded)
    assert data.chunks == []
    index.sweep(range(1000))
    assert not index.commit(data)
    writer.forget()
    stored, data = writer.write(encoded)
    assert index.commit(data)
    assert ChunkReader(index, blobs, INFO).open(stored).document == encoded.document


def test_what_was_not_committed_is_not_referred_to(index, writer):
    """The first commit failed: the second save carries its chunks itself."""
    encoded = Encoded(noise(50 * KIB))
    _, lost = writer.write(encoded)
    _, data = writer.write(encoded)
    assert {chunk.id for chunk in data.chunks} == {chunk.id for chunk in lost.chunks}
    assert {chunk.number for chunk in data.chunks}.isdisjoint(chunk.number for chunk in lost.chunks)


def test_what_was_committed_before_a_sweep_is_not_remembered_after_it(index):
    """A slow thread must not put swept chunks under the new epoch."""
    known = KnownChunks(index, 100)
    old = known.enter()
    index.sweep([])
    assert known.enter() != old
    known.remember({b"i" * 32: 7}, old)
    assert known.find([b"i" * 32], known.enter()) == {}


def test_remembered_numbers_are_bounded(index):
    """Two generations: what is used stays, what is not is dropped."""
    known = KnownChunks(index, 100)
    epoch = known.enter()
    used = b"used".ljust(32)
    known.remember({used: 1}, epoch)
    for number in range(1000):
        known.remember({number.to_bytes(32, "big"): number}, epoch)
        known.find([used], epoch)
        assert len(known._young) + len(known._old) <= 202
    index.asked.clear()
    assert known.find([used], epoch) == {used: 1}
    assert index.asked == []
    assert known.find([(5).to_bytes(32, "big")], epoch) == {}


def test_numbers_are_consecutive_and_never_given_twice(index):
    """From several threads, over the ends of ranges."""
    numbers = FreshNumbers(index, 10)
    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(numbers.take, [3, 1, 25, 0, 7, 10, 2] * 20))
    flat = [number for part in taken for number in part]
    assert len(flat) == len(set(flat)) == 48 * 20
    one = FreshNumbers(index, 1000)
    first = one.take(1)[0]
    assert [one.take(1)[0] for _ in range(50)] == list(range(first + 1, first + 51))


# -- growth ------------------------------------------------------------------------------------------------------

WORDS = ["".join(random.Random(n).choices("abcdefghijklmnopqrstuvwxyz", k=2 + n % 8)) for n in range(3000)]


def message(number, size):
    random_words = random.Random(number).choices(WORDS, k=size // 4)
    return {"role": "user" if number % 2 else "assistant", "content": " ".join(random_words)[:size]}


def store_turns(index, blobs, make, turns, size):
    """Append a message each turn and save all of it; bytes stored for each byte of message text."""
    writer = ChunkWriter(index, blobs, INFO)
    messages, raw, manifests = [], 0, 0
    for turn in range(turns):
        messages.append(message(turn, size))
        raw += len(messages[-1]["content"])
        stored, data = writer.write(encode(make(messages, turn)))
        if data is not None:
            assert index.commit(data)
            writer.committed(data)
        manifests += len(stored.manifest) + len(stored.root)
    assert ChunkReader(index, blobs, INFO).open(stored).document == encode(make(messages, turns - 1)).document
    return (index.bytes() + sum(index.packs().values()) + manifests) / raw, len(stored.manifest)


@pytest.mark.parametrize(
    ("make", "most"),
    [
        (lambda messages, turn: messages, 1.5),
        (lambda messages, turn: {"messages": messages, "turn": turn, "cursor": [turn, "x" * 50]}, 1.5),
        (lambda messages, turn: {"a": messages[::2], "b": messages[1::2], "turn": turn}, 1.8),
        (lambda messages, turn: {f"message {number}": one for number, one in enumerate(messages)}, 1.8),
        (lambda messages, turn: {"window": messages[-50:], "turn": turn}, 1.8),
    ],
    ids=["list", "dict", "two lists", "keyed", "window"],
)
def test_500_turns_of_a_kilobyte(index, blobs, make, most):
    """Index, payload and manifests together, saved whole at every turn (the whole states are 250 times the text)."""
    ratio, manifest = store_turns(index, blobs, make, 500, 1024)
    assert ratio <= most
    assert manifest < 200


def test_500_turns_of_short_messages(index, blobs):
    """Grouped by their content; half of it are the first 16 KiB, which are stored whole at every turn."""
    ratio, _ = store_turns(index, blobs, lambda messages, turn: messages, 500, 300)
    assert ratio <= 6


def test_a_small_state_is_its_manifest(index, blobs):
    """No chunk, no block, no number; from 16 KiB on there are chunks."""
    writer = ChunkWriter(index, blobs, INFO)
    for size in (0, 1, 10_240, 16 * KIB - 1):
        stored, data = writer.write(Encoded(noise(size)))
        assert data is None
        assert (stored.raw_bytes, stored.new_bytes) == (size, size + 2)
        assert ChunkReader(index, blobs, INFO).open(stored).document == noise(size)
    _, data = writer.write(Encoded(noise(16 * KIB)))
    assert data is not None
    assert len(data.chunks) == 1
