"""How buffers lie in chunks. Version 1: computed from their sizes alone, so a manifest needs only the sizes."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

ALIGNMENT = 64
"""A buffer that shares a chunk starts at a multiple of this, so that an array can use the memory as it is."""


class Group(Struct, frozen=True):
    """Buffers that share chunks: one large one, or several small ones one behind the other in a single chunk."""

    members: tuple[tuple[int, int], ...]
    """(number of the buffer, its offset in the group)"""
    chunks: tuple[int, ...]
    """Lengths of the chunks."""

    @property
    def size(self) -> int:
        return sum(self.chunks)


def plan_groups(sizes: Sequence[int], own_chunk: int, chunk: int) -> list[Group]:
    """Buffers from `own_chunk` bytes up are cut every `chunk` bytes from their own start. Smaller ones are laid in
    order into shared chunks of at most `own_chunk` bytes; larger ones between them do not matter. Empty buffers
    lie nowhere."""
    groups: list[Group] = []
    shared: list[tuple[int, int]] = []
    end = 0
    for number, size in enumerate(sizes):
        if size >= own_chunk:
            groups.append(Group(((number, 0),), _cut(size, chunk)))
            continue
        if not size:
            continue
        start = aligned(end, ALIGNMENT)
        if shared and start + size > own_chunk:
            groups.append(Group(tuple(shared), (end,)))
            shared, start = [], 0
        shared.append((number, start))
        end = start + size
    if shared:
        groups.append(Group(tuple(shared), (end,)))
    return groups


def aligned(offset: int, alignment: int) -> int:
    """The next multiple of the alignment."""
    return -(-offset // alignment) * alignment


def _cut(size: int, chunk: int) -> tuple[int, ...]:
    whole, rest = divmod(size, chunk)
    return (chunk,) * whole + ((rest,) if rest else ())
