"""Damage is told and never read: every byte of every structure, flipped, cut off or zeroed."""

import dataclasses
import random
import zlib
from collections import Counter

import pytest
from msgspec import structs

from chunk_index import INFO, SqliteIndex
from waycairn.blobs import LocalBlobs
from waycairn.chunks import ChunkReader, ChunkWriter, check_pack, list_pack
from waycairn.chunks.manifest import decode
from waycairn.errors import Damaged
from waycairn.model.encoded import Encoded

KIB, MIB = 1 << 10, 1 << 20


def text(size, seed=1):
    return bytes(random.Random(seed).choices(b"etaoin shrdlu\n", k=size))


def noise(size, seed=1):
    return random.Random(seed).randbytes(size)


class Saved:
    """One state in a store of its own, and what must come out of it."""

    def __init__(self, folder, encoded, **tuning):
        self.encoded = encoded
        self.index, self.blobs = SqliteIndex(), LocalBlobs(folder)
        self.stored, self.data = ChunkWriter(self.index, self.blobs, INFO, **tuning).write(encoded)
        assert self.data is None or self.index.commit(self.data)

    @property
    def pack(self):
        (pack,) = self.data.packs
        return self.blobs.path(pack.id)

    def read(self, stored=None):
        """Everything, compared; raises Damaged, or returns True if it is right."""
        reader = ChunkReader(self.index, self.blobs, INFO)
        state = reader.open(stored or self.stored)
        assert state.document == self.encoded.document, "wrong data was handed out"
        state.prefetch()
        for number, buffer in enumerate(self.encoded.buffers):
            assert state.fetch(number) == buffer, "wrong data was handed out"
        reader.verify(stored or self.stored)
        return True

    def outcome(self, stored=None):
        try:
            return "right" if self.read(stored) else "?"
        except Damaged as error:
            return "damaged" if str(error).endswith(".") else f"not a sentence: {error}"


@pytest.fixture
def make(tmp_path):
    made = []

    def make(encoded, **tuning):
        made.append(Saved(tmp_path / str(len(made)), encoded, **{"literal_document": 4096} | tuning))
        return made[-1]

    yield make
    for saved in made:
        saved.index.close()


def inline_state():
    return Encoded(text(6000), [memoryview(noise(500)), memoryview(bytes(3000))], lambda: [3000])


def packed_state():
    return Encoded(
        text(5000), [memoryview(noise(3000, 2)), memoryview(bytes(9000)), memoryview(noise(70_000))], lambda: [2500]
    )


def flips(data, count=None):
    """Each bit of each byte, or `count` of them spread over all."""
    bits = range(len(data) * 8)
    for bit in bits if count is None else random.Random(9).sample(bits, min(count, len(bits))):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        yield bytes(changed)


def test_every_bit_of_a_manifest(make):
    """Plain, compressed, and the document in its place; also each way to cut it short, and garbage behind it."""
    for encoded in (inline_state(), Encoded(text(3000), [memoryview(noise(500))]), Encoded(text(900))):
        saved = make(encoded)
        manifest = saved.stored.manifest
        changed = [*flips(manifest), *(manifest[:length] for length in range(len(manifest))), manifest + b"\0"]
        outcomes = Counter(saved.outcome(structs.replace(saved.stored, manifest=bad)) for bad in changed[:8000])
        assert outcomes == {"damaged": min(8000, len(changed))}


def test_every_bit_of_a_root(make):
    """The root proves the manifest, so it is proved by it."""
    saved = make(inline_state())
    outcomes = Counter(saved.outcome(structs.replace(saved.stored, root=bad)) for bad in flips(saved.stored.root))
    assert outcomes == {"damaged": 256}
    assert saved.outcome(structs.replace(saved.stored, raw_bytes=saved.stored.raw_bytes + 1)) == "damaged"


def test_a_manifest_with_a_right_checksum_and_wrong_content(make):
    """Beyond the checksum: decoded as something else, it fails at its root, its length or its numbers."""
    saved = make(inline_state())
    head, body = saved.stored.manifest[:2], saved.stored.manifest[6:]
    outcomes = Counter(
        saved.outcome(structs.replace(saved.stored, manifest=head + zlib.crc32(bad).to_bytes(4, "little") + bad))
        for bad in flips(body)
    )
    assert set(outcomes) == {"damaged"}


def test_every_bit_of_an_inline_block(make):
    """In the catalog's row."""
    saved = make(inline_state())
    outcomes = Counter()
    for block in saved.data.blocks:
        for bad in flips(block.inline, 1500):
            saved.index.database.execute("update blocks set inline = ? where number = ?", (bad, block.number))
            outcomes[saved.outcome()] += 1
        saved.index.database.execute("update blocks set inline = ? where number = ?", (block.inline, block.number))
    assert saved.outcome() == "right"
    # A few bits of a zstd frame mean nothing; then what is read is right all the same.
    assert outcomes["damaged"] > 1900
    assert outcomes["right"] < 0.02 * outcomes["damaged"]


def test_every_byte_of_a_pack(make):
    """A reader tells damage or reads what is right; a check of the pack tells every flipped byte."""
    saved = make(packed_state(), inline=0)
    whole = saved.pack.read_bytes()
    (pack,) = saved.data.packs
    assert check_pack(saved.blobs, INFO, pack.id) == len(whole)
    outcomes, told = Counter(), 0
    positions = random.Random(3).sample(range(len(whole)), 300)
    for position in [*positions, *range(130), *range(len(whole) - 200, len(whole))]:
        bad = bytearray(whole)
        bad[position] ^= 1 << position % 8
        saved.pack.write_bytes(bad)
        outcomes[saved.outcome()] += 1
        with pytest.raises(Damaged, match=pack.id):
            check_pack(saved.blobs, INFO, pack.id)
        told += 1
    assert told == 630
    assert outcomes["damaged"] > 200
    saved.pack.write_bytes(whole)
    assert saved.outcome() == "right"


def test_a_pack_cut_short_zeroed_or_gone(make):
    """As after a bad copy or a file system that lost its tail; the message names the pack and says what it means."""
    saved = make(packed_state(), inline=0)
    whole = saved.pack.read_bytes()
    (pack,) = saved.data.packs
    last = max(block.offset + block.stored_length for block in saved.data.blocks)
    for length in (0, 1, 63, 64, 4096, len(whole) // 2, last - 1):
        for bad in (whole[:length], whole[:length] + bytes(len(whole) - length)):
            saved.pack.write_bytes(bad)
            with pytest.raises(Damaged, match=pack.id):
                saved.read()
            with pytest.raises(Damaged, match=pack.id):
                check_pack(saved.blobs, INFO, pack.id)
    saved.pack.write_bytes(whole + b"\0")
    assert saved.outcome() == "right"
    with pytest.raises(Damaged, match=pack.id):
        list_pack(saved.blobs, INFO, pack.id)
    saved.pack.unlink()
    with pytest.raises(Damaged, match=f"pack {pack.id} is missing"):
        saved.read()


def test_one_pack_under_the_name_of_another(make):
    """A restored backup that mixes files up."""
    one, other = make(packed_state(), inline=0), make(Encoded(text(5000, 7), [memoryview(noise(80_000))]), inline=0)
    one.pack.write_bytes(other.pack.read_bytes())
    (pack,) = one.data.packs
    assert one.outcome() == "damaged"
    with pytest.raises(Damaged, match="wrong name"):
        check_pack(one.blobs, INFO, pack.id)
    stranger = dataclasses.replace(INFO, id="another-store")
    with pytest.raises(Damaged, match="another store"):
        check_pack(other.blobs, stranger, other.data.packs[0].id)


@pytest.mark.parametrize(
    "sql",
    [
        "delete from chunks where number = (select max(number) from chunks)",
        "delete from chunks",
        "update chunks set start = start + 1",
        "update chunks set length = length - 1",
        "update chunks set id = zeroblob(32)",
        "update chunks set block = (select min(number) from blocks)",
        "update blocks set offset = offset + 1",
        "update blocks set stored = stored - 1",
        "update blocks set stored = stored + (1 << 50)",
        "update blocks set offset = offset + (1 << 50)",
        "update blocks set raw = raw + 1",
        "update blocks set raw = raw - 1",
        "update blocks set codec = 1 - codec",
        "update blocks set codec = 9",
        "update blocks set pack = '00000000000000000000000000000000'",
        "delete from blocks",
    ],
)
def test_a_damaged_index(make, sql):
    """Rows that were lost, changed or mixed up never yield other data than was saved."""
    saved = make(packed_state(), inline=0)
    saved.index.database.execute(sql)
    assert saved.outcome() == "damaged"


def test_numbers_that_were_exchanged(make):
    """Two chunks of the same length with exchanged numbers: the root tells."""
    saved = make(Encoded(text(8000), (), lambda: [4000]))
    first, second = (chunk.number for chunk in saved.data.chunks)
    for number, other in ((first, -1), (second, first), (-1, second)):
        saved.index.database.execute("update chunks set number = ? where number = ?", (other, number))
    with pytest.raises(Damaged, match="root hash"):
        saved.read()


def test_the_message_says_where(make):
    """Chunk, pack and offset stand in the message and in the attributes."""
    saved = make(packed_state(), inline=0)
    block = saved.data.blocks[-1]
    with saved.pack.open("r+b") as file:
        file.seek(block.offset + 5)
        file.write(b"\0\0\0\0")
    with pytest.raises(Damaged) as caught:
        ChunkReader(saved.index, saved.blobs, INFO).verify(saved.stored)
    assert (caught.value.pack, caught.value.offset, caught.value.chunk) == (block.pack, block.offset, block.number)
    for fact in (f"chunk {block.number}", f"pack {block.pack}", f"at byte {block.offset}", "not match their hash"):
        assert fact in str(caught.value)


def test_damage_in_one_buffer_spares_the_others(make):
    """What is intact can still be read, one by one."""
    buffers = [memoryview(noise(2 * MIB, seed)) for seed in range(3)]
    saved = make(Encoded(b"", buffers))
    with saved.pack.open("r+b") as file:
        file.seek(saved.data.blocks[1].offset)
        file.write(b"damage")
    state = ChunkReader(saved.index, saved.blobs, INFO).open(saved.stored)
    assert state.fetch(0) == buffers[0]
    with pytest.raises(Damaged):
        state.fetch(1)
    assert state.fetch(2) == buffers[2]
    with pytest.raises(Damaged):
        state.prefetch()


def test_decoding_garbage_is_damage():
    """No input makes the decoder fail in another way."""
    random.seed(4)
    for _ in range(3000):
        body = random.randbytes(random.randrange(40))
        for form in (0, 1):
            data = bytes((1, form)) + zlib.crc32(body).to_bytes(4, "little") + body
            try:
                decode(data)
            except Damaged:
                continue


def test_a_newer_manifest_is_not_guessed_at(make):
    """Version 2 is not read as version 1."""
    saved = make(inline_state())
    newer = structs.replace(saved.stored, manifest=b"\x02" + saved.stored.manifest[1:])
    with pytest.raises(Damaged, match="version 2"):
        saved.read(newer)
