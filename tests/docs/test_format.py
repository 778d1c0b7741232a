"""The hex examples of the format page are what the code writes, and what it reads.

They are the format's memory: when one of these tests fails, stores in the field can no longer be read, and the
version has to grow, with a decoder for the old one.
"""

import json
import re
import struct
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from blake3 import blake3
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
from msgspec import structs

from waycairn.catalog.points import decode_points, encode_points
from waycairn.chunks import manifest, pack_file
from waycairn.chunks.manifest import Manifest, Run
from waycairn.chunks.pack_file import PackedBlock
from waycairn.chunks.sealing import DELTA, PLANES, RAW, Member, unseal
from waycairn.chunks.segments import context_of_block, context_of_footer, sealed_parts, unseal_segments
from waycairn.codec import Types, decode, encode
from waycairn.codec.keys import canonical, key_digest, pack_keys, unpack_keys
from waycairn.crypto import AesVault
from waycairn.crypto.wrapping import unwrap
from waycairn.fanout import FlightLog
from waycairn.model import audit
from waycairn.model.audit import BEGINNING, AuditEntry, Outcome, chain_hash
from waycairn.model.histogram import Histogram, lower_end
from waycairn.model.ids import ChunkId, PackId
from waycairn.model.journal import Point
from waycairn.model.keys import DATA, DataKeys, WrappedKey

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "format.md"
STORE, PACK = "k7f3qx0a9m2d", PackId("00112233445566778899aabbccddeeff")
CONTENT = b"hello waycairn\n"
KEYS = DataKeys(1, {1: bytes(range(32, 64))})
VAULT = AesVault(STORE, KEYS, bytes(range(32)))
BLOCK = PackedBlock(
    codec=RAW,
    offset=4096,
    raw_length=15,
    stored_length=15,
    stored_hash=None,
    members=[Member(7, ChunkId(blake3(CONTENT, key=bytes(range(32))).digest()), 15)],
)


def shown(name):
    """The bytes of an example: the hex pairs at the head of each of its lines."""
    block = re.search(rf"^<!-- hex: {name} -->\n```text\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    pairs = [re.match(r"(?:[0-9a-f]{2}(?: |$))+", line).group() for line in block.group(1).splitlines()]
    return bytes.fromhex("".join(pairs))


def no_buffer(number):
    raise AssertionError(f"the example has no buffer {number}")


def test_block_of_keys():
    """Four keys of four types; the two that look alike in Python, 1 and True, stay apart."""
    keys = [canonical(key) for key in ("a.jpg", 7, True, (1, "x"))]
    assert pack_keys(keys) == shown("keys")
    assert unpack_keys(shown("keys")) == keys
    assert canonical(True) != canonical(1)


def test_histogram():
    """Four values in three buckets, there and back."""
    histogram = Histogram()
    for value in (0.0, 0.25, 0.25, 1.0):
        histogram.add(value)
    assert histogram.encode() == shown("histogram")
    assert Histogram.decode(shown("histogram"), 1.5).buckets == histogram.buckets == {0: 1, 1249: 2, 1313: 1}
    assert [lower_end(bucket) for bucket in (1, 1249, 1250, 1313, 1314)] == [2.0**-41, 0.25, 0.2578125, 1.0, 1.03125]


def test_block_of_points():
    """Two points, one with a metric more, there and back."""
    points = [Point(5, 1_800_000_000.25, {"loss": 0.5}), Point(6, 1_800_000_001.75, {"loss": 0.25, "acc": 1.0})]
    assert encode_points(points) == shown("points")
    assert decode_points(shown("points")) == points


def test_wrapped_key():
    """A data key under the main key, in its row and in no other."""
    main = bytes(range(64, 96))
    row = WrappedKey(id="data-1", generation=1, kind=DATA, wrapped=shown("wrapped"), created=0.0)
    assert unwrap(main, STORE, row) == bytes(range(32, 64))
    assert unwrap(main, STORE, replace(row, id="data-2")) is None
    parts = (b"waycairn key", b"1", STORE.encode(), b"data-1", b"data", b"1")
    bound = b"".join(len(part).to_bytes(4, "little") + part for part in parts)
    assert AESGCM(main).encrypt(bytes(range(12)), bytes(range(32, 64)), bound) == shown("wrapped")[13:]


def test_manifest():
    """Chunks, a literal and a buffer, there and back."""
    expected = Manifest(
        document_length=40_000,
        segments=[Run(7, 3), b"tail"],
        sizes=[5_000_000],
        own_chunk=1 << 20,
        chunk=4 << 20,
        buffer_runs=[Run(10, 2)],
    )
    assert manifest.encode(expected) == shown("manifest")
    assert manifest.decode(shown("manifest")) == expected


def test_manifest_of_a_small_state():
    """The document in its place, and the root as the page defines it for one literal."""
    document, key = encode({"page": 7}).document, bytes(range(32))
    assert manifest.encode_whole(document) == shown("whole manifest")
    found = manifest.decode(shown("whole manifest"))
    assert (found.document_length, found.segments) == (len(document), (document,))
    fields = struct.pack("<6Q", len(document), 0, 1, 0, 0, 0) + struct.pack("<2Q", 0, len(document))
    assert manifest.root_of(found, (), (), key) == blake3(fields + document, key=key).digest()


def test_pack():
    """Header, footer and trailer of a pack with one block."""
    header, footer = pack_file.header(STORE, PACK, 4096), pack_file.footer([BLOCK])
    digest = pack_file.digest_of(header, footer)
    assert header == shown("pack header")
    assert footer == shown("pack footer")
    assert pack_file.trailer(8192, footer, digest) == shown("pack trailer")
    assert pack_file.read_header(header, STORE, PACK).alignment == 4096
    assert pack_file.read_footer(footer, PACK) == [BLOCK]
    assert pack_file.read_trailer(shown("pack trailer"), 8192 + 42 + 64, PACK) == (8192, 42, digest)


def test_encrypted_pack():
    """The same pack of an encrypted store: what is in it opens with the key that follows from store, pack and data key."""
    header = pack_file.header(STORE, PACK, 4096, 1)
    block = structs.replace(BLOCK, stored_length=31)
    key = VAULT.pack_key(PACK)
    stored = encrypted(key, CONTENT, 4096, context_of_block(RAW, 15, 31, None))
    footer = encrypted(key, pack_file.footer([block]), 8192, context_of_footer(header))
    assert header == shown("encrypted pack header")
    assert stored == shown("encrypted block")
    assert footer == shown("encrypted pack footer")
    assert pack_file.trailer(8192, footer, pack_file.digest_of(header, footer)) == shown("encrypted pack trailer")
    opened = bytearray(42)
    unseal_segments(key, memoryview(footer), 8192, context_of_footer(header), memoryview(opened))
    assert pack_file.read_footer(bytes(opened), PACK, is_sealed=True) == [block]


def encrypted(key, plain, place, context):
    (part,) = sealed_parts(key, [plain], place, context)
    target = bytearray(len(part))
    part.fill(memoryview(target))
    return bytes(target)


def test_values_of_an_encrypted_store(monkeypatch):
    """Sealed, matched and hashed, made again here from what the page says and nothing else."""
    value, matched, hashed = shown("sealed value"), shown("matched value"), shown("keyed hash")
    context = b"runs\0metadata\0r1"
    monkeypatch.setattr("waycairn.crypto.vault.os.urandom", lambda size: bytes(range(size)))
    assert AesVault(STORE, KEYS, bytes(range(32))).seal(b'{"page":7}', context) == value
    assert VAULT.unseal(value, context) == b'{"page":7}'
    assert VAULT.match(b'["out.txt"]', b"outputs\0place") == matched
    assert VAULT.digest("runs.identity", b'[null,"nightly",null]') == hashed

    def derived(purpose, *material):
        return blake3(b"".join(material), derive_key_context=f"waycairn 2026-11 {purpose}").digest()

    bound = b"\xe1\x0c\0" + STORE.encode()
    key = derived("key of sealed values", bytes(range(32, 64)), value[3:11])
    assert AESGCM(key).decrypt(value[11:23], value[23:], bound + context) == b'{"page":7}'
    halves = [derived(f"{half} half of the key of matched values", bytes(range(32))) for half in ("first", "second")]
    assert AESSIV(b"".join(halves)).decrypt(matched, [bound + b"outputs\0place"]) == b'["out.txt"]'
    key = derived("key of digests: runs.identity", bytes(range(32)))
    assert blake3(b'[null,"nightly",null]', key=key).digest() == hashed


def test_blocks_of_planes_and_differences():
    """What a reader makes of them; the frame itself is the business of the compressor."""
    numbers = bytes(byte for low in range(32) for byte in (low, 0x3C))
    later = bytearray(numbers)
    later[10] ^= 0x01
    later[63] ^= 0x80
    assert bytes(unseal(PLANES, shown("planes"), 64, "the example")) == numbers
    assert bytes(unseal(DELTA, shown("delta"), 64, "the example", base=numbers)) == later
    block = PackedBlock(
        codec=DELTA,
        offset=4096,
        raw_length=64,
        stored_length=34,
        stored_hash=blake3(shown("delta")).digest(),
        members=[Member(9, ChunkId(blake3(later, key=bytes(range(32))).digest()), 64)],
        base=(8, ChunkId(blake3(numbers, key=bytes(range(32))).digest())),
    )
    assert pack_file.footer([block]) == shown("pack footer with a base")
    assert pack_file.read_footer(shown("pack footer with a base"), PACK) == [block]


def test_list_of_running_items(tmp_path):
    """Two workers, of which the second runs an item; at a death before another one ran."""
    path = tmp_path / "flights"
    jpg, seven = key_digest(canonical("a.jpg")), key_digest(canonical(7))
    FlightLog(path, 2).begin(0, jpg)
    log = FlightLog(path, 2)
    assert log.suspects == {jpg: 1}
    log.begin(1, seven)
    assert path.read_bytes() == shown("flights")
    assert FlightLog(path, 2).suspects == {jpg: 1, seven: 1}


def test_plain_document():
    """Values of msgpack, a set and a tuple."""
    state = {"page": 7, "seen": {"a", "b"}, "at": (1, 2.5)}
    assert encode(state).document == shown("document plain")
    assert decode(shown("document plain"), no_buffer) == state


def test_record_document():
    """An object with named fields, stored under the name of its type."""

    @dataclass
    class Progress:
        page: int

    Progress.__module__, Progress.__qualname__ = "job", "Progress"
    assert encode(Progress(7)).document == shown("document record")
    assert decode(shown("document record"), no_buffer, types=Types.of(Progress)) == Progress(7)


def test_array_document():
    """A small numpy array lies in the document."""
    array = np.arange(3, dtype="<i2")
    assert encode(array).document == shown("document array")
    found = decode(shown("document array"), no_buffer)
    assert (found.dtype, found.tolist()) == (array.dtype, [0, 1, 2])


def test_audit_log():
    """Two rows as they are hashed, and their hashes; also without our code, by the description alone."""
    text = re.search(r"<!-- audit: rows -->\n```text\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL).group(1)
    first, first_hash, second, second_hash = text.splitlines()
    secret, previous = bytes(range(32)), BEGINNING
    key = blake3(secret, derive_key_context="waycairn 2026-11 audit chain").digest()
    for line, digest in ((first, first_hash), (second, second_hash)):
        number, at, actor, act, of, outcome, facts = json.loads(line)
        entry = AuditEntry(at=at, actor=actor, act=act, object=of, outcome=Outcome(outcome), facts=facts)
        assert audit.canonical(number, entry) == line.encode()
        assert chain_hash(secret, previous, number, entry).hex() == digest
        assert blake3(previous + line.encode(), key=key).hexdigest() == digest
        previous = bytes.fromhex(digest)
