"""More known mistakes, planted like those of `bugs`: never in the library."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from typing import Any

from msgspec.structs import replace

from waycairn.model.records import Commit

__all__ = ["MISTAKES"]


def write_behind() -> None:
    """A commit is acknowledged at once and done before the next one."""
    from waycairn.store import Draft, StoreCore

    late: list[Callable[[], Any]] = []
    commit, close = StoreCore.commit, StoreCore.close

    def finish() -> None:
        while late:
            late.pop()()

    def commit_later(self: StoreCore, draft: Draft) -> None:
        finish()
        late.append(lambda: commit(self, draft))

    StoreCore.commit = commit_later
    StoreCore.close = lambda self: (finish(), close(self))[1]


def state_encoded_late() -> None:
    """The state is encoded when its cut is written, not when it was taken: behind the user's next item."""
    from waycairn.store import Draft, StoreCore
    from waycairn.work.cut import Cutter, Prepared

    late: list[Callable[[], Any]] = []
    slots: dict[bytes, Any] = {}
    commit, close, prepare = StoreCore.commit, StoreCore.close, Cutter.prepare

    def prepare_lazily(self: Cutter, *given: Any, **named: Any) -> Prepared:
        prepared = prepare(self, *given, **named)
        if self.state is not None and prepared.draft.checkpoint is not None:
            slots[prepared.draft.operation] = self.state
        return prepared

    def finish() -> None:
        while late:
            late.pop()()

    def write(self: StoreCore, draft: Draft) -> None:
        slot = slots.pop(draft.operation, None)
        if slot is not None and draft.checkpoint is not None:
            draft = replace(draft, checkpoint=replace(draft.checkpoint, encoded=slot.encode()))
        commit(self, draft)

    def commit_later(self: StoreCore, draft: Draft) -> None:
        finish()
        late.append(lambda: write(self, draft))

    Cutter.prepare = prepare_lazily
    StoreCore.commit = commit_later
    StoreCore.close = lambda self: (finish(), close(self))[1]


def items_apart_from_state() -> None:
    """The items of a cut are committed, and in a transaction of its own the state that goes with them."""
    from waycairn.catalog.checkpoints import ADD_CHECKPOINT
    from waycairn.catalog.rows import values_of_checkpoint
    from waycairn.catalog.whole import SqlCatalog
    from waycairn.world.crashpoints import crashpoint

    commit = SqlCatalog.commit

    def commit_in_two(self: SqlCatalog, cut: Commit) -> None:
        if not (cut.items and cut.checkpoint):
            commit(self, cut)
            return
        commit(self, replace(cut, checkpoint=None))
        values = values_of_checkpoint(self._nums[cut.run], cut.sequence, cut.epoch, cut.now, cut.checkpoint)
        crashpoint("cut.committed")
        self._database.write(lambda session: session.change(ADD_CHECKPOINT, values))

    SqlCatalog.commit = commit_in_two


def error_swallowed() -> None:
    """An error of the thread that commits is logged, and the job goes on."""
    from waycairn.store import Draft, StoreCore

    commit = StoreCore.commit

    def commit_somehow(self: StoreCore, draft: Draft) -> None:
        try:
            commit(self, draft)
        except Exception as error:
            logging.getLogger("waycairn").error("the commit failed: %s", error)  # noqa: TRY400

    StoreCore.commit = commit_somehow


def delete_later() -> None:
    """Deleted checkpoints are only hidden; they are removed when the store is closed."""
    from waycairn.catalog.whole import SqlCatalog

    late: list[tuple[Any, Any]] = []
    delete, close = SqlCatalog.delete_checkpoints, SqlCatalog.close

    def hide(_: SqlCatalog, run: Any, sequences: Any) -> int:
        late.append((run, sequences))
        return len(sequences)

    def close_at_last(self: SqlCatalog) -> None:
        while late:
            delete(self, *late.pop())
        close(self)

    SqlCatalog.delete_checkpoints = hide
    SqlCatalog.close = close_at_last


def output_unwritten() -> None:
    """The length of an output is committed while its bytes are still in the buffer of the process."""
    from waycairn.work.output import Output

    Output.flush_to = lambda self, length: None


def drop_first() -> None:
    """What a new checkpoint replaces is deleted first, so that there is room for it."""
    from waycairn.catalog.whole import SqlCatalog

    commit = SqlCatalog.commit

    def commit_after_deleting(self: SqlCatalog, cut: Commit) -> None:
        if cut.drop:
            self.delete_checkpoints(cut.run, cut.drop)
        commit(self, replace(cut, drop=()))

    SqlCatalog.commit = commit_after_deleting


def same_epoch() -> None:
    """A takeover changes the owner and leaves the epoch as it is."""
    from waycairn.catalog.whole import SqlCatalog

    SqlCatalog.take_over = lambda self, run, epoch, owner, now: self.change_run(run, epoch, now, owner=owner) is None


def last_cut_forgotten() -> None:
    """Going on, what the last cut did is taken for undone: an off-by-one in what is skipped."""
    from waycairn.work import passing
    from waycairn.work.done import DoneKeys

    def all_but_the_last(blocks: Any) -> Iterator[Any]:
        yield from list(blocks)[:-1]

    class Forgetful(DoneKeys):
        def __init__(self, blocks: Any, count: int) -> None:
            super().__init__(all_but_the_last(blocks), count)

    passing.DoneKeys = Forgetful


def chunks_after_commit() -> None:
    """A checkpoint row stands before its chunks: they follow in a transaction of their own."""
    from waycairn.catalog.whole import SqlCatalog

    commit, late = SqlCatalog.commit, []

    def commit_rows_first(self: SqlCatalog, cut: Commit) -> None:
        from waycairn.catalog.chunk_index import add_data

        commit(self, replace(cut, data=()))
        late.extend(cut.data)
        while late:
            data = late.pop()
            self._database.write(lambda session, data=data: add_data(session, data, cut.now))

    SqlCatalog.commit = commit_rows_first


def files_before_rows() -> None:
    """A sweep deletes the files of packs that it is about to condemn, then the rows."""
    from waycairn.upkeep import sweep

    remove_rows = sweep._remove_rows

    def remove_files_first(core: Any, report: Any, *more: Any) -> Any:
        mark = core.catalog.mark(sweep.runs_in, sweep.REFERS_TO_NOTHING)
        fills = sweep._after(core, [block for block in mark.dead if block.is_whole])
        for name, fill in fills.items():
            if not fill.blocks:
                core.blobs.delete(name)
        return remove_rows(core, report, *more)

    sweep._remove_rows = remove_files_first


def sweep_epoch_ignored() -> None:
    """A save that found chunks again does not ask whether they were swept since."""
    from waycairn.catalog import commits
    from waycairn.store import StoreCore

    add_data = commits.add_data
    commits.add_data = lambda session, data, now: add_data(session, replace(data, sweep_epoch=None), now)
    StoreCore.forget_chunks = lambda self: None


def results_not_marked() -> None:
    """A sweep knows of checkpoints only: what steps gave is swept."""
    from waycairn.catalog import sweeping
    from waycairn.catalog.tables import checkpoints

    sweeping.REFERRING = (checkpoints,)


def not_looked_at_again() -> None:
    """What was committed between the mark of a sweep and its transaction is not looked at."""
    from waycairn.catalog import sweeping
    from waycairn.model.spans import Spans

    sweeping.rescued = lambda *_: Spans()


def leftovers_unfenced() -> None:
    """Packs that no commit named are deleted at once, and saves that are about to name them are not told."""
    from waycairn.upkeep import sweep

    def delete_at_once(core: Any, report: Any, leftovers: Any) -> Any:
        for name in sweep._unknown_packs(core, sweep._before(core, 0.0)):
            core.blobs.delete(name)
        return remove_files(core, report, leftovers)

    remove_files = sweep._remove_files
    sweep._remove_files = delete_at_once


def newest_not_spared() -> None:
    """Policies know no checkpoint that a run goes on from: the newest one goes, too."""
    from waycairn.model import retaining
    from waycairn.upkeep import retain

    retaining.heads = retain.heads = lambda _: {}


def log_not_emptied() -> None:
    """What was deleted is left in the log of the database."""
    from waycairn.catalog.whole import SqlCatalog

    SqlCatalog.settle_log = lambda self: True


def saved_uncopied() -> None:
    """A save behind a loop reads the arrays of the job, which goes on changing them."""
    from waycairn.work.snapshots import Snapshot, SnapshotPool

    SnapshotPool.copy = lambda self, encoded, *_: Snapshot(encoded, lambda: None)


def random_numbers_forgotten() -> None:
    """A resumed loop draws the random numbers of its beginning again."""
    from waycairn.work.tracking import Tracked

    Tracked.restore_rng = lambda self: None


def steps_counted_late() -> None:
    """A save holds the weights of a step and the count of the one before: it is trained twice."""
    from waycairn.work.tracking import Tracked

    tree = Tracked.tree

    def one_less(self: Tracked) -> Any:
        kept = tree(self)
        return {**kept, "steps": {name: max(0, count - 1) for name, count in kept["steps"].items()}}

    Tracked.tree = one_less


def copy_finished_first() -> None:
    """A copy may be used as soon as its chunks are there, before its rows are."""
    from waycairn.upkeep import copying

    run = copying._Copying.run

    def finish_first(self: Any, moment: Any) -> None:
        self._copy_chunks(moment)
        self._target.catalog.finish_copy()
        run(self, moment)

    copying._Copying.run = finish_first


def keys_not_held() -> None:
    """Whoever writes goes on with the data key that he began with, whatever became of it."""
    from waycairn.catalog import opening

    opening.hold_keys = lambda *_: None


def packs_not_renewed() -> None:
    """A rotation forgets the packs, and drops the key that they need."""
    from waycairn.upkeep import rotating

    rotating._Rotation._renew_packs = lambda self: set(self._core.catalog.pack_fill())


def old_packs_first() -> None:
    """An optimizer deletes the old packs when the new ones are there, and switches the rows then."""
    from waycairn.upkeep.repacking import Mover

    switch = Mover._switch

    def delete_and_switch(self: Mover, copied: Any, done: Any) -> None:
        for pack in {one.block.pack for move in copied.moves for one in move.was} - {None}:
            self.core.blobs.delete(pack)
        switch(self, copied, done)

    Mover._switch = delete_and_switch


def switch_leaves_the_epoch() -> None:
    """Blocks that are switched to other packs leave the sweep epoch as it was: an older mark is believed."""
    from waycairn.catalog import repacking
    from waycairn.catalog.chunk_index import HOLD_COUNTER

    switch = repacking._switch

    class Holding:
        """A session of which the epoch is held instead of moved."""

        def __init__(self, session: Any) -> None:
            self._session = session

        def __getattr__(self, name: str) -> Any:
            return getattr(self._session, name)

        def one(self, statement: Any, *values: Any) -> Any:
            if statement is not repacking.LOCK_EPOCH:
                return self._session.one(statement, *values)
            row = self._session.one(HOLD_COUNTER, {"counter": "sweep"})
            return (row[0] + 1,)

    repacking._switch = lambda session, *rest: switch(Holding(session), *rest)


def archive_not_flushed() -> None:
    """What is copied to an archive is not flushed before the rows say that it is there and the old packs go."""
    from waycairn.blobs import unfinished

    flush = unfinished.flush

    def flush_but_archives(handle: int) -> None:
        if "/archive/" not in os.readlink(f"/proc/self/fd/{handle}"):
            flush(handle)

    unfinished.flush = flush_but_archives


def moved_partly() -> None:
    """The rows of blocks are switched, those of chunks that lie elsewhere in their new block are not."""
    from waycairn.catalog import repacking

    repacking._moved_chunks = lambda move: iter(())


def damaged_found_again() -> None:
    """A save leans on a chunk that is known to be damaged, because its name is the right one."""
    from sqlalchemy import true

    from waycairn.catalog import chunk_index

    chunk_index.is_sound = lambda number: true()
    chunk_index._find_chunks.cache_clear()


def numbers_given_again() -> None:
    """A repair puts rows back and forgets that their numbers are taken."""
    from waycairn.catalog.damage import DamagePart

    mend = DamagePart.mend
    DamagePart.mend = lambda self, mending, epoch: mend(self, replace(mending, behind=0), epoch)


MISTAKES = {
    "keys-not-held": keys_not_held,
    "packs-not-renewed": packs_not_renewed,
    "copy-finished-first": copy_finished_first,
    "old-packs-first": old_packs_first,
    "switch-leaves-the-epoch": switch_leaves_the_epoch,
    "archive-not-flushed": archive_not_flushed,
    "moved-partly": moved_partly,
    "damaged-found-again": damaged_found_again,
    "numbers-given-again": numbers_given_again,
    "saved-uncopied": saved_uncopied,
    "random-numbers-forgotten": random_numbers_forgotten,
    "steps-counted-late": steps_counted_late,
    "files-before-rows": files_before_rows,
    "sweep-epoch-ignored": sweep_epoch_ignored,
    "results-not-marked": results_not_marked,
    "not-looked-at-again": not_looked_at_again,
    "leftovers-unfenced": leftovers_unfenced,
    "newest-not-spared": newest_not_spared,
    "log-not-emptied": log_not_emptied,
    "write-behind": write_behind,
    "state-encoded-late": state_encoded_late,
    "items-apart-from-state": items_apart_from_state,
    "error-swallowed": error_swallowed,
    "delete-later": delete_later,
    "output-unwritten": output_unwritten,
    "drop-first": drop_first,
    "same-epoch": same_epoch,
    "last-cut-forgotten": last_cut_forgotten,
    "chunks-after-commit": chunks_after_commit,
}
