"""A batch of events: its block is one transaction of the sink, rows and offsets together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from waycairn.streams.records import Taken
from waycairn.work.acts import drive, drive_async

if TYPE_CHECKING:
    from waycairn.work.tailing import Tailing

E = TypeVar("E")


class Batch(Generic[E]):
    """Events that were read, and the transaction that makes them done:

        with batch as tx:
            tx.execute(insert(rows), [row(event) for event in batch.events])

    At the end of the block what was done in `tx` and the offsets behind these events are committed as one; an
    exception undoes both, and the state of the run with them. If the sink's database went away meanwhile, the same batch
    comes again once it is back. In an AsyncRun it is `async with`.
    """

    def __init__(self, tailing: Tailing[E], taken: Taken) -> None:
        self.taken = taken
        self.is_done = False
        self.is_begun = False
        self._tailing = tailing

    @cached_property
    def events(self) -> Sequence[E]:
        """In the order of their files; of one file in the order of its lines."""
        portions = self.taken.portions
        return portions[0].events if len(portions) == 1 else [event for one in portions for event in one.events]

    @property
    def key(self) -> str:
        """Names the first event, the same whenever it is read: for a receiver that wants to know it again."""
        first = next((portion for portion in self.taken.portions if portion.events), None)
        if first is None:
            return ""
        return f"{self._tailing.name}:{first.before.id}:{first.places[0]}"

    def places(self) -> Iterator[tuple[str, int]]:
        """Of each event the path of its file and the byte at which its line begins."""
        return chain.from_iterable(
            ((_shown(portion.after.path), place) for place in portion.places) for portion in self.taken.portions
        )

    def __len__(self) -> int:
        return sum(len(portion.events) for portion in self.taken.portions)

    # -- the block ---------------------------------------------------------------------------------------------------

    def __enter__(self) -> Any:
        return drive(self._tailing.begin(self), self._tailing.execution)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        return drive(self._tailing.end(self, error), self._tailing.execution)

    async def __aenter__(self) -> Any:
        return await drive_async(self._tailing.begin(self), self._tailing.execution)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        return await drive_async(self._tailing.end(self, error), self._tailing.execution)


def _shown(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")
