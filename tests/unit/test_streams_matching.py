"""Which file is which generation, decided without a reader."""

import gzip
import os

import pytest

from waycairn.streams.content import opened
from waycairn.streams.decisions import (
    Archived,
    Copied,
    Fresh,
    Gone,
    HandedOver,
    Moved,
    Replaced,
    Resumed,
    Unreadable,
    Waiting,
    Woken,
)
from waycairn.streams.discovery import Discovery
from waycairn.streams.marks import head_of, posts_of, tail_of
from waycairn.streams.matching import Matching
from waycairn.streams.records import FileState, Generation, Identity

LINES = b"".join(b'{"n":%d}\n' % number for number in range(400))


class Place:
    """A directory with a log, and what was consumed of it."""

    def __init__(self, folder):
        self.folder = folder
        self.discovery = Discovery([folder / "*.jsonl"])

    def write(self, name, content, mode="wb"):
        with open(self.folder / name, mode) as file:
            file.write(content)

    def seen(self):
        found, _ = self.discovery.scan()
        return sorted(found.values(), key=lambda seen: (seen.base, seen.rank, seen.path))

    def generation(self, name, offset, number=1, **facts):
        """As it stands in a ledger after `offset` bytes of this file."""
        path = os.fsencode(self.folder / name)
        seen = next(one for one in self.seen() if one.path == path)
        with opened(seen) as content:
            return Generation(
                id=number,
                path=path,
                identity=seen.identity,
                offset=offset,
                lines=content.read(0, offset).count(b"\n"),
                head=head_of(lambda place, count: content.read(place, min(count, offset or count))),
                tail=tail_of(content.read, offset),
                posts=posts_of(content.read, offset),
                size=seen.size,
                modified=seen.modified,
                compression=content.compression,
                first_seen=seen.modified / 1e9 - 1,
                **facts,
            )

    def decide(self, *known, on_copy="adopt"):
        matching = Matching(known, {}, (), look_into=opened, base_of=self.discovery.base_of, on_copy=on_copy)
        return matching.decide(self.seen())


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def kinds(decisions):
    return [type(one) for one in decisions]


@pytest.mark.parametrize("offset", [0, 8, 1024, 3000, len(LINES)])
def test_the_same_file(place, offset):
    """Under any name, as long as it begins alike and stands alike before the offset."""
    place.write("a.jsonl", LINES)
    known = place.generation("a.jsonl", offset)
    assert kinds(place.decide(known)) == [Resumed]
    os.rename(place.folder / "a.jsonl", place.folder / "b.jsonl")
    place.write("b.jsonl", b"more\n", "ab")
    assert kinds(place.decide(known)) == [Resumed]


@pytest.mark.parametrize("content", [b"", LINES[:2999], b"!" + LINES[1:], LINES[:2999] + b"!" + LINES[3000:]])
def test_other_bytes_in_the_same_file(place, content):
    """Shorter, another beginning, or other bytes before the offset: it begins anew."""
    place.write("a.jsonl", LINES)
    known = place.generation("a.jsonl", 3000)
    place.write("a.jsonl", content, "r+b")
    os.truncate(place.folder / "a.jsonl", len(content))
    replaced, new = place.decide(known)
    assert (type(replaced), replaced.generation.id) == (Replaced, 1)
    assert (type(new), new.generation.offset) == (Fresh, 0)


def test_compressed_in_place(place):
    """The inode now holds the same in another form: it goes on in that, and nothing is read twice."""
    place.write("a.jsonl", LINES)
    known = place.generation("a.jsonl", 3000)
    place.write("a.jsonl", gzip.compress(LINES))
    _, copied = place.decide(known)
    assert (type(copied), copied.generation.offset, copied.generation.compression) == (Copied, 3000, "gzip")


@pytest.mark.parametrize("is_zipped", [False, True])
def test_the_same_content_elsewhere(place, is_zipped):
    """The file is gone, another one has its content: moved, or compressed."""
    place.write("a.jsonl", LINES)
    known = place.generation("a.jsonl", 3000)
    os.unlink(place.folder / "a.jsonl")
    place.write("a.jsonl.1.gz" if is_zipped else "c.jsonl", gzip.compress(LINES) if is_zipped else LINES)
    (moved,) = place.decide(known)
    assert (type(moved), moved.generation.id, moved.compression) == (Moved, 1, "gzip" if is_zipped else "")


def test_alike_and_not_the_same(place):
    """The same beginning, other bytes before the offset: another file, read whole."""
    place.write("a.jsonl", LINES)
    known = place.generation("a.jsonl", 3000)
    os.unlink(place.folder / "a.jsonl")
    place.write("b.jsonl", LINES[:2000] + LINES)
    assert kinds(place.decide(known)) == [Fresh, Gone]


def test_a_file_that_was_born_at_another_time(place):
    """With the same inode and the same bytes it is a copy at best, and without its bytes it is another file."""
    place.write("a.jsonl", LINES)
    known = place.generation("a.jsonl", 3000)
    if not known.identity.born:
        pytest.skip("this file system tells no birth times")
    identity = Identity(known.identity.device, known.identity.inode, known.identity.born - 1)
    older = Generation(**{name: getattr(known, name) for name in known.__struct_fields__} | {"identity": identity})
    assert kinds(place.decide(older)) == [Moved]
    place.write("a.jsonl", b"!" + LINES)
    assert kinds(place.decide(older)) == [Fresh, Gone]


def test_a_copy_beside_its_original(place):
    """It sleeps while it holds nothing of its own; otherwise it begins where it differs, at a line."""
    place.write("a.jsonl", LINES)
    known = place.generation("a.jsonl", 3000)
    place.write("b.jsonl", LINES[:-3])
    _, copied = place.decide(known)
    assert (type(copied), copied.generation.state, copied.generation.copy_of) == (Copied, FileState.DONE, 1)
    place.write("b.jsonl", LINES[:3500] + b"!\n")
    _, copied = place.decide(known)
    begins = LINES.rindex(b"\n", 0, 3500) + 1
    assert (copied.generation.state, copied.generation.offset) == (FileState.ACTIVE, begins)
    assert copied.generation.lines == LINES[:begins].count(b"\n")
    assert copied.generation.tail == tail_of(lambda start, count: LINES[start : start + count], begins)
    assert kinds(place.decide(known, on_copy="reread")) == [Resumed, Fresh]


def test_a_copy_that_wakes(place):
    """When its original is gone, from where that was; when it grows by itself, from there."""
    place.write("a.jsonl", LINES)
    place.write("b.jsonl", LINES)
    known = place.generation("a.jsonl", 3000)
    copy = place.generation("b.jsonl", len(LINES), 2, copy_of=1, state=FileState.DONE)
    resumed, asleep = place.decide(known, copy)
    assert (type(resumed), type(asleep), asleep.is_asleep) == (Resumed, Resumed, True)
    place.write("b.jsonl", b'{"n":"own"}\n', "ab")
    _, woken = place.decide(known, copy)
    assert (type(woken), woken.generation.offset, woken.generation.lines) == (Woken, len(LINES), 400)
    os.unlink(place.folder / "a.jsonl")
    handed, gone = place.decide(known, copy)
    assert (type(handed), type(gone)) == (HandedOver, Gone)
    assert (handed.copy.id, handed.copy.offset, handed.copy.tail) == (2, 3000, known.tail)


def test_copytruncate(place):
    """The original begins anew, what was not read of it is read in the copy."""
    place.write("a.jsonl", LINES)
    known = place.generation("a.jsonl", 3000)
    place.write("a.jsonl.1", LINES)
    place.write("a.jsonl", b"!" * 5000, "r+b")
    replaced, copied, fresh = place.decide(known)
    assert (type(replaced), type(copied), type(fresh)) == (Replaced, Copied, Fresh)
    assert (copied.generation.copy_of, copied.generation.offset, copied.generation.state) == (
        1,
        3000,
        FileState.ROTATED,
    )


def test_rotated_forms_of_before(place):
    """Left alone if they were there before the stream, read if they were written to since."""
    place.write("a.jsonl", LINES)
    known = place.generation("a.jsonl", 3000)
    place.write("a.jsonl.1", b"{}\n")
    assert set(kinds(place.decide(known))) == {Fresh, Resumed}
    os.utime(place.folder / "a.jsonl.1", (1, 1))
    assert set(kinds(place.decide(known))) == {Archived, Resumed}
    assert set(kinds(place.decide())) == {Archived, Fresh}


def test_a_compressed_file_in_the_making(place):
    """It shows too little to tell: it is waited for."""
    place.write("a.jsonl", LINES)
    known = place.generation("a.jsonl", 3000)
    whole = gzip.compress(LINES)
    for end in (0, 10, len(whole) // 2):
        place.write("a.jsonl.1.gz", whole[:end])
        decisions = place.decide(known)
        assert Waiting in kinds(decisions) or end == 0
        assert Moved not in kinds(decisions)


def test_a_file_that_goes_while_it_is_looked_at(place):
    """Nothing is decided about it, nor about its generation."""
    place.write("a.jsonl", LINES)
    known = place.generation("a.jsonl", 3000)
    seen = place.seen()
    os.unlink(place.folder / "a.jsonl")
    matching = Matching([known], {}, (), look_into=opened, base_of=place.discovery.base_of)
    (decision,) = matching.decide(seen)
    assert (type(decision), decision.reason) == (Unreadable, "")


def test_many_generations_and_files(place):
    """Are not compared one by one."""
    for number in range(300):
        place.write(f"{number}.jsonl", b'{"n":%d}\n' % number)
    first = place.decide()
    known = [
        Generation(
            **{name: getattr(one.generation, name) for name in one.generation.__struct_fields__} | {"id": number}
        )
        for number, one in enumerate(first, 1)
    ]
    looked = []

    def look_into(seen):
        looked.append(seen)
        return opened(seen)

    matching = Matching(known, {}, (), look_into=look_into, base_of=place.discovery.base_of)
    assert set(kinds(matching.decide(place.seen()))) == {Resumed}
    assert len(looked) == 300
