"""What retention asks of the catalog, and what is done with its room."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from waycairn.model.retaining import Dropped, Held, RunFacts
from waycairn.model.sweeping import DeadBlock


class RetentionRows(Protocol):
    """All checkpoints, as far as retention looks at them, and their removal."""

    def held(self, *, metrics: bool) -> Iterator[tuple[RunFacts, list[Held]]]:
        """Run by run, the checkpoints of each newest first; read lazily, in bounded memory but for one run. What is
        committed meanwhile may be among them or not. What was measured is only read where it is asked for."""
        ...

    def drop_held(self, drops: Sequence[Dropped]) -> Sequence[Dropped]:
        """Remove them in one transaction, but for pinned ones; those runs that it was done for. Nothing of a run goes that is
        not finished any more though the decision leans on that, or whose newest checkpoint to restore from is older than
        the decision saw it. Their chunks stay for a sweep."""
        ...

    def stored_bytes(self) -> int:
        """What all blocks take, in packs and in the catalog. Reads all of their rows."""
        ...

    def bytes_of(self, part: Iterable[DeadBlock]) -> int:
        """The same of these."""
        ...


class RoomRows(Protocol):
    """The files of the catalog, and the line of those who write to it."""

    def is_awaited(self) -> bool:
        """Whether others wait to write, or did since the last transaction of this process began. False where the catalog is a
        server: transactions seldom wait for each other there."""
        ...

    def settle_log(self) -> bool:
        """Write what the log of changes holds where it belongs, and empty the log: so that what was deleted is in no file
        any more. False if somebody who reads stands in the way; then it is done another time. True where the catalog is a
        server, which does that by itself."""
        ...

    def write_back(self) -> None:
        """Write what the log of changes holds where it belongs, as far as that can be done while others write, so that none of
        them has to."""
        ...

    def shrink(self, *, spare: float = 0.0, rewrite: bool = False) -> int:
        """Give room back that rows left, if it is more than `spare` of the file; bytes that were given back. In small
        transactions, beside others. With `rewrite` a file that cannot be shortened so (it was created before format 3) is
        written anew, which holds everybody up. 0 where the catalog is a server: see VACUUM there."""
        ...
