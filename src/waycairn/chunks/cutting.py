"""Where a document is cut. Cuts decide what is found again, never what is read back."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from waycairn.chunks.sealing import sample_pays
from waycairn.chunks.tuning import KIB, MIB, Tuning

_MUCH = 16 * KIB
"""Mean size of the chunks of much text."""
_IN_GROUP, _TAIL, _LARGEST_GROUP = 16, 32, 768 * KIB
"""Chunks that are joined where they are noise: so many in the mean, told by so many bytes at their ends, up to this size."""
_HEAD = slice(64, 320)
"""What tells a piece: behind the header of a list, which counts what follows and so changes as it grows."""


class Piece(NamedTuple):
    """document[start:end]; a literal rides in the manifest, any other piece is a chunk."""

    start: int
    end: int
    literal: bool


class Plan(NamedTuple):
    """A piece before it is cut by content into chunks of this average size; 0: it is one piece."""

    start: int
    end: int
    literal: bool
    average: int


class PieceHeads:
    """How pieces began that were saved lately. Thread-safe (single operations on a dict).

    A piece without structure that is saved again and has changed, such as a list of short messages, is worth small
    chunks from then on; one that is saved once is not: ten rows for 10 KB cost more than the save.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._seen: dict[int, tuple[int, bool]] = {}

    def changes(self, piece: memoryview) -> bool:
        """Whether one that begins alike was here before and has changed since."""
        head, checksum = hash(bytes(piece[_HEAD])), zlib.crc32(piece)
        before, changes = self._seen.get(head, (checksum, False))
        changes |= before != checksum
        if len(self._seen) >= self._size:
            self._seen = {}
        self._seen[head] = (checksum, changes)
        return changes


def cut_document(document: bytes, cuts: Sequence[int], tuning: Tuning, seed: int, heads: PieceHeads) -> list[Piece]:
    """All of the document, in order. Between two cuts nothing depends on what lies before or behind them, except
    which small pieces are literals: an insertion moves no later cut."""
    view = memoryview(document)
    return [piece for plan in plan_pieces(view, cuts, tuning, heads) for piece in cut_piece(view, plan, seed)]


def plan_pieces(document: memoryview, cuts: Sequence[int], tuning: Tuning, heads: PieceHeads) -> Iterator[Plan]:
    """The pieces as the structure tells them, in order. Used by one thread: what is seen to change depends on it."""
    for start, end, literal in _join_small(cuts, len(document), tuning):
        size = end - start
        average = 0
        if size >= MIB:
            average = _MUCH
        elif size > tuning.content_from and not literal:
            average = _average(size, changes=heads.changes(document[start:end]), large=tuning.content_large)
        yield Plan(start, end, literal, average)


def cut_piece(document: memoryview, plan: Plan, seed: int) -> Iterator[Piece]:
    """One after the other, as they are asked for. Thread-safe."""
    start, end, literal, average = plan
    if not average:
        yield Piece(start, end, literal)
        return
    data = document[start:end]
    lengths = _content_lengths(data, average, seed)
    for length in joined_noise(data, lengths) if len(data) >= MIB else lengths:
        yield Piece(start, start + length, literal=False)
        start += length


def _join_small(cuts: Sequence[int], length: int, tuning: Tuning) -> Iterator[Piece]:
    """Small pieces join the piece behind them (a key goes with its value); the last one, and the first few very
    small ones, are literals (headers that count what follows, counters at the end)."""
    budget, small, most = tuning.literal_budget, tuning.small_piece, tuning.literal_piece
    start = position = 0
    for cut in (*cuts, length):
        size = cut - position
        if size >= small:
            yield Piece(start, cut, literal=False)
            start = cut
        elif start == position and 0 < size <= most and size <= budget:
            budget -= size
            yield Piece(start, cut, literal=True)
            start = cut
        position = cut
    if start < length:
        yield Piece(start, length, literal=length - start <= tuning.literal_tail)


def _average(size: int, *, changes: bool, large: int) -> int:
    """Small chunks where little was appended to little (the last chunk is rewritten each time), about 16 KiB for much:
    the knee between size and speed on edited text (STORAGE: 4 KiB 117, 16 KiB 106-111, 64 KiB 165 MiB). 0: no cut."""
    if changes:
        return KIB if size < 256 * KIB else 4 * KIB
    return _MUCH if size > large else 0


def joined_noise(data: memoryview, lengths: Iterable[int]) -> Iterator[int]:
    """Chunks of what does not compress, joined to about 256 KiB: they are random numbers, weights, archives, of which small
    parts are rarely found again, and each chunk costs as much as hashing 100 KiB.

    Where a group ends is told by its content, and whether it is noise by a sample of it, so that an edit changes only the
    groups that it touches.
    """
    start = end = 0
    group: list[int] = []
    for length in lengths:
        end += length
        group.append(length)
        if zlib.crc32(data[end - _TAIL : end]) % _IN_GROUP and end - start < _LARGEST_GROUP:
            continue
        yield from group if len(group) == 1 or sample_pays(data[start:end]) else (end - start,)
        start, group = end, []
    yield from group


def content_lengths(data: memoryview, average: int, seed: int) -> list[int]:
    """Lengths of content-defined chunks (FastCDC, Xia et al. 2016): from a quarter of the average, or half where it is large, to
    four times as much."""
    return list(_content_lengths(data, average, seed))


def _content_lengths(data: memoryview, average: int, seed: int) -> Iterator[int]:
    """The only place that knows the library. Another one would change what is found again in stores that exist
    already, once, and nothing else."""
    from pyfastcdc import FastCDC

    # What is skipped is not read: with half in place of a quarter a tenth of a save, for 2 % more bytes an edit (KIB: 6 %).
    least = average // (2 if average >= _MUCH else 4)
    for chunk in FastCDC(avg_size=average, min_size=least, seed=seed).cut_buf(data):
        yield chunk.length
