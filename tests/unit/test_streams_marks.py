"""Marks: what of a file is remembered to know it again."""

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from waycairn.streams import marks
from waycairn.streams.marks import Trail, has_consumed, head_of, mark, posts_of, stands_at, tail_of
from waycairn.streams.records import Generation, Identity, Mark


def reading(content):
    return lambda place, count: content[place : place + count]


def generation_of(content, offset):
    read = reading(content)
    return Generation(
        id=1,
        path=b"a",
        identity=Identity(1, 2, 3),
        offset=offset,
        head=head_of(reading(content[:offset])),
        tail=tail_of(read, offset),
        posts=posts_of(read, offset),
    )


def test_a_mark_is_the_hash_of_so_many_bytes():
    """16 bytes of BLAKE3; none for nothing."""
    assert mark(b"abc") == Mark(3, blake3(b"abc").digest(16))
    assert mark(b"") == Mark(0, b"")
    assert head_of(reading(b"x" * 5000)) == mark(b"x" * 1024)
    assert tail_of(reading(b"abc"), 2) == mark(b"ab")


def test_a_file_stands_where_its_ends_are_the_same():
    """Longer is no matter; other bytes at the beginning or before the offset are, those in the middle are not seen."""
    content = bytes(range(256)) * 20
    known = generation_of(content, 3000)
    assert stands_at(reading(content + b"more"), known)
    assert stands_at(reading(content[:1500] + b"!" + content[1501:]), known)
    assert not stands_at(reading(b"!" + content[1:]), known)
    assert not stands_at(reading(content[:2999] + b"!" + content[3000:]), known)
    assert not stands_at(reading(content[:2999]), known)


def test_the_middle_is_told_by_posts(monkeypatch):
    """With posts on the way a file that only begins and ends alike is another one."""
    monkeypatch.setattr(marks, "POST_EVERY", 2048)
    content = bytes(range(256)) * 40
    known = generation_of(content, 9000)
    assert len(known.posts) == 4 * 16
    assert has_consumed(reading(content + b"more"), known)
    assert not has_consumed(reading(content[:4000] + b"!" + content[4001:]), known)


@pytest.mark.parametrize("every", [2048, 4096])
@given(pieces=st.lists(st.one_of(st.binary(max_size=3000), st.integers(1, 9000)), max_size=12), data=st.data())
def test_a_trail_gives_the_posts_of_the_whole(every, pieces, data):
    """Whatever the pieces, and whether NULs were read or gone over; from any beginning."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(marks, "POST_EVERY", every)
        content = b"".join(piece if isinstance(piece, bytes) else bytes(piece) for piece in pieces)
        begin = data.draw(st.integers(0, len(pieces)))
        offset = sum(len(piece) if isinstance(piece, bytes) else piece for piece in pieces[:begin])
        trail = Trail(offset, content[max(0, offset - 1024) : offset])
        for piece in pieces[begin:]:
            if isinstance(piece, bytes):
                trail.add(b"xyz" + piece, 3)
            else:
                trail.add_nuls(piece)
        assert trail.position == len(content)
        assert trail.recent == content[-1024:]
        read = reading(content)
        assert trail.posts_until(posts_of(read, offset), len(content)) == posts_of(read, len(content))
