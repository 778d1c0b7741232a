"""Encoded states as content-addressed chunks, and back.

A *document* is cut into pieces along its own structure; a *buffer* is cut at fixed places. A piece is a *chunk*,
named by the keyed hash of its bytes and stored once per store. New chunks lie together in *blocks* (the unit of
compression), blocks in a *pack* or inline in the catalog. A *manifest* lists the numbers of the chunks of one
state; its *root* is a keyed hash over their ids, so that integrity never rests on the numbers.
"""

from __future__ import annotations

from waycairn.chunks.compressing import check_compression
from waycairn.chunks.listing import Listing, list_what_is_proven
from waycairn.chunks.open_state import OpenState
from waycairn.chunks.pack_reader import check_ends, check_pack, list_pack
from waycairn.chunks.reader import ChunkReader
from waycairn.chunks.roots import IndexTable, Roots
from waycairn.chunks.source import Examined
from waycairn.chunks.streaming import Shape, StateStream, gathered
from waycairn.chunks.tuning import Tuning
from waycairn.chunks.writer import ChunkWriter

__all__ = [
    "ChunkReader",
    "ChunkWriter",
    "Examined",
    "IndexTable",
    "Listing",
    "OpenState",
    "Roots",
    "Shape",
    "StateStream",
    "Tuning",
    "check_compression",
    "check_ends",
    "check_pack",
    "gathered",
    "list_pack",
    "list_what_is_proven",
]
