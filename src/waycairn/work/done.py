"""Which items are done already: a stream read beside the input, not a set read before it.

A job that is run again mostly sees its input in the order in which it was done before. So the done keys are read
in their order, a block at a time, and each input key is compared with the next one: no memory, no hashing. Only
where the orders part are keys kept until they turn up.
"""

from __future__ import annotations

from collections.abc import Iterable

from waycairn.codec.keys import Key, keys_of
from waycairn.model.records import DoneItems


class DoneKeys:
    """Asked once for every input key, in the order of the input."""

    def __init__(self, blocks: Iterable[DoneItems], count: int) -> None:
        """`count` is how many were done when the loop was entered: the blocks grow while it runs."""
        self._blocks = map(keys_of, blocks)
        self._left = count
        self._block: list[Key] = []
        self._at = 0
        self._ahead: set[Key] = set()
        self.skip(0)

    @property
    def is_empty(self) -> bool:
        """True once every done key was met: nothing further can be done already."""
        return self._at == len(self._block) and not self._ahead

    def upcoming(self, most: int) -> list[Key]:
        """The keys that were done next; none while keys wait that were passed over."""
        return [] if self._ahead else self._block[self._at : self._at + most]

    def skip(self, count: int) -> None:
        """So many of the upcoming keys were met."""
        self._at += count
        while self._at == len(self._block) and self._left:
            self._block = next(self._blocks, [])[: self._left]
            self._left = self._left - len(self._block) if self._block else 0
            self._at = 0

    def contains(self, key: Key) -> bool:
        """Whether the key is done. Each key may be asked for once."""
        if self._at < len(self._block) and key == self._block[self._at]:
            self.skip(1)
            return True
        if key in self._ahead:
            self._ahead.discard(key)
            return True
        return self._search(key)

    def _search(self, key: Key) -> bool:
        while self._at < len(self._block):
            passed = self._block[self._at]
            self.skip(1)
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

    def note(self, keys: list[Key]) -> None:
        """Note keys that surely do not repeat."""
        self._numbers.update(key for key in keys if type(key) is int)
        self._hashes.update(hash(key) for key in keys if type(key) is not int)
