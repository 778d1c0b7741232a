"""Which items are done already: a stream read beside the input, not a set read before it.

A job that is run again mostly sees its input in the order in which it was done before. So the done keys are read
in their order, a block at a time, and each input key is compared with the next one: no memory, no hashing. Only
where the orders part are keys kept until they turn up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from waycairn.codec.keys import Key, unpack_keys
from waycairn.model.records import DoneItems


class DoneKeys:
    """Asked once for every input key, in the order of the input."""

    def __init__(self, blocks: Iterable[DoneItems], count: int) -> None:
        """`count` is how many were done when the loop was entered: the blocks grow while it runs."""
        keys = (key for block in blocks for key in unpack_keys(block.keys))
        self._stream: Iterator[Key] = islice(keys, count)
        self._next: Key | None = next(self._stream, None)
        self._ahead: set[Key] = set()

    @property
    def is_empty(self) -> bool:
        """True once every done key was met: nothing further can be done already."""
        return self._next is None and not self._ahead

    def contains(self, key: Key) -> bool:
        """Whether the key is done. Each key may be asked for once."""
        if key == self._next:
            self._next = next(self._stream, None)
            return True
        if key in self._ahead:
            self._ahead.discard(key)
            return True
        return self._search(key)

    def _search(self, key: Key) -> bool:
        while self._next is not None:
            passed, self._next = self._next, next(self._stream, None)
            if passed == key:
                return True
            self._ahead.add(passed)
        return False


class SeenKeys:
    """Notices a key that repeats within one pass over the input, at about 70 bytes a key.

    Numbers are kept as they are, other keys by their 64-bit hash; the caller looks a repeated hash up among the
    keys themselves before it calls it a repeated key.
    """

    def __init__(self) -> None:
        self._numbers: set[int] = set()
        self._hashes: set[int] = set()

    def may_repeat(self, key: Key) -> bool:
        """Note the key; False if it is surely new."""
        if type(key) is int:
            known, number = self._numbers, key
        else:
            known, number = self._hashes, hash(key)
        if number in known:
            return True
        known.add(number)
        return False
