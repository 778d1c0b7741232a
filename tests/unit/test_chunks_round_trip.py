"""What goes in comes out: documents, cuts, buffers, in every size and order, once and again."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chunk_index import INFO, SqliteIndex
from waycairn.blobs import LocalBlobs
from waycairn.chunks import ChunkReader, ChunkWriter, check_pack, list_pack
from waycairn.errors import Damaged
from waycairn.model.encoded import Encoded
from waycairn.model.records import NewData

KIB, MIB = 1 << 10, 1 << 20
SMALL = {
    "literal_document": 64,
    "small_piece": 16,
    "literal_piece": 8,
    "literal_budget": 24,
    "content_from": 600,
    "content_large": 2000,
    "block": 700,
    "chunk": 900,
    "own_chunk": 300,
    "inline": 1500,
    "pack": 20_000,
    "numbers": 5,
    "remembered": 7,
}
"""Every size made small, so that short states go through every branch."""


class Store:
    """A writer and a reader over a real index and real packs."""

    def __init__(self, folder, **tuning):
        self.index, self.blobs = SqliteIndex(), LocalBlobs(folder)
        self.writer = ChunkWriter(self.index, self.blobs, INFO, **tuning)
        self.reader = ChunkReader(self.index, self.blobs, INFO)

    def save(self, document=b"", cuts=(), buffers=()):
        stored, data = self.writer.write(Encoded(document, [memoryview(buffer) for buffer in buffers], lambda: cuts))
        if data is None:
            return stored, NewData()
        assert self.index.commit(data)
        self.writer.committed(data)
        return stored, data

    def close(self):
        self.index.close()


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "packs")
    yield store
    store.close()


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("packs"), **SMALL)
    yield store
    store.close()


def text(size, seed=1):
    """Compressible, never the same twice."""
    return bytes(random.Random(seed).choices(b"etaoin shrdlu\n", k=size))


def noise(size, seed=1):
    return random.Random(seed).randbytes(size)


def check(store, stored, document, buffers):
    """One by one without reading ahead, then everything at once."""
    state = store.reader.open(stored)
    assert state.document == document
    assert type(state.document) is (bytes if len(document) < MIB else memoryview), "a large one is not copied"
    assert state.buffer_count == len(buffers)
    assert [state.buffer_size(number) for number in range(len(buffers))] == [len(buffer) for buffer in buffers]
    assert [bytes(state.fetch(number)) for number in range(len(buffers))] == [bytes(buffer) for buffer in buffers]
    state.prefetch()
    assert [bytes(state.fetch(number)) for number in range(len(buffers))] == [bytes(buffer) for buffer in buffers]
    store.reader.verify(stored)


@st.composite
def states(draw):
    pieces = draw(st.lists(st.binary(max_size=900) | st.integers(0, 4000).map(text), max_size=12))
    document = b"".join(pieces)
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(document) - 1)), max_size=30))) if len(document) > 1 else []
    sizes = st.sampled_from([0, 1, 63, 64, 65, 299, 300, 301, 899, 900, 901, 1800, 2500])
    buffers = [
        noise(size, seed) if size % 2 else bytes(size)
        for size, seed in draw(st.lists(st.tuples(sizes, st.integers(0, 3)), max_size=12))
    ]
    return document, cuts, buffers


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(states())
def test_any_state(small, state):
    """Arbitrary documents, cuts and buffers, with every limit made small; saved twice, the second is found again."""
    document, cuts, buffers = state
    stored, _ = small.save(document, cuts, buffers)
    again, data = small.save(document, cuts, buffers)
    check(small, stored, document, buffers)
    check(small, again, document, buffers)
    assert stored.raw_bytes == len(document) + sum(map(len, buffers))
    if stored.manifest == again.manifest:
        assert not data.chunks
        assert again.root == stored.root


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 16 * KIB, 100 * KIB, 130 * KIB, 3 * MIB + 7])
def test_documents_of_every_size(store, size):
    """Literal, inline, in a pack, in several blocks; compressible or not."""
    for document in (text(size), noise(size)):
        stored, data = store.save(document)
        check(store, stored, document, [])
        assert bool(data.chunks) == (size >= 16 * KIB)
        assert bool(data.packs) == (stored.new_bytes - len(stored.manifest) > 128 * KIB)


def test_buffers_of_every_size(store):
    """Small ones share chunks, large ones are cut, empty ones lie nowhere; odd lengths and any order."""
    sizes = [0, 1, 4, 64 * KIB, 64 * KIB + 1, 0, MIB - 1, MIB, 4 * MIB, 5, 9 * MIB + 3, 100, 3 * MIB, 70_000]
    buffers = [noise(size, number) for number, size in enumerate(sizes)]
    stored, data = store.save(b"d" * 5000, (), buffers)
    check(store, stored, b"d" * 5000, buffers)
    assert len(data.packs) == 1
    assert len(data.chunks) < len(sizes) + 3


def test_only_some_buffers_are_read(store):
    """`prefetch` of a few reads the chunks of those only."""
    buffers = [noise(2 * MIB, seed) for seed in range(4)]
    stored, _ = store.save(b"", (), buffers)
    read = []
    real = store.blobs.read_into
    store.blobs.read_into = lambda name, offset, target: (read.append(len(target)), real(name, offset, target))
    state = store.reader.open(stored)
    state.prefetch([2, 0])
    assert sum(read) == 4 * MIB
    assert bytes(state.fetch(2)) == buffers[2]
    assert bytes(state.fetch(0)) == buffers[0]
    assert sum(read) == 4 * MIB
    assert bytes(state.fetch(3)) == buffers[3]
    assert sum(read) == 6 * MIB


def test_small_buffers_in_order_need_few_reads(store):
    """Without reading ahead too: what the same chunk brought is kept until the next chunk."""
    buffers = [noise(64 * KIB, seed) for seed in range(64)]
    stored, data = store.save(b"", (), buffers)
    read = []
    real = store.blobs.read_into
    store.blobs.read_into = lambda name, offset, target: (read.append(len(target)), real(name, offset, target))
    state = store.reader.open(stored)
    assert [bytes(state.fetch(number)) for number in range(64)] == buffers
    assert len(read) == len(data.chunks) == 4
    read.clear()
    state.prefetch()
    assert len(read) == 1


def test_neighbours_in_a_pack_are_not_neighbours_in_memory(store):
    """Read together, two chunks must not bring what lies between them in the pack to where another one belongs."""
    sizes = [505, 505, 15, 15, 1000, 20]  # three groups, which share memory
    buffers = [noise(size * KIB, seed) for seed, size in enumerate(sizes)]
    store.save(b"", (), buffers)
    buffers[2:4] = [noise(15 * KIB, 8), noise(15 * KIB, 9)]
    stored, data = store.save(b"", (), buffers)
    assert [len(part) for part in (data.packs, data.chunks)] == [0, 1]
    check(store, stored, b"", buffers)


def test_fetched_memory_is_the_callers(store):
    """Writable, aligned, and another copy each time: changing one changes nothing else."""
    import numpy as np

    buffers = [noise(size, size) for size in (8, 100, 5000, 300 * KIB, 2 * MIB)]
    stored, _ = store.save(b"", (), buffers)
    state = store.reader.open(stored)
    state.prefetch()
    for _ in range(2):
        for number, buffer in enumerate(buffers):
            memory = state.fetch(number)
            array = np.frombuffer(memory, dtype=np.uint8)
            assert array.ctypes.data % 16 == 0
            assert array.flags.writeable
            assert bytes(memory) == buffer
            array[:] = 0


def test_written_memory_is_the_callers(store):
    """Nothing in what `write` returns refers to the user's buffers, inline or not."""
    for size in (10, 100 * KIB, 6 * MIB):
        buffer = bytearray(noise(size))
        stored, data = store.writer.write(Encoded(b"", [memoryview(buffer)]))
        before = bytes(buffer)
        buffer[:] = bytes(size)
        buffer.append(1)
        assert store.index.commit(data)
        assert bytes(store.reader.open(stored).fetch(0)) == before


def test_the_second_save_stores_nothing(store):
    """Neither document nor buffers; the manifest is all that is new."""
    document, buffers = text(300 * KIB), [noise(5 * MIB), noise(1000)]
    store.save(document, (), buffers)
    store.save(document, (), buffers)
    stored, data = store.save(document, (), buffers)
    assert (data.packs, data.blocks, data.chunks) == ([], [], [])
    assert stored.new_bytes == len(stored.manifest) < 100


def test_a_changed_tensor_stores_only_itself(store):
    """Six of 64 changed: six are written (a LoRA, an embedding, a frozen backbone)."""
    buffers = [bytearray(noise(MIB, seed)) for seed in range(64)]
    store.save(b"x" * 5000, (), buffers)
    for number in range(0, 60, 10):
        buffers[number][5] ^= 1
    stored, data = store.save(b"x" * 5000, (), buffers)
    assert len(data.chunks) == 6
    assert stored.new_bytes < 6 * MIB + 300
    check(store, stored, b"x" * 5000, buffers)


def test_another_writer_finds_the_chunks(store, tmp_path):
    """Deduplication is the store's, not one process's."""
    document = text(100 * KIB)
    store.save(document)
    other = ChunkWriter(store.index, store.blobs, INFO)
    stored, data = other.write(Encoded(document))
    assert data.chunks == []
    assert data.sweep_epoch == 0
    assert store.reader.open(stored).document == document


def test_unchanged_chunks_are_not_looked_up(store):
    """What was used in the last save is remembered: the index is asked for the new message only."""
    messages = [text(1000, seed) for seed in range(200)]
    for count in (199, 199, 200):
        store.index.asked.clear()
        store.save(b"".join(messages[:count]), [1000 * at for at in range(1, count)])
    assert store.index.asked == [1]


def test_identical_chunks_are_stored_once(store):
    """Within one save too."""
    stored, data = store.save(text(1000) * 50, [1000 * at for at in range(1, 50)], [bytes(range(256)) * 8192] * 5)
    assert len(data.chunks) == 2
    check(store, stored, text(1000) * 50, [bytes(range(256)) * 8192] * 5)


def test_large_saves_are_split_into_packs(tmp_path):
    """Above the limit another pack is begun; each is whole."""
    store = Store(tmp_path / "packs", pack=3 * MIB)
    buffers = [noise(2 * MIB, seed) for seed in range(5)]
    stored, data = store.save(text(50 * KIB), (), buffers)
    assert len(data.packs) == 3
    for pack in data.packs:
        assert check_pack(store.blobs, INFO, pack.id) == pack.size
    check(store, stored, text(50 * KIB), buffers)
    store.close()


def test_threads_write_and_read_at_once(store):
    """Six threads, common and own content; every state is read back by another thread."""
    common = [text(1000, seed) for seed in range(50)]
    before = set(threading.enumerate())  # of other stores

    def work(number):
        own = [text(1000, 1000 + number * 10 + at) for at in range(10)]
        document = b"".join(common + own)
        buffers = [noise(200 * KIB, number)]
        stored, data = store.writer.write(
            Encoded(document, [memoryview(b) for b in buffers], lambda: [1000 * at for at in range(1, 60)])
        )
        assert store.index.commit(data)
        store.writer.committed(data)
        return stored, document, buffers

    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(work, range(24)))
        list(pool.map(lambda result: check(store, *result), results))
    assert not [thread for thread in set(threading.enumerate()) - before if thread.name.startswith("waycairn")]


def test_the_index_can_be_built_again_from_packs(store):
    """The catalog's chunk rows are lost, the manifests are not: every state is read again."""
    states = [(text(300 * KIB, seed), [noise(3 * MIB, seed), noise(5000, seed)]) for seed in range(3)]
    saved = [(*state, store.save(state[0], (), state[1])[0]) for state in states]
    fresh = SqliteIndex()
    for info in store.blobs.list():
        assert fresh.commit(list_pack(store.blobs, INFO, info.name))
    assert dict(fresh.packs()) == dict(store.index.packs())
    reader = ChunkReader(fresh, store.blobs, INFO)
    for document, buffers, stored in saved:
        state = reader.open(stored)
        assert state.document == document
        assert [bytes(state.fetch(number)) for number in range(2)] == buffers
    fresh.close()


def test_another_store_cannot_read_it(store):
    """Hashes are keyed: with another secret nothing matches."""
    stored, _ = store.save(text(50 * KIB))
    stranger = type(INFO)(id=INFO.id, format=1, secret=bytes(32), created=0.0)
    with pytest.raises(Damaged):
        ChunkReader(store.index, store.blobs, stranger).open(stored)
