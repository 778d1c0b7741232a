"""`wc.run(..., part=(0, 4))`: one of several processes that do the items of one batch, each started by hand.

A part is a run of its own, with its own owner, epoch, ledger and state, under the key of the batch and its number. The
batch itself is a run without an owner, which says how many parts there are and what they came to; the last part that
completes completes it.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from waycairn.codec.keys import Key, key_digest
from waycairn.errors import RunNotCompleted, StoreError
from waycairn.model.ids import RunId
from waycairn.model.records import PARTS, WHOLE, NewRun, RunFilter, RunRecord
from waycairn.model.states import RunStatus
from waycairn.process import new_root
from waycairn.store import StoreCore
from waycairn.work.entering import Ask, Entered, check_fingerprint, enter
from waycairn.world.crashpoints import crashpoint
from waycairn.world.randomness import new_run_id

log = logging.getLogger("waycairn")


@dataclass(frozen=True, slots=True)
class Share:
    """Part `index` (from 0) of `count`."""

    index: int
    count: int

    @classmethod
    def of(cls, part: tuple[int, int] | None) -> Share | None:
        """From what a user writes. Raises ValueError."""
        if part is None:
            return None
        match part:
            case (int(index), int(count)) if 0 <= index < count:
                return cls(index, count)
        raise ValueError(f"part is (index, count) with the index from 0 to below the count, not {part!r}")

    def __str__(self) -> str:
        return f"part {self.index} of {self.count}"

    def holds(self, key: Key) -> bool:
        """Whether the item of that key is done by this part: by a hash, so that the order of the input is no matter."""
        return int.from_bytes(key_digest(key)[:8], "big") % self.count == self.index


def enter_part(store: StoreCore, ask: Ask, share: Share) -> Entered:
    """Enter one part, and make the batch if it is the first. Raises what `enter` raises, and ValueError if the batch was
    split otherwise."""
    whole = _whole(store, ask, share)
    part = dataclasses.replace(
        ask, key=_key(ask, share), fresh=False, total=None, metadata={**ask.metadata, WHOLE: whole.id}, whole=whole.id
    )
    entered = enter(store, part)
    try:
        settle(store, entered.record)
    except BaseException:
        entered.hold.release()
        raise
    return entered


def settle(store: StoreCore, part: RunRecord, *, is_failing: bool = False) -> None:
    """Tell the batch of this part how far its parts are. `is_failing`: another error is under way and is not hidden."""
    try:
        whole = store.catalog.get_run(RunId(part.metadata[WHOLE]))
        before = None
        # Parts end at once; whoever writes last must have seen all of them.
        while whole is not None and (now := _sum(store, part, whole)) != before:
            before = now
            status, done, failed = now
            crashpoint("part.settle")
            store.catalog.change_run(whole.id, whole.epoch, store.clock.now(), status=status, done=done, failed=failed)
    except StoreError as error:
        if not is_failing:
            # Done is the part, not the batch: who asks for that would wait for ever. Run again, the part says so again.
            raise
        log.error("the batch of %s could not be told how far it is: %s", part.name, error)  # noqa: TRY400


def _sum(store: StoreCore, part: RunRecord, whole: RunRecord) -> tuple[RunStatus, int, int]:
    parts = _parts(store, part.name, whole.id)
    states = {one.status for one in parts}
    status = RunStatus.INTERRUPTED
    if len(parts) == whole.metadata[PARTS] and states <= {RunStatus.COMPLETED, RunStatus.PARTIAL}:
        status = RunStatus.PARTIAL if RunStatus.PARTIAL in states else RunStatus.COMPLETED
    return status, sum(one.progress.done for one in parts), sum(one.progress.failed for one in parts)


def _parts(store: StoreCore, name: str, whole: RunId) -> Sequence[RunRecord]:
    return [one for one in store.catalog.list_runs(RunFilter(name=name)) if one.metadata.get(WHOLE) == whole]


def _key(ask: Ask, share: Share) -> str:
    return str(share) if ask.key is None else f"{ask.key}, {share}"


def _whole(store: StoreCore, ask: Ask, share: Share) -> RunRecord:
    """The run of the batch. Another part may make it in the same moment."""
    while True:
        found = store.catalog.find_run(None, ask.name, ask.key)
        is_over = found is not None and found.status is RunStatus.COMPLETED and ask.fresh
        if found is None:
            store.catalog.add_run(_new(ask, share), store.clock.now())
        elif is_over or found.status is RunStatus.DISCARDED:
            store.catalog.replace_run(found.id, found.epoch, _new(ask, share), store.clock.now())
        else:
            _check(store, ask, share, found)
            return found
        crashpoint("part.whole")


def _new(ask: Ask, share: Share) -> NewRun:
    return new_root(
        new_run_id(),
        ask.name,
        ask.key,
        fingerprint=ask.fingerprint,
        task=ask.task,
        tags=ask.tags,
        metadata={**ask.metadata, PARTS: share.count},
        total=ask.total,
    )


def _check(store: StoreCore, ask: Ask, share: Share, whole: RunRecord) -> None:
    count = whole.metadata.get(PARTS)
    if count != share.count:
        was = "as one" if count is None else f"in {count} parts"
        raise ValueError(
            f"run {ask.name!r} was begun {was}; entered as {share}, items would be done twice or by nobody. Nothing was "
            f"changed. Enter it as before, or under another key, or give it up first: waycairn discard {whole.id}"
        )
    check_fingerprint(whole, ask.fingerprint)
    if ask.fresh and any(one.key == _key(ask, share) for one in _parts(store, ask.name, whole.id)):
        raise RunNotCompleted(
            f"run {ask.name!r} is not completed by all of its parts, and fresh=True replaces completed runs only. Nothing "
            f"was changed. Finish it, or give it up first: waycairn discard {whole.id}",
            run=whole.id,
            status=whole.status,
        )
