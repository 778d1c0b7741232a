"""A run that begins at a cut of another one, and a run that goes back to one of its own.

What a fork takes over is read and written row by row, as records: where rows are sealed each is bound to its place, and
a copy of the bytes would be refused. Chunks are shared, since the rows name them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import structs

from waycairn.catalog.checkpoints import ADD_CHECKPOINT
from waycairn.catalog.columns import decode_place, encode_place, identity
from waycairn.catalog.commits import ADD_STEP, GET_NUM, LIST_STEPS, OUTPUTS, SET_OUTPUT
from waycairn.catalog.database import Row, Session
from waycairn.catalog.entries import lose_entry
from waycairn.catalog.history import Cut, PhaseCut, cut_back, facts_at, no_such_cut, phases_at
from waycairn.catalog.items import copy_items
from waycairn.catalog.parts import NUM, RUN_ID, Part, Target, missing, refuse_unless_ours
from waycairn.catalog.rows import (
    CHECKPOINT_COLUMNS,
    checkpoint_of,
    step_of,
    values_of_checkpoint,
    values_of_run,
    values_of_step,
)
from waycairn.catalog.runs import ADD_RUN, GIVE_UP_IDENTITY, HOLD_TAKEN, TAKE_PHASES
from waycairn.catalog.session import copy_journal
from waycairn.catalog.sql import String, bindparam, func, null, or_, select, update
from waycairn.catalog.statement import Statement
from waycairn.catalog.tables import checkpoints, items, runs
from waycairn.catalog.waiting import copy_waiting
from waycairn.model.entries import Ending
from waycairn.model.forking import NewFork
from waycairn.model.ids import RunId, checkpoint_id
from waycairn.model.records import NewRun
from waycairn.model.states import CheckpointStatus, RunStatus
from waycairn.world.randomness import new_run_id

_FACTS = (runs.c.num, runs.c.done, runs.c.total, runs.c.status)
HOLD_SOURCE = Statement(
    "hold_source",
    "The run that is forked: no commit, rewind or removal of it comes between.",
    select(*_FACTS).where(runs.c.id == bindparam("id")).with_for_update(),
)
HOLD_CUT = Statement(
    "hold_cut",
    "The checkpoint that is forked at: nobody deletes it meanwhile.",
    select(bindparam("id", type_=String), *CHECKPOINT_COLUMNS)
    .where(
        checkpoints.c.run == bindparam("num"),
        checkpoints.c.sequence == bindparam("number"),
        checkpoints.c.role == "state",
        checkpoints.c.status == CheckpointStatus.VALID.value,
    )
    .with_for_update(),
)
BECOME_FORK = Statement(
    "become_fork",
    "A run that was just added is as far as the cut it begins at.",
    update(runs)
    .where(runs.c.id == bindparam("of"))
    .values(
        **{
            column: bindparam(column)
            for column in ("status", "sequence", "operation", "done", "failed", "total", "origin")
        },
        entered=0,
    ),
)
DONE_LATER = Statement(
    "done_later",
    "How many items were done after a cut.",
    select(func.coalesce(func.sum(items.c.count), 0)).where(
        items.c.run == bindparam("num"), items.c.sequence > bindparam("number")
    ),
)
HOLD_AND_REOPEN = Statement(
    "hold_and_reopen",
    "The fence of a rewind by nobody's owner: a new epoch, so that whoever enters meanwhile loses or wins, never both.",
    update(runs)
    .where(runs.c.id == bindparam("of"), runs.c.root == bindparam("of"), runs.c.epoch == bindparam("was"))
    .values(
        epoch=runs.c.epoch + 1,
        status=RunStatus.INTERRUPTED.value,
        owner=null(),
        lease_until=null(),
        error=null(),
        updated=bindparam("now"),
    )
    .returning(runs.c.num),
)
KEPT_UP_TO = Statement(
    "kept_up_to",
    "The checkpoints that a fork takes over: values and results up to a cut, and the newest state.",
    select(bindparam("id", type_=String), *CHECKPOINT_COLUMNS)
    .where(
        checkpoints.c.run == NUM,
        checkpoints.c.sequence <= bindparam("through"),
        checkpoints.c.status == CheckpointStatus.VALID.value,
        or_(
            checkpoints.c.role == "value",
            checkpoints.c.role == "result",
            checkpoints.c.sequence
            == select(checkpoints.c.sequence)
            .where(
                checkpoints.c.run == NUM,
                checkpoints.c.role == "state",
                checkpoints.c.status == CheckpointStatus.VALID.value,
                checkpoints.c.sequence <= bindparam("through"),
            )
            .order_by(checkpoints.c.sequence.desc())
            .limit(1)
            .scalar_subquery(),
        ),
    )
    .order_by(checkpoints.c.sequence),
)


class BranchPart(Part):
    """Implements `ports.BranchRows`."""

    def reopen(self, run: RunId, epoch: int, sequence: int, now: float) -> None:
        self._database.write(lambda session: _reopen(session, run, epoch, sequence, now))

    def outputs_at(self, run: RunId, sequence: int) -> Mapping[str, int]:
        tree = self._database.read(lambda session: _tree(session, run, sequence))
        return {path: length for cut, lengths in tree if cut.sequence for path, length in lengths.items()}

    def cuts_at(self, run: RunId, sequence: int) -> Mapping[RunId, int]:
        tree = self._database.read(lambda session: _tree(session, run, sequence))
        return {cut.id: cut.sequence for cut, _ in tree}

    def add_fork(self, fork: NewFork, now: float) -> bool:
        return self._database.write(lambda session: _add_fork(session, fork, now))


def _tree(session: Session, run: RunId, sequence: int) -> list[tuple[Cut, dict[str, int]]]:
    """A run and the phases below it, as they stood at its cut, with the lengths of their outputs."""
    row = session.one(GET_NUM, {"id": run})
    if row is None:
        missing(run)
    cuts: list[Cut] = [Cut(run, row[0], sequence)]
    found = []
    for cut in cuts:  # which grows
        lengths, told = _lengths_at(session, cut)
        found.append((cut, lengths))
        cuts += phases_at(session, cut, told)
    return found


def _lengths_at(session: Session, cut: Cut) -> tuple[dict[str, int], Mapping[str, Any]]:
    """Of the outputs of one run, and what its checkpoint tells besides. Of a phase that did nothing since, those of now."""
    lengths, told = facts_at(session, cut) or ({}, {})
    if isinstance(cut, PhaseCut) and cut.is_newest:
        lengths = {decode_place(place)[0]: length for place, length in session.all(OUTPUTS, {"id": cut.id})}
    return lengths, told


def _reopen(session: Session, run: RunId, epoch: int, sequence: int, now: float) -> None:
    # 1. The fence.
    held = session.one(HOLD_TAKEN, {"of": run, "was": epoch})
    row = None if held is None else session.one(HOLD_AND_REOPEN, {"of": run, "was": epoch, "now": now})
    if held is None or row is None:
        refuse_unless_ours(session, run, epoch)
        return
    lose_entry(session, held[0], epoch, held[2], Ending.ORPHANED)
    session.change(TAKE_PHASES, {"of": run, "was": epoch, "now": now})
    if session.one(HOLD_CUT, {RUN_ID: run, "id": run, "num": row[0], "number": sequence}) is None:
        no_such_cut(run, sequence)
    # 2. What came later goes, here and in the phases below.
    cut_back(session, Cut(run, row[0], sequence), now)


def _add_fork(session: Session, fork: NewFork, now: float) -> bool:
    # 1. Nobody changes what is copied, nor deletes the checkpoint, before this is committed.
    source = session.one(HOLD_SOURCE, {"id": fork.source})
    if source is None:
        missing(fork.source)
    cut = Cut(fork.source, source[0], fork.sequence)
    held = session.one(HOLD_CUT, {RUN_ID: fork.source, "id": fork.source, "num": cut.num, "number": cut.sequence})
    if held is None:
        no_such_cut(fork.source, fork.sequence)
    # 2. The name, which a run that was given up lets go.
    new = fork.run
    if fork.replaces is not None:
        run, epoch = fork.replaces
        whose = identity(new.parent, new.name, new.key)
        if session.change(GIVE_UP_IDENTITY, {"of": run, "was": epoch, "identity": whose, "now": now}) == 0:
            return False
    if session.change(ADD_RUN, values_of_run(new, now)) == 0:
        return False
    # 3. All that hangs on the cut.
    _Taking(session, fork, now).take(new, cut, source)
    return True


class _Taking:
    """Takes rows of one run over into another, in the transaction of a fork."""

    def __init__(self, session: Session, fork: NewFork, now: float) -> None:
        self._session, self._fork, self._now = session, fork, now

    def take(self, new: NewRun, cut: Cut, facts: Row) -> None:
        """Up to a cut, of which `facts` are of the row of its run, into a run that was just added; then those of its phases,
        each into a run of its own."""
        row = self._session.one(GET_NUM, {"id": new.id})
        assert row is not None
        target = Target(new.id, row[0])
        failed = self._copy(target, cut)
        lengths, told = _lengths_at(self._session, cut)
        for path, length in lengths.items():
            place = encode_place(self._fork.path_of(path))
            self._session.change(SET_OUTPUT, {"run": target.num, "place": place, "length": length})
        self._session.change(BECOME_FORK, self._facts_of(new, cut, facts) | {"failed": failed})
        for phase in phases_at(self._session, cut, told):
            if phase.sequence:
                self._add_phase(new, phase)

    def _copy(self, target: Target, cut: Cut) -> int:
        """How many items had failed."""
        failed = copy_items(self._session, cut.id, target, cut.sequence)
        copy_waiting(self._session, cut.id, target, cut.sequence)
        copy_journal(self._session, cut.id, target, cut.sequence)
        for stored in map(step_of, self._session.all(LIST_STEPS, {"id": cut.id})):
            if stored.sequence <= cut.sequence:
                values = values_of_step(target.num, stored.sequence, stored.step)
                self._session.change(ADD_STEP, {RUN_ID: target.id, **values})
        rows = self._session.all(KEPT_UP_TO, {"id": cut.id, "through": cut.sequence})
        for record in map(checkpoint_of, rows):
            lengths = {self._fork.path_of(path): length for path, length in record.checkpoint.outputs.items()}
            copy = structs.replace(record.checkpoint, outputs=lengths)
            of_checkpoint = values_of_checkpoint(target.num, record.sequence, 1, record.created, copy)
            self._session.change(ADD_CHECKPOINT, {RUN_ID: target.id, **of_checkpoint})
        return failed

    def _facts_of(self, new: NewRun, cut: Cut, facts: Row) -> dict[str, Any]:
        _, done, total, status = facts
        later = self._session.one(DONE_LATER, {"num": cut.num, "number": cut.sequence})
        assert later is not None
        is_over = isinstance(cut, PhaseCut) and cut.is_newest and status != RunStatus.RUNNING.value
        return {
            "of": new.id,
            "status": status if is_over else RunStatus.INTERRUPTED.value,
            "sequence": cut.sequence,
            "operation": self._fork.operation if new.id == self._fork.run.id else None,
            "done": done - int(later[0]),
            "total": total,
            "origin": checkpoint_id(cut.id, cut.sequence),
        }

    def _add_phase(self, above: NewRun, phase: PhaseCut) -> None:
        facts = self._session.one(HOLD_SOURCE, {"id": phase.id})
        assert facts is not None
        new = NewRun(
            id=new_run_id(),
            root=above.root,
            parent=above.id,
            name=phase.name,
            key=None,
            owner=None,
            account=above.account,
        )
        self._session.change(ADD_RUN, values_of_run(new, self._now))
        self.take(new, phase, facts)
