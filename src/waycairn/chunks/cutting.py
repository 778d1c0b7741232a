"""Where a document is cut. Cuts decide what is found again, never what is read back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from waycairn.chunks.tuning import Tuning


@dataclass(frozen=True, slots=True)
class Piece:
    """document[start:end]; a literal rides in the manifest, any other piece is a chunk."""

    start: int
    end: int
    literal: bool


def cut_document(document: bytes, cuts: Sequence[int], tuning: Tuning, seed: int) -> list[Piece]:
    """All of the document, in order. Between two cuts nothing depends on what lies before or behind them, except
    which small pieces are literals: an insertion moves no later cut."""
    if not document:
        return []
    if len(document) < tuning.literal_document:
        return [Piece(0, len(document), literal=True)]
    return list(_split(document, _join_small(cuts, len(document), tuning), tuning, seed))


def _join_small(cuts: Sequence[int], length: int, tuning: Tuning) -> Iterator[Piece]:
    """Small pieces join the piece behind them (a key goes with its value); the last one, and the first few very
    small ones, are literals (headers that count what follows, counters at the end)."""
    budget = tuning.literal_budget
    start = position = 0
    for cut in (*cuts, length):
        size = cut - position
        if start == position and 0 < size <= min(tuning.literal_piece, budget):
            budget -= size
            yield Piece(start, cut, literal=True)
            start = cut
        elif size >= tuning.small_piece:
            yield Piece(start, cut, literal=False)
            start = cut
        position = cut
    if start < length:
        yield Piece(start, length, literal=length - start <= tuning.small_piece)


def _split(document: bytes, pieces: Iterator[Piece], tuning: Tuning, seed: int) -> Iterator[Piece]:
    for piece in pieces:
        if piece.literal or piece.end - piece.start <= tuning.content_from:
            yield piece
            continue
        start = piece.start
        for length in content_lengths(memoryview(document)[start : piece.end], tuning.content_average, seed):
            yield Piece(start, start + length, literal=False)
            start += length


def content_lengths(data: memoryview, average: int, seed: int) -> list[int]:
    """Lengths of content-defined chunks (FastCDC, Xia et al. 2016): from a quarter to four times the average.

    The only place that knows the library. Another one would change what is found again in stores that exist
    already, once, and nothing else.
    """
    from pyfastcdc import FastCDC

    return [chunk.length for chunk in FastCDC(avg_size=average, seed=seed).cut_buf(data)]
