"""A backup as it lies in the store, read: every byte is compared with its hash on its way, and members with their sums."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from msgspec.structs import replace

from waycairn.backups.payload import Index, places_in_document
from waycairn.errors import BackupError, Damaged
from waycairn.model.backups import INDEX, TASK, Member, part_name
from waycairn.model.ids import RunId
from waycairn.model.records import StepResult
from waycairn.store import StoreCore

_KEPT = 2
"""Parts that stay in memory: members that were written in turn lie in the same ones."""


class Payload:
    """The members of one backup. Not for two threads at once."""

    def __init__(self, core: StoreCore, run: RunId, index: Index | None = None) -> None:
        """With its index, if that was read before. Raises BackupError if there is none, Damaged if it cannot be read."""
        self.run = run
        self._core = core
        self._steps = {
            found.step.name: found.step for found in core.catalog.list_steps(run) if found.step.scope == TASK
        }
        step = self._steps.get(INDEX)
        if step is None:
            raise BackupError(
                f"the payload of backup {run} is not there: it was never finished, or it is gone.", backup=run
            )
        self.index = Index.of(core.load(step.result)) if index is None else index
        self._parts = _Parts(core, self._steps)

    @property
    def members(self) -> Mapping[str, Member]:
        return self.index.members

    @property
    def stored(self) -> int:
        """Bytes that its commits added to the store."""
        return sum(step.result.new_bytes for step in self._steps.values())

    def steps_named(self, names: Mapping[str, str]) -> list[StepResult]:
        """Some of its steps, under other names; who takes them over adds no bytes."""
        steps = ((self._steps[old], new) for old, new in names.items())
        return [replace(step, name=new, result=replace(step.result, new_bytes=0)) for step, new in steps]

    def read(self, name: str, start: int = 0) -> Iterator[bytes]:
        """KeyError for a member that is not there."""
        skip = start
        for part, first, count in self.members[name].spans:
            lengths = self.index.lengths[part][first : first + count]
            if len(lengths) != count:
                raise Damaged(f"member {name!r} of backup {self.run} lies beyond the end of {part_name(part)}.")
            if skip >= sum(lengths):
                skip -= sum(lengths)
                continue
            for piece in self._pieces(part, first, count, lengths):
                if skip < len(piece):
                    yield piece[skip:] if skip else piece
                skip = max(0, skip - len(piece))

    def checked(self, name: str) -> Iterator[bytes]:
        """All bytes of a member. Raises Damaged, at the end, if they are not those of its sum."""
        member = self.members[name]
        found, size = hashlib.sha256(), 0
        for piece in self.read(name):
            found.update(piece)
            size += len(piece)
            yield piece
        if (found.hexdigest(), size) != (member.sha256, member.size):
            raise Damaged(
                f"member {name!r} of backup {self.run} is not what was exported: {size} bytes with SHA-256 "
                f"{found.hexdigest()}, and it was {member.size} with {member.sha256}. Nothing was deleted."
            )

    def rest(self) -> None:
        """Give back memory and the thread, until it is read again."""
        self._parts.rest()

    def _pieces(self, part: int, first: int, count: int, lengths: Collection[int]) -> list[bytes]:
        try:
            pieces = self._parts.get(part)[first : first + count]
        except Damaged:
            pieces = self._parts.get_singly(part, self.index.lengths[part])(first, count)
        if [len(piece) for piece in pieces] != list(lengths):
            raise Damaged(f"{part_name(part)} of backup {self.run} does not hold what its index says.")
        return pieces


class _Parts:
    """Parts by number, the newest few kept, the next one read ahead while they are read in turn."""

    def __init__(self, core: StoreCore, steps: Mapping[str, StepResult]) -> None:
        self._core = core
        self._steps = steps
        self._kept: OrderedDict[int, list[bytes]] = OrderedDict()
        self._ahead: dict[int, Future[list[bytes]]] = {}
        self._pool: ThreadPoolExecutor | None = None
        self._last = -1

    def get(self, number: int) -> list[bytes]:
        if number not in self._kept:
            coming = self._ahead.pop(number, None)
            pieces = self._load(number) if coming is None else coming.result()
            while len(self._kept) >= _KEPT:
                self._kept.popitem(last=False)
            self._kept[number] = pieces
            if number == self._last + 1:
                self._read_ahead(number + 1)
            self._last = number
        self._kept.move_to_end(number)
        return self._kept[number]

    def get_singly(self, number: int, lengths: Sequence[int]) -> Callable[[int, int], list[bytes]]:
        """Of a part that is damaged: some pieces, without those that are not asked for. Raises Damaged if they are."""
        state = self._core.open(self._steps[part_name(number)].result)
        document = state.large_document
        if state.buffer_count:
            return lambda first, count: [bytes(state.fetch(at)) for at in range(first, first + count)]
        if document is None:
            raise Damaged(f"{part_name(number)} of the backup is damaged.")
        places = places_in_document(lengths)
        return lambda first, count: [document.peek(*place) for place in places[first : first + count]]

    def rest(self) -> None:
        self._kept.clear()
        self._ahead.clear()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def _read_ahead(self, number: int) -> None:
        for left in [one for one in self._ahead if one != number]:
            self._ahead.pop(left).cancel()
        if part_name(number) in self._steps and number not in self._kept and number not in self._ahead:
            self._pool = self._pool or ThreadPoolExecutor(1, "waycairn-backup-read")
            self._ahead[number] = self._pool.submit(self._load, number)

    def _load(self, number: int) -> list[bytes]:
        step = self._steps.get(part_name(number))
        if step is None:
            raise Damaged(f"the backup lacks {part_name(number)}.")
        state = self._core.open(step.result)
        if state.buffer_count:
            state.prefetch()
            return [bytes(state.fetch(number)) for number in range(state.buffer_count)]
        pieces = self._core.load(step.result)
        if not isinstance(pieces, list) or not all(isinstance(piece, bytes) for piece in pieces):
            raise Damaged(f"{part_name(number)} of the backup does not hold pieces.")
        return pieces
