"""A state as bytes: what `codec` makes and `chunks` stores, so that neither needs to know the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple


class Section(NamedTuple):
    """A part of a document, in order."""

    data: memoryview
    cuts: Sequence[int]
    """Offsets into it, ascending, without 0 and its length: see `Encoded`."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A document and the large buffers it points to by number.

    `cuts` finds ascending offsets into the document, without 0 and its length: places where the structure itself
    begins or ends an element large enough to be a chunk of its own. They guide deduplication only, never
    correctness, and are asked for only where a document is cut at all. `buffers` are uncopied views (contiguous bytes): whoever holds an Encoded must not let the user
    change the state until it was written.
    """

    document: bytes
    buffers: Sequence[memoryview] = ()
    cuts: Callable[[], Sequence[int]] = tuple
    widths: Sequence[int] = ()
    """Bytes of an element of each buffer, 0 where that is not known or not the same for all of it; empty: of none. They
    guide compression only."""
    is_cut: bool = False
    """The buffers are chunks that some store has: however small, each is stored as a chunk of its own, and found again."""

    @property
    def length(self) -> int:
        """Of the document."""
        return len(self.document)

    @property
    def size(self) -> int:
        if not self.buffers:
            return len(self.document)
        return len(self.document) + sum(view.nbytes for view in self.buffers)

    def sections(self) -> Iterator[Section]:
        """The document, all of it at once."""
        yield Section(memoryview(self.document), self.cuts())

    def detached(self) -> Encoded:
        """The same with buffers of its own, which further changes of the state cannot reach."""
        if not self.buffers:
            return self
        return Encoded(
            self.document, [memoryview(bytes(view)) for view in self.buffers], self.cuts, self.widths, self.is_cut
        )


@dataclass(frozen=True, slots=True)
class Streamed:
    """A large document that is nowhere in memory as a whole, and no buffers."""

    buffers: ClassVar[Sequence[memoryview]] = ()
    widths: ClassVar[Sequence[int]] = ()
    is_cut: ClassVar[bool] = False
    length: int
    sections: Callable[[], Iterator[Section]]
    """The document from its beginning, each time it is called. The memory of a section is lent until the next one is asked
    for."""

    @property
    def size(self) -> int:
        return self.length

    def detached(self) -> Streamed:
        """It is read when it is stored, and refused if it changed."""
        return self
