"""Byte planes and differences: smaller, bit by bit the same, and damage in them or below them is told by name."""

import random
import struct
import subprocess
import sys
from contextlib import closing

import pytest

from chunk_index import INFO, SqliteIndex
from waycairn.blobs import LocalBlobs
from waycairn.chunks import ChunkReader, ChunkWriter, check_pack, list_pack, pack_file
from waycairn.chunks.hashing import plain_hash
from waycairn.chunks.planes import WIDEST, difference, join, split
from waycairn.chunks.sealing import DELTA, PLANES, RAW, Member, seal_planes, unseal
from waycairn.errors import Damaged
from waycairn.model.encoded import Encoded
from waycairn.model.ids import ChunkId, PackId

np = pytest.importorskip("numpy", reason="numpy is not installed")

KIB, MIB = 1 << 10, 1 << 20


def weights(count, seed=1):
    """As bfloat16: the upper half of float32."""
    numbers = np.random.default_rng(seed).normal(0, 0.02, count).astype("<f4")
    return np.ascontiguousarray(numbers.view("<u2")[1::2])


def nudged(array, seed, share=0.02):
    """One save later: a few of the lowest bits are others."""
    changed = np.random.default_rng(seed).random(array.size) < share
    return array ^ changed.astype(array.dtype)


def encoded(*arrays):
    return Encoded(b"d", [memoryview(a).cast("B") for a in arrays], widths=[a.itemsize for a in arrays])


class Store:
    def __init__(self, folder, **tuning):
        self.index, self.blobs = SqliteIndex(), LocalBlobs(folder)
        self.writer = ChunkWriter(self.index, self.blobs, INFO, **tuning)
        self.reader = ChunkReader(self.index, self.blobs, INFO)

    def save(self, *arrays, compress="delta", base=None):
        stored, data = self.writer.write(encoded(*arrays), compress=compress, base=base)
        assert self.index.commit(data)
        self.writer.committed(data)
        return stored, data

    def series(self, count, **options):
        """So many saves of an array that changes a little, each with the save before as its base."""
        arrays = [weights(MIB)]
        arrays += [nudged(arrays[0], seed) for seed in range(2, count + 1)]
        saved = []
        for array in arrays:
            saved.append(self.save(array, base=saved[-1][0] if saved else None, **options))
        return arrays, saved

    def read(self, stored):
        state = self.reader.open(stored)
        state.prefetch()
        return [bytes(state.fetch(number)) for number in range(state.buffer_count)]


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "packs", inline=KIB)  # also small differences go to packs
    with closing(store.index):
        yield store


def codecs(data):
    return [block.codec for block in data.blocks]


# -- planes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [0, 1, 2, 3, 4, 8, WIDEST])
@pytest.mark.parametrize("size", [0, 1, 2, 15, 16, 17, 4099])
def test_planes_are_what_the_page_says(width, size):
    """Every width, and lengths that are no multiple of it, against slices in plain Python."""
    data = random.Random(size).randbytes(size)
    whole = size - size % max(width, 1)
    expected = b"".join(data[at:whole:width] for at in range(width)) + data[whole:] if width > 1 else data
    assert bytes(split(data, width)) == expected
    assert bytes(join(expected, width)) == data
    assert bytes(difference(data, data)) == bytes(size)


def test_weights_get_smaller(store):
    """bfloat16 to two thirds, where the usual compression makes four fifths of it; noise stays as it is, uncopied."""
    array, noise = weights(3 * MIB), np.frombuffer(random.Random(3).randbytes(2 * MIB), "<u2")
    plain = store.save(weights(3 * MIB, seed=2), compress=None)[0]
    stored, data = store.save(array, noise, compress="planes")
    assert codecs(data) == [PLANES, PLANES, RAW]
    assert store.read(stored) == [array.tobytes(), noise.tobytes()]
    store.reader.verify(stored)
    assert sum(block.stored_length for block in data.blocks[:2]) < 0.68 * array.nbytes
    assert plain.new_bytes > 0.75 * array.nbytes


def test_small_buffers_that_share_a_chunk(store):
    """Of one width they are split, of several they are compressed as ever; all come back."""
    same = [weights(5000, seed) for seed in range(40)]
    stored, data = store.save(*same, compress="planes")
    assert codecs(data) == [PLANES]
    assert store.read(stored) == [array.tobytes() for array in same]
    mixed = [weights(5000, 99), np.arange(5000, dtype="<f8")]
    stored, data = store.save(*mixed, compress="planes")
    assert PLANES not in codecs(data)
    assert store.read(stored) == [array.tobytes() for array in mixed]


def test_an_unknown_way_to_compress(store):
    """A slip of the pen is an error before anything is written."""
    with pytest.raises(ValueError, match="'plans' is not one of 'planes', 'delta'"):
        store.writer.write(encoded(weights(10)), compress="plans")


# -- differences -------------------------------------------------------------------------------------------------------


def test_a_chain_of_differences_is_bounded(store):
    """Four differences in a row, then a chunk that stands alone; every state is read and verified, the oldest too."""
    arrays, saved = store.series(7)
    assert [codecs(data)[0] for _, data in saved] == [PLANES, DELTA, DELTA, DELTA, DELTA, PLANES, DELTA]
    for array, (stored, _) in zip(arrays, saved, strict=True):
        assert store.read(stored) == [array.tobytes()]
        store.reader.verify(stored)
    alone, difference_ = saved[0][0].new_bytes, saved[1][0].new_bytes
    assert difference_ < 0.15 * alone


def test_only_chunks_of_the_same_place_and_length_are_bases(store):
    """A buffer that grew, moved or is new stands alone where it has to; the rest are differences."""
    first, second = weights(3 * MIB, 1), weights(MIB, 2)
    base, _ = store.save(first, second)
    longer = np.concatenate([nudged(first, 5), weights(8, 6)])
    stored, data = store.save(longer, nudged(second, 7), weights(MIB, 8), base=base)
    assert codecs(data) == [DELTA, PLANES, DELTA, PLANES]
    assert [block.base is not None for block in data.blocks] == [True, False, True, False]
    assert store.read(stored)[0] == longer.tobytes()


def test_a_difference_that_saves_nothing_is_none(store):
    """The bits of two independent arrays differ like noise: the new one stands alone, whatever came before it."""
    base, _ = store.save(weights(MIB, 1))
    stored, data = store.save(weights(MIB, 2), base=base)
    assert codecs(data) == [PLANES]
    assert store.read(stored) == [weights(MIB, 2).tobytes()]


def test_a_sweep_may_take_the_base(store):
    """The commit is refused; written again, the chunk finds no base and stands alone."""
    array = weights(MIB)
    base, before = store.save(array)
    encoded_ = encoded(nudged(array, 2))
    _, data = store.writer.write(encoded_, compress="delta", base=base)
    assert data.blocks[0].base == before.chunks[0].number
    store.index.sweep([before.chunks[0].number])
    assert not store.index.commit(data)
    store.writer.forget()
    stored, data = store.writer.write(encoded_, compress="delta", base=base)
    assert codecs(data) == [PLANES]
    assert store.index.commit(data)
    assert store.read(stored) == [nudged(array, 2).tobytes()]


def test_a_damaged_base_is_none(store, caplog):
    """The new state is as good as ever, and the log says what happened to the one before."""
    (array, changed), ((base, _), _) = store.series(2)
    pack = store.blobs.path(store.index.locate_chunks([1])[1].block.pack)
    whole = pack.read_bytes()
    pack.write_bytes(whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:])
    again = nudged(changed, 9)
    stored, data = store.save(again, base=base)
    assert codecs(data) == [PLANES]
    assert store.read(stored) == [again.tobytes()]
    assert "cannot be read and is no base" in caplog.text
    assert array.nbytes == 2 * MIB


# -- damage ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", range(3))
def test_damage_anywhere_in_a_chain(store, which):
    """A flipped bit in the chunk itself or in any base below it: Damaged names the chunk and the one it needs."""
    _, saved = store.series(3)
    block = saved[which][1].blocks[0]
    pack = store.blobs.path(block.pack)
    content = bytearray(pack.read_bytes())
    content[block.offset + block.stored_length // 2] ^= 4
    pack.write_bytes(content)
    newest = saved[2][0]
    for read in (store.read, store.reader.verify):
        with pytest.raises(Damaged) as told:
            read(newest)
        for above in saved[which + 1 :]:
            assert f"chunk {above[1].chunks[0].number} in block" in str(told.value)
        assert (f"the difference to chunk {block.number}" in str(told.value)) == (which < 2)
    with pytest.raises(Damaged):
        check_pack(store.blobs, INFO, block.pack)


def test_a_base_that_is_gone(store):
    """As a sweep that took too much would leave it: told, with its number."""
    _, saved = store.series(2)
    number = saved[0][1].chunks[0].number
    store.index.sweep([number])
    with pytest.raises(Damaged, match=f"difference to chunk {number}, which the chunk index does not have") as told:
        store.read(saved[1][0])
    assert told.value.chunk == number


def test_a_base_that_is_another(store):
    """A row that names the wrong chunk, itself, or two that name each other: nothing wrong is handed out."""
    _, saved = store.series(3)
    numbers = [data.chunks[0].number for _, data in saved]
    for block, base in ((2, 2), (1, 2), (2, 0)):
        before = [data.blocks[0].base for _, data in saved]
        store.index.database.execute("update blocks set base = ? where number = ?", (numbers[base], numbers[block]))
        with pytest.raises(Damaged):
            store.read(saved[2][0])
        for number, was in zip(numbers, before, strict=True):
            store.index.database.execute("update blocks set base = ? where number = ?", (was, number))
    assert store.read(saved[2][0])


def test_every_bit_of_a_block_of_planes():
    """Whatever is flipped, cut off or appended: Damaged, or bytes that the id of the chunk then refuses."""
    data = weights(300).tobytes()
    sealed = seal_planes(Member(1, ChunkId(bytes(32)), len(data)), data, 2)
    stored = sealed.parts[0]
    assert bytes(unseal(PLANES, stored, len(data), "it")) == data
    bad = [stored[:length] for length in range(len(stored))] + [
        stored + b"\0",
        b"\0" + stored[1:],
        b"\xff" + stored[1:],
    ]
    for bit in range(len(stored) * 8):
        changed = bytearray(stored)
        changed[bit // 8] ^= 1 << bit % 8
        bad.append(bytes(changed))
    told = 0
    for content in bad:
        for codec in (PLANES, DELTA):
            try:
                found = unseal(codec, content, len(data), "it", bytes(len(data)))
                assert len(found) == len(data)
            except Damaged:
                told += 1
    assert told > len(stored)
    with pytest.raises(Damaged, match="another length"):
        unseal(DELTA, stored, len(data), "it", bytes(len(data) - 1))


# -- packs alone -------------------------------------------------------------------------------------------------------


def test_the_index_is_built_again_from_packs_with_bases(store):
    """The footers know the bases: every state of a chain is read with nothing but packs and manifests."""
    arrays, saved = store.series(3)
    with closing(SqliteIndex()) as fresh:
        for info in store.blobs.list():
            assert check_pack(store.blobs, INFO, info.name) == info.size
            assert fresh.commit(list_pack(store.blobs, INFO, info.name))
        reader = ChunkReader(fresh, store.blobs, INFO)
        for array, (stored, _) in zip(arrays, saved, strict=True):
            assert reader.open(stored).fetch(0) == array.tobytes()


def test_a_pack_of_version_1_is_read(store):
    """As releases before wrote it: the same but for the version in its header."""
    stored, data = store.save(weights(MIB), compress=None)
    pack = data.packs[0].id
    path = store.blobs.path(pack)
    content = bytearray(path.read_bytes())
    content[8] = 1
    content[48:64] = plain_hash(bytes(content[:48]))[:16]
    offset, length, _ = struct.unpack_from("<QQ32s", content, len(content) - 64)
    digest = plain_hash(bytes(content[:64]) + bytes(content[offset : offset + length]))
    content[-48:-16] = digest
    path.write_bytes(content)
    assert check_pack(store.blobs, INFO, pack) == len(content)
    assert store.read(stored) == [weights(MIB).tobytes()]
    content[8] = 4
    content[48:64] = plain_hash(bytes(content[:48]))[:16]
    with pytest.raises(Damaged, match="version 4 and this waycairn reads versions up to 3"):
        pack_file.read_header(bytes(content[:64]), INFO.id, PackId(pack))


# -- through the store -------------------------------------------------------------------------------------------------

WITHOUT_NUMPY = """
import sys
sys.modules["numpy"] = None
import waycairn as wc
from waycairn.errors import UnknownType
store = wc.open(sys.argv[1], create=False)
for act in (lambda: store.save("x", b"x", compress="planes"), lambda: store.core.verify(
        store.checkpoints("w")[0].checkpoint.stored)):
    try:
        act()
    except UnknownType as error:
        print(error)
"""


def test_without_numpy_it_is_told(tmp_path):
    """At the save that asks for it, and at reading what was saved so."""
    import waycairn as wc

    with wc.open(tmp_path) as store:
        store.save("w", weights(MIB), compress="planes")
    told = subprocess.run(
        [sys.executable, "-c", WITHOUT_NUMPY, str(tmp_path)], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert len(told) == 2
    assert all("need numpy, which is not installed. Nothing was changed." in line for line in told)


def test_values_of_one_name(tmp_path):
    """Each save is the difference to the one before; deleting the older value changes nothing for the newer ones."""
    import waycairn as wc

    first = weights(MIB)
    arrays = [{"w": nudged(first, seed), "step": seed} for seed in range(6)]
    with wc.open(tmp_path) as store:
        ids = [store.save("w", value, compress="delta") for value in arrays]
        sizes = [store.checkpoint(checkpoint).checkpoint.stored.new_bytes for checkpoint in ids]
        assert max(sizes[1:5]) < 0.2 * sizes[0] < sizes[5]
        store.delete(ids[1])
        assert store.core.catalog.count_homeless() == 0
        for number in (0, 2, 3, 4, 5):
            found = store.load(ids[number])
            assert found["step"] == number
            assert found["w"].tobytes() == arrays[number]["w"].tobytes()
        with pytest.raises(ValueError, match="compress='zip'"):
            store.save("w", first, compress="zip")
