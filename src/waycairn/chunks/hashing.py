"""Hashes of a store. Keyed, so that nobody can tell from outside whether a store holds a text he knows.

BLAKE3 (O'Connor, Aumasson, Neves, Wilcox-O'Hearn 2020): 9 GB/s a thread on large chunks, and it releases the GIL.
One thread per call: its own threads are slower below 4 MiB.
"""

from __future__ import annotations

from collections.abc import Sequence

from blake3 import blake3

from waycairn.model.ids import ChunkId
from waycairn.ports import Buffer

_ROOT_CONTEXT = "waycairn 2026-11 root of a manifest"
_SEED_CONTEXT = "waycairn 2026-11 seed of content-defined cuts"


def chunk_id(parts: Sequence[Buffer], secret: bytes) -> ChunkId:
    """Name of the chunk that the parts make up, one behind the other."""
    if len(parts) == 1:
        return ChunkId(blake3(parts[0], key=secret).digest())
    hasher = blake3(key=secret)
    for part in parts:
        hasher.update(part)
    return ChunkId(hasher.digest())


def plain_hash(data: Buffer) -> bytes:
    """32 bytes that anybody can compute again, without the store's secret."""
    return blake3(data).digest()


def keyed_hash(data: Buffer, key: bytes) -> bytes:
    return blake3(data, key=key).digest()


class Keys:
    """What follows from the secret of a store."""

    def __init__(self, secret: bytes) -> None:
        self.chunk = secret
        # Another key than that of chunks: a root must never be mistaken for a chunk of the same bytes.
        self.root = blake3(secret, derive_key_context=_ROOT_CONTEXT).digest()
        # Different cuts in each store: lengths of chunks then tell nothing about a known text.
        self.seed = int.from_bytes(blake3(secret, derive_key_context=_SEED_CONTEXT).digest(4), "little")
