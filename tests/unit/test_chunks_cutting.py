"""Where documents are cut: what changes little stores little."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waycairn.chunks import pieces
from waycairn.chunks.cutting import PieceHeads, content_lengths, cut_document, plan_pieces
from waycairn.chunks.hashing import chunk_id
from waycairn.chunks.layout import ALIGNMENT, plan_groups
from waycairn.chunks.tuning import Tuning

KIB, MIB = 1 << 10, 1 << 20
TUNING = Tuning()
SEED = 7


def noise(size, seed=1):
    return random.Random(seed).randbytes(size)


def pieces_of(document, cuts, tuning=TUNING, heads=None):
    return cut_document(document, cuts, tuning, SEED, heads or PieceHeads(10))


def chunks_of(document, cuts, heads=None):
    return [document[p.start : p.end] for p in pieces_of(document, cuts, heads=heads) if not p.literal]


def joined(parts):
    """A document of these parts, cut between all of them."""
    cuts, at = [], 0
    for part in parts[:-1]:
        at += len(part)
        cuts.append(at)
    return b"".join(parts), cuts


@given(st.lists(st.integers(1, 3000), max_size=60))
def test_pieces_cover_the_document(sizes):
    """In order, without gap, none empty; and all small ones but literals were joined."""
    document, cuts = joined([noise(size, number) for number, size in enumerate(sizes)] or [b""])
    pieces = pieces_of(document, cuts)
    at = 0
    for piece in pieces:
        assert piece.start == at < piece.end
        at = piece.end
        assert piece.literal or piece.end - piece.start >= min(TUNING.small_piece, 250)
    assert at == len(document)


def test_a_growing_list_makes_one_new_chunk():
    """Header, messages: the header is a literal, every message a chunk."""
    messages = [noise(600 + number, number) for number in range(300)]
    before = chunks_of(*joined([b"header \x00", *messages[:299]]))
    after = chunks_of(*joined([b"header \x01", *messages]))
    assert before == messages[:299]
    assert after == messages


@pytest.mark.parametrize("where", [0, 1, 57, 199, 200])
def test_an_insertion_moves_no_later_cut(where):
    """Whether what is inserted is large, small or very small: at most one neighbour changes with it."""
    random.seed(where)
    elements = [noise(random.choice([20, 100, 300, 600, 2000]), number) for number in range(200)]
    before = set(chunks_of(*joined(elements)))
    for new in (b"i" * 5, b"i" * 200, b"i" * 1000):
        after = set(chunks_of(*joined([*elements[:where], new, *elements[where:]])))
        # One chunk for the new element or the neighbour it joins, one where the last literal changed places.
        assert len(after - before) <= 3, (where, len(new))


def test_keys_go_with_their_values():
    """Many short pieces between long ones do not fill the manifest: literals are bounded."""
    parts = [part for number in range(500) for part in (b"key%04d" % number, noise(700, number))]
    document, cuts = joined(parts)
    pieces = pieces_of(document, cuts)
    assert sum(p.end - p.start for p in pieces if p.literal) <= TUNING.literal_budget + TUNING.small_piece
    assert len([p for p in pieces if not p.literal]) == 500


def test_the_end_is_a_literal_if_small():
    """Counters behind a long list change at every save and are no chunk."""
    document, cuts = joined([b"head", noise(20_000), b"tail" * 100])
    last = pieces_of(document, cuts)[-1]
    assert (last.literal, last.end - last.start) == (True, 400)


def test_what_changes_is_cut_finer():
    """A list of short messages has no cuts: one chunk until it changes, then only its last piece is rewritten."""
    heads = PieceHeads(10)
    document = b"h" + b"".join(noise(100, number) for number in range(300))
    for _ in range(3):
        assert len(chunks_of(document[:-100], [], heads)) == 1
    before = chunks_of(document, [], heads)
    assert chunks_of(document, [], heads) == before
    assert len(before) > 10
    after = chunks_of(b"H" + document[1:] + noise(100, 999), [], heads)
    assert len(set(after) - set(before)) <= 3


def lines(size):
    """Text that compresses to about a half."""
    words = noise(size // 2, 5).hex().encode()
    return b"\n".join(words[at : at + 60] for at in range(0, size, 60))[:size]


def test_content_cuts_survive_an_insertion():
    """In the middle of a long text: two chunks change, not all behind."""
    data = lines(2 * MIB)
    before = set(chunks_of(data, []))
    after = set(chunks_of(data[:MIB] + b"inserted" + data[MIB:], []))
    assert len(before) > 60
    assert len(after - before) <= 3


def test_noise_has_larger_chunks():
    """What does not compress, of which an edit changes its own group; text beside it keeps small ones."""
    data = noise(8 * MIB)
    before = set(chunks_of(data, []))
    assert len(before) < 70
    assert max(map(len, before)) <= MIB
    after = set(chunks_of(data[: 4 * MIB] + b"inserted" + data[4 * MIB :], []))
    assert sum(map(len, after - before)) <= 2 * MIB
    mixed = chunks_of(data[: 2 * MIB] + lines(2 * MIB), [])
    assert len([one for one in mixed if len(one) < 64 * KIB]) > 20


def test_content_cuts_are_pinned():
    """Another library, or another version that cuts elsewhere, would store everything once more: then tell it here."""
    data = noise(200_000, 3)
    assert content_lengths(memoryview(data), 16 * KIB, 123) == PINNED_16
    assert sum(content_lengths(memoryview(data), KIB, 123)) == len(data)
    assert content_lengths(memoryview(data), 16 * KIB, 124) != PINNED_16


PINNED_16 = [17068, 26418, 9226, 17656, 11721, 21516, 20992, 9017, 17907, 22515, 17888, 8076]


def test_a_document_is_hashed_in_windows_and_cut_the_same(monkeypatch):
    """Whatever ends with a window, the chunks do not."""
    monkeypatch.setattr(pieces, "_WINDOW", 100 * KIB)
    document, cuts = joined([b"h" * 100, noise(3 * MIB), lines(2 * MIB), *(noise(700, n) for n in range(500)), b"tail"])
    plans = plan_pieces(memoryview(document), cuts, TUNING, PieceHeads(10))
    windows = list(pieces.hash_document(memoryview(document), plans, SEED, b"k" * 32))
    assert len(windows) >= 3
    found = [piece for cut, _ in windows for piece in cut]
    assert found == pieces_of(document, cuts)
    assert [name for _, ids in windows for name in ids] == [
        chunk_id((document[piece.start : piece.end],), b"k" * 32) for piece in found if not piece.literal
    ]


def test_heads_are_bounded():
    """However many pieces are saved."""
    heads = PieceHeads(100)
    for number in range(1000):
        heads.changes(memoryview(noise(400, number)))
    assert len(heads._seen) <= 100


@given(st.lists(st.integers(0, 5000), max_size=50))
def test_groups_hold_each_buffer_once(sizes):
    """Aligned, without overlap, in chunks no longer than allowed."""
    groups = plan_groups(sizes, 1000, 1500)
    seen = {}
    for group in groups:
        end = 0
        for number, start in group.members:
            assert start % ALIGNMENT == 0
            assert start >= end
            end = start + sizes[number]
            seen[number] = sizes[number]
        assert group.size == end
        assert len(group.chunks) == 1 or len(group.members) == 1
        assert max(group.chunks) <= (1000 if len(group.members) > 1 else 1500)
    assert seen == {number: size for number, size in enumerate(sizes) if size}


def test_groups_are_stable():
    """A buffer that grows or appears changes its own group and later ones, none before."""
    sizes = [64 * KIB] * 100
    before = plan_groups(sizes, MIB, 4 * MIB)
    after = plan_groups([*sizes, 5, 7 * MIB], MIB, 4 * MIB)
    assert after[:6] == before[:6]
    assert len(before) == 7
