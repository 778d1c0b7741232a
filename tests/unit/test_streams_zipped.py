"""The content of gzip files."""

import gzip
import os
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waycairn.streams.blocks import PlainBlocks
from waycairn.streams.zipped import ZippedBlocks

CONTENT = bytes(os.urandom(50_000)) + bytes(3 << 20) + b"end"


@pytest.fixture
def file(tmp_path):
    """A file to write to, and blocks of it."""
    handle = os.open(tmp_path / "a.gz", os.O_RDWR | os.O_CREAT)
    yield handle, ZippedBlocks(PlainBlocks(lambda: handle, 0, b"", block=1000))
    os.close(handle)


def rest_of(blocks):
    parts = []
    while (part := blocks.read()[0]) != b"":
        parts.append(part)
    return b"".join(parts)


def test_all_of_it(file):
    """Also what a member holds back while the room for its output is used up."""
    handle, blocks = file
    os.write(handle, gzip.compress(CONTENT))
    assert rest_of(blocks) == CONTENT
    assert (blocks.is_complete, blocks.damage, blocks.position) == (True, "", len(CONTENT))


@pytest.mark.parametrize("place", [0, 1, 1024, 60_000, len(CONTENT) - 3, len(CONTENT)])
def test_going_on_from_a_place(file, place):
    """What lies before it is let go, but for the last bytes."""
    handle, blocks = file
    os.write(handle, gzip.compress(CONTENT))
    assert blocks.skip_to(place) == CONTENT[max(0, place - 1024) : place]
    assert rest_of(blocks) == CONTENT[place:]


def test_a_place_that_is_not_there(file):
    """The position tells."""
    handle, blocks = file
    os.write(handle, gzip.compress(b"abc"))
    assert (blocks.skip_to(10), blocks.position, blocks.is_complete) == (b"abc", 3, True)


@given(parts=st.lists(st.binary(max_size=50), max_size=5), cuts=st.lists(st.integers(0, 400), max_size=5))
def test_written_bit_by_bit(tmp_path_factory, parts, cuts):
    """Members one after the other, read whenever something was written."""
    whole = b"".join(gzip.compress(part) + bytes(len(part) % 3) for part in parts)
    places = sorted({min(cut, len(whole)) for cut in cuts} | {len(whole)})
    handle = os.open(tmp_path_factory.mktemp("bits") / "a.gz", os.O_RDWR | os.O_CREAT)
    try:
        blocks = ZippedBlocks(PlainBlocks(lambda: handle, 0, b""))
        found, begun = b"", 0
        for place in places:
            os.write(handle, whole[begun:place])
            begun = place
            found += rest_of(blocks)
        assert found == b"".join(parts)
        assert blocks.is_complete == bool(whole)
    finally:
        os.close(handle)


def test_cut_off(file):
    """What is there is given; it is not complete, and not damaged: it may still be written."""
    handle, blocks = file
    whole = gzip.compress(CONTENT)
    os.write(handle, whole[:-20])
    found = rest_of(blocks)
    assert CONTENT.startswith(found)
    assert (blocks.is_complete, blocks.damage) == (False, "")
    os.write(handle, whole[-20:])
    assert found + rest_of(blocks) == CONTENT
    assert blocks.is_complete


@pytest.mark.parametrize("size", [1, 50, 1000, 1 << 20])
@pytest.mark.parametrize("at", [-8, -4])
def test_a_wrong_checksum_or_length(tmp_path, at, size):
    """All that was compressed is given, whatever the sizes of blocks, and then the error."""
    whole = bytearray(gzip.compress(CONTENT[:60_000]))
    whole[at] ^= 1
    (tmp_path / "a.gz").write_bytes(whole + gzip.compress(b"more"))
    handle = os.open(tmp_path / "a.gz", os.O_RDONLY)
    try:
        blocks = ZippedBlocks(PlainBlocks(lambda: handle, 0, b"", block=size))
        assert rest_of(blocks) == CONTENT[:60_000]
        assert ("incorrect" in blocks.damage, blocks.is_complete) == (True, False)
    finally:
        os.close(handle)


def test_no_gzip_after_a_member(file):
    """Zeros are padding; anything else is damage, after what was good."""
    handle, blocks = file
    os.write(handle, gzip.compress(b"abc") + bytes(500))
    assert (rest_of(blocks), blocks.is_complete) == (b"abc", True)
    os.write(handle, b"garbage")
    assert (rest_of(blocks), blocks.damage) == (b"", "Error -3 while decompressing data: incorrect header check")


def test_nothing_yet(file):
    """An empty file is not complete: it is about to be written."""
    _, blocks = file
    assert (rest_of(blocks), blocks.is_complete, blocks.is_empty) == (b"", False, True)


def test_flushed_pieces_are_there_at_once(file):
    """Who writes a log compressed may flush after each line."""
    handle, blocks = file
    packer = zlib.compressobj(wbits=31)
    for number in range(3):
        os.write(handle, packer.compress(b"%d\n" % number) + packer.flush(zlib.Z_SYNC_FLUSH))
        assert rest_of(blocks) == b"%d\n" % number
