"""Packs of an encrypted store: they come back as they were, from their own place and with their own keys only."""

import random
import struct
from contextlib import closing
from dataclasses import replace

import pytest
from msgspec import structs

from chunk_index import INFO, SqliteIndex
from waycairn.blobs import LocalBlobs
from waycairn.chunks import ChunkReader, ChunkWriter, check_pack, list_pack, pack_file
from waycairn.chunks.hashing import plain_hash
from waycairn.chunks.segments import SEGMENT, context_of_block, opened_length, sealed_length
from waycairn.crypto import AesVault
from waycairn.errors import Damaged
from waycairn.model.encoded import Encoded
from waycairn.model.keys import DataKeys

KIB, MIB = 1 << 10, 1 << 20
FIRST, SECOND = b"a" * 32, b"b" * 32
MARK = b"planted where nobody may find it"


def sealed_with(keys, store=INFO.id):
    return replace(INFO, id=store, vault=AesVault(store, keys, INFO.secret))


SEALED = sealed_with(DataKeys(1, {1: FIRST}))


def noise(size, seed=1):
    return random.Random(seed).randbytes(size)


class Place:
    """A folder of packs and an index, used by any number of stores."""

    def __init__(self, folder, info=SEALED):
        self.index, self.blobs, self.info = SqliteIndex(), LocalBlobs(folder), info

    def save(self, encoded, info=None, compress=None, base=None, **tuning):
        stored, data = ChunkWriter(self.index, self.blobs, info or self.info, **tuning).write(
            encoded, compress=compress, base=base
        )
        assert self.index.commit(data)
        return stored, data

    def read(self, stored, info=None):
        state = ChunkReader(self.index, self.blobs, info or self.info).open(stored)
        state.prefetch()
        return state.document, [bytes(state.fetch(number)) for number in range(state.buffer_count)]

    def pack(self, data):
        (pack,) = data.packs
        return self.blobs.path(pack.id)


@pytest.fixture
def place(tmp_path):
    place = Place(tmp_path)
    yield place
    place.index.close()


def text(size):
    return (MARK + b" and so on, line by line\n") * (size // 57)


STATES = {
    "one small pack": Encoded(text(300 * KIB), [memoryview(noise(5))]),
    "small buffers that share chunks": Encoded(b"d", [memoryview(noise(70 * KIB, seed)) for seed in range(40)]),
    "a buffer of chunks": Encoded(noise(200 * KIB), [memoryview(noise(9 * MIB + 5)), memoryview(MARK * 50_000)]),
    "a chunk of one segment": Encoded(b"d", [memoryview(noise(SEGMENT))]),
    "a chunk of one segment and a byte": Encoded(b"d", [memoryview(noise(SEGMENT + 1))]),
}


@pytest.mark.parametrize("name", STATES)
def test_a_state_comes_back_and_lies_nowhere_in_the_clear(place, name):
    """Blocks of every kind, in packs of both writers; and what is in them also without the catalog."""
    encoded = STATES[name]
    stored, data = place.save(encoded, inline=0)
    assert place.read(stored) == (encoded.document, [bytes(buffer) for buffer in encoded.buffers])
    content = place.pack(data).read_bytes()
    assert MARK not in content
    assert all(chunk.id not in content for chunk in data.chunks)
    assert check_pack(place.blobs, SEALED, data.packs[0].id) == len(content)
    with closing(SqliteIndex()) as fresh:
        assert fresh.commit(list_pack(place.blobs, SEALED, data.packs[0].id))
        reader = ChunkReader(fresh, place.blobs, SEALED)
        assert reader.open(stored).document == encoded.document
        reader.verify(stored)


def test_planes_and_differences_are_encrypted_too(place):
    """Compressed first, encrypted then; a base is read through its own key."""
    numpy = pytest.importorskip("numpy")
    weights = numpy.random.default_rng(1).normal(size=300_000).astype(numpy.float32)
    one = Encoded(b"d", [memoryview(weights).cast("B")], [4])
    first, _ = place.save(one, compress="planes", inline=0)
    weights[::1000] += 1
    two = Encoded(b"d", [memoryview(weights.copy()).cast("B")], [4])
    second, data = place.save(two, compress="delta", base=first, inline=0)
    assert {block.codec for block in data.blocks} == {3}
    assert place.read(second)[1] == [weights.tobytes()]
    assert check_pack(place.blobs, SEALED, data.packs[0].id)


def test_lengths_of_what_is_encrypted():
    """A tag a segment, and back."""
    for length in (1, 100, SEGMENT - 1, SEGMENT, SEGMENT + 1, 3 * SEGMENT, 4 * MIB):
        assert opened_length(sealed_length(length)) == length
    assert sealed_length(SEGMENT) == MIB
    assert opened_length(15) < 0


def test_the_same_is_never_encrypted_to_the_same(place):
    """In two packs, and twice in one: no key ever meets a nonce again."""
    same = [memoryview(noise(2 * MIB)), memoryview(noise(2 * MIB))]
    contents = []
    for _ in range(2):
        _, data = ChunkWriter(place.index, place.blobs, SEALED).write(Encoded(b"d", same), anew=True)
        contents.append(place.pack(data).read_bytes())
    pieces = [content[at : at + 16] for content in contents for at in range(4096, 2 * MIB, 4096)]
    assert len(set(pieces)) == len(pieces)


# -- damage and deceit -------------------------------------------------------------------------------------------------


@pytest.fixture
def small(place):
    """A pack of a few hundred bytes that mean something: a compressed block and a raw one."""
    encoded = Encoded(b"d", [memoryview(text(4 * KIB)), memoryview(noise(90))])
    return place.save(encoded, inline=0, own_chunk=1 * KIB, chunk=64 * KIB)


def test_each_byte_of_an_encrypted_pack_matters(place, small):
    """Any of them flipped: told when it is read, or by the check of the pack; and never handed out."""
    stored, data = small
    right = place.read(stored)
    path = place.pack(data)
    content = path.read_bytes()
    ends = len(content) - len(content) % 4096
    meant = {*range(64), *range(ends, len(content)), *range(64, len(content), 509)}
    for block in data.blocks:
        meant |= set(range(block.offset, block.offset + block.stored_length))
    for at in sorted(meant):
        path.write_bytes(content[:at] + bytes([content[at] ^ 0x10]) + content[at + 1 :])
        with pytest.raises(Damaged):
            check_pack(place.blobs, SEALED, data.packs[0].id)
        try:
            assert place.read(stored) == right
        except Damaged:
            continue
    path.write_bytes(content)
    assert check_pack(place.blobs, SEALED, data.packs[0].id)


def test_what_is_cut_off_is_missed(place, small):
    """At every length, also the few behind the last block that only the check of the pack looks at."""
    stored, data = small
    path = place.pack(data)
    content = path.read_bytes()
    # What lies behind the blocks is not needed to read them.
    end = max(block.offset + block.stored_length for block in data.blocks)
    for length in range(0, end, 157):
        path.write_bytes(content[:length])
        with pytest.raises(Damaged):
            check_pack(place.blobs, SEALED, data.packs[0].id)
        with pytest.raises(Damaged):
            place.read(stored)


def buffers(seed):
    return Encoded(b"d", [memoryview(noise(70 * KIB, seed)), memoryview(noise(70 * KIB, seed + 1))])


def two_blocks(place, seed, info=SEALED):
    """A state whose buffers are blocks of equal length, at equal places in every pack of this kind."""
    return place.save(buffers(seed), info, own_chunk=64 * KIB, inline=0)


def refused(place, stored, match, info=SEALED):
    with pytest.raises(Damaged, match=match):
        place.read(stored, info)


def test_two_blocks_of_a_pack_cannot_change_places(place):
    """Neither by their bytes nor by their rows."""
    stored, data = two_blocks(place, 1)
    path, (one, two) = place.pack(data), data.blocks
    content = bytearray(path.read_bytes())
    a, b = slice(one.offset, one.offset + one.stored_length), slice(two.offset, two.offset + two.stored_length)
    content[a], content[b] = content[b], content[a]
    path.write_bytes(content)
    refused(place, stored, "does not open with the keys of this store")


def test_a_block_of_another_pack_is_refused(place):
    """At the same place, of the same length, under the same data key."""
    stored, data = two_blocks(place, 1)
    _, other = two_blocks(place, 5)
    block = data.blocks[0]
    part = slice(block.offset, block.offset + block.stored_length)
    content = bytearray(place.pack(data).read_bytes())
    content[part] = place.pack(other).read_bytes()[part]
    place.pack(data).write_bytes(content)
    refused(place, stored, "it belongs to another place, pack or store")


def test_a_whole_pack_under_another_name_is_refused(place):
    """Its header tells; and with a header that lies, its key."""
    stored, data = two_blocks(place, 1)
    _, other = two_blocks(place, 5)
    content = bytearray(place.pack(other).read_bytes())
    place.pack(data).write_bytes(content)
    refused(place, stored, "under a wrong name")
    content[:64] = pack_file.header(SEALED.id, data.packs[0].id, 4096, 1)
    place.pack(data).write_bytes(content)
    refused(place, stored, "does not open with the keys of this store")
    with pytest.raises(Damaged, match="its footer does not match its hash"):
        check_pack(place.blobs, SEALED, data.packs[0].id)


def test_a_pack_of_another_store_is_refused(place):
    """With the same keys even."""
    stranger = sealed_with(DataKeys(1, {1: FIRST}), "another store")
    stored, data = two_blocks(place, 1, stranger)
    refused(place, stored, "it belongs to another store")
    content = bytearray(place.pack(data).read_bytes())
    content[:64] = pack_file.header(SEALED.id, data.packs[0].id, 4096, 1)
    place.pack(data).write_bytes(content)
    refused(place, stored, "does not open with the keys of this store")


def test_a_plain_pack_in_an_encrypted_store_is_refused(place):
    """It was not written by a store that has keys."""
    stored, data = two_blocks(place, 1, INFO)
    assert place.read(stored, INFO)
    refused(place, stored, "it is not encrypted, and its store is")
    with pytest.raises(Damaged, match="it is not encrypted, and its store is"):
        check_pack(place.blobs, SEALED, data.packs[0].id)


def test_an_encrypted_pack_in_a_plain_store_is_refused(place):
    """Its blocks are no chunks of it."""
    stored, data = two_blocks(place, 1)
    refused(place, stored, "damaged", INFO)
    with pytest.raises(Damaged, match="it is encrypted, and its store is not"):
        list_pack(place.blobs, INFO, data.packs[0].id)


@pytest.mark.parametrize(
    "changed", [{"codec": 1}, {"raw_length": 5}, {"stored_length": 12}, {"stored_length": 70 * KIB}]
)
def test_what_the_index_says_of_a_block_is_bound_to_it(place, changed):
    """An index that lies about codec or lengths opens nothing."""
    stored, data = two_blocks(place, 1)
    with closing(SqliteIndex()) as lying:
        blocks = [structs.replace(block, **changed) for block in data.blocks]
        assert lying.commit(type(data)(packs=data.packs, blocks=blocks, chunks=data.chunks))
        with pytest.raises(Damaged):
            ChunkReader(lying, place.blobs, SEALED).open(stored).fetch(0)


# -- generations -------------------------------------------------------------------------------------------------------


def test_a_pack_says_which_data_key_it_needs(place):
    """A rotation adds one: older packs are read as long as theirs is there, new ones use the new one."""
    rotated = sealed_with(DataKeys(2, {1: FIRST, 2: SECOND}))
    old, data = two_blocks(place, 1)
    new, later = two_blocks(place, 5, rotated)
    assert [place.pack(one).read_bytes()[10] for one in (data, later)] == [1, 2]
    assert place.read(old, rotated)[1] == [bytes(one) for one in buffers(1).buffers]
    assert place.read(new, rotated)[1] == [bytes(one) for one in buffers(5).buffers]
    refused(place, old, "generation 1 of the data key", sealed_with(DataKeys(2, {2: SECOND})))
    refused(place, new, "does not open", sealed_with(DataKeys(2, {2: FIRST})))


def test_the_structure_of_an_encrypted_pack_is_checked_without_a_key(place, small):
    """Header, trailer and digest are in the clear: a copy can be compared by who must not read it."""
    _, data = small
    pack = data.packs[0]
    content = place.pack(data).read_bytes()
    assert pack_file.read_header(content[:64], SEALED.id, pack.id, is_encrypted=True).generation == 1
    offset, length, digest = pack_file.read_trailer(content[-64:], len(content), pack.id)
    assert plain_hash(content[:64] + content[offset : offset + length]) == digest == pack.digest


def test_an_unknown_base_is_another_context():
    """No base and base 0 are not the same."""
    assert context_of_block(3, 1, 1, None) != context_of_block(3, 1, 1, 0)
    assert struct.calcsize("<5sBQQQ") == len(context_of_block(3, 1, 1, 0))
