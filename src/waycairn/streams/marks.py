"""Hashes of a few bytes of a file, by which it is known again whatever its name and inode are.

head    of the first 1,024 bytes; grows with what was consumed until then
tail    of the last 1,024 bytes before the offset: the only thing that tells a file that was truncated and has grown
        past the offset again
posts   for each whole 64 MiB the last 1,024 bytes before that place
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from blake3 import blake3

from waycairn.streams.records import Generation, Mark

REACH = 1024
POST_EVERY = 64 << 20
DIGEST = 16

ReadAt = Callable[[int, int], bytes]
"""Bytes of a file's content from a place, so many of them; fewer where it ends before."""


def mark(content: bytes) -> Mark:
    return Mark(len(content), digest(content)) if content else Mark()


def digest(content: bytes) -> bytes:
    return blake3(content).digest(DIGEST)


def head_of(read: ReadAt) -> Mark:
    return mark(read(0, REACH))


def tail_of(read: ReadAt, offset: int) -> Mark:
    length = min(REACH, offset)
    return mark(read(offset - length, length))


def posts_of(read: ReadAt, offset: int) -> bytes:
    places = range(POST_EVERY, offset + 1, POST_EVERY)
    return b"".join(digest(read(place - REACH, REACH)) for place in places)


def holds(read: ReadAt, place: int, expected: Mark) -> bool:
    """Whether the bytes of a mark that begins at `place` are what they were."""
    return mark(read(place, expected.length)) == expected


def stands_at(read: ReadAt, generation: Generation) -> bool:
    """Whether this content is what the generation consumed, by its ends: enough where the inode says the same."""
    tail = generation.tail
    return holds(read, 0, generation.head) and holds(read, generation.offset - tail.length, tail)


def has_consumed(read: ReadAt, generation: Generation) -> bool:
    """The same with every post on the way, for a file that only its content tells."""
    return next(differences(read, generation), None) is None


def differences(read: ReadAt, generation: Generation) -> Iterator[tuple[int, int]]:
    """Where marked bytes are not what was consumed: from which byte to which. In the order of the file, since a
    compressed one can only be read forwards."""
    if not holds(read, 0, generation.head):
        yield 0, generation.head.length
    for number, post in enumerate(split_posts(generation.posts), 1):
        place = number * POST_EVERY
        if digest(read(place - REACH, REACH)) != post:
            yield place - REACH, place
    begin = generation.offset - generation.tail.length
    if not holds(read, begin, generation.tail):
        yield begin, generation.offset


def marks_of(generation: Generation) -> int:
    """How many there are of it: places of up to 1,024 bytes by which it is known."""
    return bool(generation.head.length) + len(split_posts(generation.posts)) + bool(generation.tail.length)


def split_posts(posts: bytes) -> list[bytes]:
    return [posts[place : place + DIGEST] for place in range(0, len(posts), DIGEST)]


class Trail:
    """Follows what is read of a content: where it is, the last bytes before that, and the posts that were passed."""

    def __init__(self, position: int, recent: bytes) -> None:
        self.position = position
        self.recent = recent
        self._passed: dict[int, bytes] = {}

    def add(self, data: bytes, start: int = 0) -> None:
        """What was read: `data` from `start`."""
        begun = self.position - start
        self.position = begun + len(data)
        for place in range((begun + start) // POST_EVERY * POST_EVERY + POST_EVERY, self.position + 1, POST_EVERY):
            self._pass(place, self._joined(data[start : place - begun]))
        self.recent = self._joined(data[max(start, len(data) - REACH) :])

    def add_nuls(self, count: int) -> None:
        """A hole of the file, which nobody has to read."""
        begun = self.position
        self.position += count
        for place in range(begun // POST_EVERY * POST_EVERY + POST_EVERY, self.position + 1, POST_EVERY):
            self._pass(place, self._joined(bytes(min(REACH, place - begun))))
        self.recent = self._joined(bytes(min(REACH, count)))

    def _joined(self, data: bytes) -> bytes:
        return data[-REACH:] if len(data) >= REACH else (self.recent + data)[-REACH:]

    def _pass(self, place: int, last: bytes) -> None:
        self._passed[place // POST_EVERY] = digest(last)

    def posts_until(self, posts: bytes, offset: int) -> bytes:
        """The posts of an earlier offset, and those from there to this one."""
        for number in range(len(posts) // DIGEST + 1, offset // POST_EVERY + 1):
            posts += self._passed[number]  # kept: a batch that is undone asks again
        return posts
