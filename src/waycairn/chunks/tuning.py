"""The sizes that decide how a state is cut. They change speed and size, never what can be read."""

from __future__ import annotations

from msgspec import Struct

KIB = 1024
MIB = 1024 * KIB


class Tuning(Struct, frozen=True, kw_only=True):
    """All sizes in bytes. Every value may differ from save to save: what a reader needs stands in the manifest."""

    literal_document: int = 16 * KIB
    """A document below this rides whole in the manifest: rows for chunks and blocks cost more than they save."""
    small_piece: int = 512
    """A piece below this is no chunk of its own; it joins the piece behind it."""
    literal_piece: int = 128
    """A small piece up to this may ride in the manifest (a list header that changes with every append)."""
    literal_tail: int = 2 * KIB
    """So may the end of a document up to this: what was appended last is rewritten until a chunk is full."""
    literal_budget: int = 512
    """At most so many bytes of literal pieces in a manifest, or it would grow with the state."""
    content_from: int = 2 * KIB
    """A piece above this is cut by content once it was seen to change from one save to the next."""
    content_large: int = 64 * KIB
    """A piece above this is cut by content in any case."""
    block: int = 1 * MIB
    """New document chunks are compressed together up to this size."""
    chunk: int = 4 * MIB
    """A buffer is cut every so many bytes."""
    own_chunk: int = 1 * MIB
    """A buffer from this size up has chunks of its own; smaller ones share chunks of at most this size."""
    inline: int = 128 * KIB
    """New data up to this rides in the catalog transaction: one flush in all."""
    pack: int = 4 * KIB * MIB
    """A pack is closed and another begun above this."""
    numbers: int = 4096
    """Chunk numbers reserved at a time."""
    chain: int = 4
    """Differences in a row, from a chunk to one that is whole. Each is one more chunk to read on the way back."""
    remembered: int = 65536
    """Chunks whose numbers are kept in memory at the least (twice that at the most; about 200 bytes each)."""
