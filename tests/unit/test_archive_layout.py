"""The layout of a .tar that is told before anything is read: compared with what the standard library writes and reads."""

import io
import tarfile

from hypothesis import example, given, settings
from hypothesis import strategies as st

from waycairn.backups.archive_layout import ArchiveLayout, Content, Entry

MOMENT = 1_796_066_959
LETTERS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=300)
ENTRIES = st.lists(
    st.builds(Entry, LETTERS.filter(lambda name: not name.endswith("/")), st.integers(0, 3000)), max_size=6
)


def data_of(number, size):
    return bytes((number + at) % 251 for at in range(size))


def read(layout, entries, start, stop):
    return b"".join(
        piece
        if isinstance(piece, bytes)
        else data_of(piece.number, entries[piece.number].size)[piece.first : piece.last]
        for piece in layout.pieces(start, stop)
    )


def by_the_library(entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:", format=tarfile.PAX_FORMAT, encoding="utf-8") as archive:
        for number, entry in enumerate(entries):
            info = tarfile.TarInfo(entry.name)
            info.size, info.mtime, info.mode = entry.size, MOMENT, 0o600
            archive.addfile(info, io.BytesIO(data_of(number, entry.size)))
    return out.getvalue()


@settings(max_examples=25, deadline=None)
@given(ENTRIES, st.data())
@example([Entry("a" * 100, 512), Entry("b" * 101, 511), Entry("é", 513), Entry("c/" * 130 + "c", 0)], None)
def test_it_is_what_the_library_writes_whole_and_from_anywhere(entries, data):
    """Byte by byte, of the length that was told; and each part of it is that part."""
    expected = by_the_library(entries)
    layout = ArchiveLayout(entries, MOMENT)
    assert layout.size == len(expected)
    assert read(layout, entries, 0, layout.size) == expected
    spans = [(0, 1), (511, 513), (layout.size - 1, layout.size), (5, 5)]
    if data is not None:
        borders = st.integers(0, layout.size)
        spans += [tuple(sorted(data.draw(st.tuples(borders, borders)))) for _ in range(4)]
    for start, stop in spans:
        assert read(layout, entries, start, stop) == expected[start:stop]


class Virtual(io.RawIOBase):
    """The archive as a file of any size, of which only what is asked for exists: contents are zeros."""

    def __init__(self, layout):
        self.layout, self.at = layout, 0

    def readable(self):
        return True

    def seekable(self):
        return True

    def tell(self):
        return self.at

    def seek(self, offset, whence=0):
        self.at = offset + (0, self.at, self.layout.size)[whence]
        return self.at

    def read(self, size=-1):
        stop = self.layout.size if size < 0 else min(self.layout.size, self.at + size)
        parts = [
            bytes(piece.last - piece.first) if isinstance(piece, Content) else piece
            for piece in self.layout.pieces(self.at, stop)
        ]
        self.at = stop
        return b"".join(parts)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 1 << 43), min_size=1, max_size=4))
@example([8**11 - 1, 8**11, 8**11 + 1])
def test_members_of_many_gigabytes(sizes):
    """The library finds them where the layout says they are; 8 GiB is what the old format could tell."""
    entries = [Entry(f"data/{number}", size) for number, size in enumerate(sizes)]
    layout = ArchiveLayout(entries, MOMENT)
    with tarfile.open(fileobj=Virtual(layout), mode="r:") as archive:
        found = archive.getmembers()
    assert [(one.name, one.size) for one in found] == [(one.name, one.size) for one in entries]
    content = [piece for piece in layout.pieces(found[-1].offset_data, layout.size) if isinstance(piece, Content)]
    assert content == ([Content(len(sizes) - 1, 0, sizes[-1])] if sizes[-1] else [])


def test_folders_stay_folders():
    """With access for their owner."""
    layout = ArchiveLayout([Entry("data/empty/", 0), Entry("data/é/", 0)], MOMENT)
    with tarfile.open(fileobj=Virtual(layout), mode="r:") as archive:
        assert [(one.name, one.isdir(), one.mode) for one in archive] == [
            ("data/empty", True, 0o700),
            ("data/é", True, 0o700),
        ]


def test_nothing_is_an_archive_too():
    assert read(ArchiveLayout([], MOMENT), [], 0, 10_240) == by_the_library([])
