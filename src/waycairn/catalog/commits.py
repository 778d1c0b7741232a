"""The one transaction of a cut, and what it left behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from waycairn.catalog.checkpoints import ADD_CHECKPOINT, DROP_CHECKPOINT, DROP_OLDER_VALUES
from waycairn.catalog.chunk_index import add_data
from waycairn.catalog.columns import (
    decode_place,
    decode_text,
    encode_json,
    encode_maybe,
    encode_place,
    identity,
)
from waycairn.catalog.database import Database, Row, Session
from waycairn.catalog.entries import LEAVE_ENTRY
from waycairn.catalog.items import add_items
from waycairn.catalog.parts import FENCE_STATE, NUM, RUN_ID, Part, lost, missing
from waycairn.catalog.rows import (
    STEP_COLUMNS,
    step_of,
    values_of_checkpoint,
    values_of_run,
    values_of_step,
)
from waycairn.catalog.runs import ADD_RUN
from waycairn.catalog.session import EncodedJournal
from waycairn.catalog.shapes import nonsense_of, reads
from waycairn.catalog.sql import Integer, bindparam, case, func, insert, literal_column, null, select, update
from waycairn.catalog.statement import Statement
from waycairn.catalog.tables import outputs, runs, steps
from waycairn.catalog.waiting import add_waiting
from waycairn.errors import StoreError
from waycairn.model.ids import CheckpointId, OperationId, RunId, checkpoint_id
from waycairn.model.journal import JournalRows
from waycairn.model.records import Commit, NewRun, OutputLength, StoredStep
from waycairn.model.states import RunStatus
from waycairn.ports import Clock

_PROGRESS: dict[str, Any] = {column: bindparam(column) for column in ("operation", "done", "failed", "total", "note")}
_IN_ORDER = (
    runs.c.num == bindparam("num"),
    runs.c.id == bindparam("of"),  # the number of a removed run may be given out again
    runs.c.epoch == bindparam("was"),
    runs.c.sequence + literal_column("1") == bindparam("number"),
)
FENCE = Statement(
    "fence",
    "Epoch, order and operation of a commit in one update: no row changed means that it must not happen.",
    update(runs).where(*_IN_ORDER).values(sequence=bindparam("number"), updated=bindparam("now"), **_PROGRESS),
)
FENCE_WITH_STATUS = Statement(
    "fence_with_status",
    "The same, for a commit that leaves the run (or enters it again): a run that was left has no owner.",
    update(runs)
    .where(*_IN_ORDER)
    .values(
        sequence=bindparam("number"),
        updated=bindparam("now"),
        status=bindparam("status"),
        error=bindparam("error"),
        owner=case((bindparam("leaves", type_=Integer) == 1, null()), else_=runs.c.owner),
        lease_until=case((bindparam("leaves", type_=Integer) == 1, null()), else_=runs.c.lease_until),
        **_PROGRESS,
    ),
)
GET_NUM = Statement("get_num", "The small number of a run.", select(runs.c.num).where(runs.c.id == bindparam("id")))
NEXT_VALUE = Statement(
    "next_value",
    "Number a plain save: the last one wins, so nothing is compared.",
    update(runs)
    .where(runs.c.identity == bindparam("whose"))
    .values(
        sequence=runs.c.sequence + 1,
        updated=bindparam("now"),
        status=func.coalesce(bindparam("status"), runs.c.status),
        **_PROGRESS,
    )
    .returning(runs.c.num, runs.c.id, runs.c.sequence, runs.c.epoch),
)

ADD_STEP = Statement(
    "add_step",
    "A step and its result. A second result for the same step is refused by the key.",
    insert(steps).values(**{column.name: bindparam(column.name) for column in steps.c}),
)
GET_STEP = Statement(
    "get_step",
    "One step.",
    select(*STEP_COLUMNS).where(steps.c.run == NUM, steps.c.place == bindparam("place")),
)
HOLD_ROOTS = Statement(
    "hold_roots",
    "The roots of the steps of a run; none of them goes before the end of the transaction.",
    select(steps.c.root).where(steps.c.run == NUM).with_for_update(read=True),
)
LIST_STEPS = Statement(
    "list_steps",
    "All steps, in the order of their commits.",
    select(*STEP_COLUMNS).where(steps.c.run == NUM).order_by(steps.c.sequence, steps.c.place),
)

SET_OUTPUT = Statement(
    "set_output",
    "The committed length of an output file. The first one, committed before anything is written, is where it begins.",
    lambda build: (
        build.insert(outputs)
        .values(run=bindparam("run"), place=bindparam("place"), begins=bindparam("length"), length=bindparam("length"))
        .on_conflict_do_update(index_elements=["run", "place"], set_={"length": bindparam("length")})
    ),
)
OUTPUTS = Statement(
    "outputs", "Committed lengths.", select(outputs.c.place, outputs.c.length).where(outputs.c.run == NUM)
)
NEWEST_OPERATION = Statement(
    "newest_operation",
    "Which attempt made the newest commit.",
    select(runs.c.operation).where(runs.c.id == bindparam("id")),
)


_NUMS = 4096
"""Runs whose numbers are remembered."""


class CommitPart(Part):
    """Implements `ports.CommitRows`, but for `rewind` (see `history`), and `carry_steps` of `ports.BackupRows`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        super().__init__(database, clock)
        self._nums: dict[RunId, int] = {}

    def commit(self, commit: Commit) -> None:
        # Encoded before the transaction, so that a value that cannot be stored never takes a lock.
        values = _fence_values(commit)
        rows = commit.journal
        journal = self._encode(commit, rows) if rows and not rows.is_empty else None
        self._database.write(lambda session: self._commit(session, commit, values, journal))

    def _encode(self, commit: Commit, rows: JournalRows) -> EncodedJournal:
        return EncodedJournal(rows, commit.run, commit.epoch, commit.now, is_sealed=self._database.is_sealed)

    def _commit(self, session: Session, commit: Commit, values: dict[str, Any], journal: EncodedJournal | None) -> None:
        num = values["num"] = self._nums.get(commit.run) or self._find_num(session, commit.run)
        # 1. The fence: right epoch, right order, not yet committed.
        fence = FENCE if commit.status is None else FENCE_WITH_STATUS
        if not session.change(fence, values):
            if (moved := self._find_num(session, commit.run)) == num:
                _explain(session, commit)
                return
            # It was deleted and restored since: another row, and the fence was not asked of it.
            num = values["num"] = moved
            if not session.change(fence, values):
                _explain(session, commit)
                return
        if commit.status is not None:
            session.change(LEAVE_ENTRY, values)
        # 2. Everything that hangs on it.
        _add_rows(session, commit, commit.run, num, commit.sequence, commit.epoch)
        if journal is not None:
            journal.add(session, num, commit.sequence)

    def _find_num(self, session: Session, run: RunId) -> int:
        """Asked once a run: its number changes only where it was deleted and restored."""
        row = session.one(GET_NUM, {"id": run})
        if row is None:
            missing(run)
        if len(self._nums) >= _NUMS:
            self._nums = {}
        num = self._nums[run] = int(row[0])
        return num

    def save_value(self, commit: Commit, name: NewRun, keep: int | None = None) -> CheckpointId:
        values = {"status": None, **_fence_values(commit), "whose": identity(name.parent, name.name, name.key)}
        return self._database.write(lambda session: self._save_value(session, commit, name, values, keep))

    def _save_value(
        self, session: Session, commit: Commit, name: NewRun, values: Mapping[str, Any], keep: int | None
    ) -> CheckpointId:
        row = session.one(NEXT_VALUE, values)
        if row is None:
            session.change(ADD_RUN, values_of_run(name, commit.now))
            row = session.one(NEXT_VALUE, values)
        assert row is not None
        num, run, sequence, epoch = row
        _add_rows(session, commit, run, num, sequence, epoch)
        if keep is not None:
            session.change(DROP_OLDER_VALUES, {"num": num, "kept": keep - 1})
        return checkpoint_id(run, sequence)

    def carry_steps(self, commit: Commit, source: RunId) -> bool:
        values = _fence_values(commit)
        return self._database.write(lambda session: self._carry(session, commit, source, values))

    def _carry(self, session: Session, commit: Commit, source: RunId, values: dict[str, Any]) -> bool:
        there = {bytes(root) for (root,) in session.all(HOLD_ROOTS, {"id": source})}
        if not there.issuperset(step.result.root for step in commit.steps):
            newest = session.one(NEWEST_OPERATION, {"id": commit.run})
            return newest is not None and newest[0] is not None and bytes(newest[0]) == commit.operation
        self._commit(session, commit, values, None)
        return True

    def newest_operation(self, run: RunId) -> OperationId | None:
        row = self._database.read(lambda session: session.one(NEWEST_OPERATION, {"id": run}))
        with nonsense_of(runs.name):
            return None if row is None or row[0] is None else OperationId(bytes(row[0]))

    def get_step(self, run: RunId, scope: str, name: str) -> StoredStep | None:
        values = {"id": run, "place": encode_place(scope, name)}
        row = self._database.read(lambda session: session.one(GET_STEP, values))
        return None if row is None else step_of(row)

    def list_steps(self, run: RunId) -> Sequence[StoredStep]:
        return [step_of(row) for row in self._database.read(lambda session: session.all(LIST_STEPS, {"id": run}))]

    def outputs(self, run: RunId) -> Mapping[str, OutputLength]:
        rows = self._database.read(lambda session: session.all(OUTPUTS, {"id": run}))
        return {output.path: output for output in map(_output_of, rows)}


@reads((outputs.c.place, outputs.c.length))
def _output_of(row: Row) -> OutputLength:
    place, length = row
    if length < 0:
        raise ValueError(f"an output of {length} bytes")
    return OutputLength(path=decode_place(place)[0], length=length)


def _fence_values(commit: Commit) -> dict[str, Any]:
    progress = commit.progress
    values: dict[str, Any] = {
        "of": commit.run,
        "was": commit.epoch,
        "number": commit.sequence,
        "operation": commit.operation,
        "now": commit.now,
        "done": progress.done,
        "failed": progress.failed,
        "total": progress.total,
        "note": encode_maybe(progress.note),
    }
    if commit.status is not None:
        values["status"] = commit.status.value
        values["error"] = encode_json(commit.error)
        values["leaves"] = int(commit.status is not RunStatus.RUNNING)
    return values


def _add_rows(  # noqa: PLR0917 - one private call
    session: Session, commit: Commit, run: RunId, num: int, sequence: int, epoch: int
) -> None:
    for data in commit.data:
        add_data(session, data, commit.now)
    if commit.items or commit.failures or commit.settled:
        add_items(session, commit, run, num, sequence)
    if commit.computed or commit.folded or commit.queued:
        add_waiting(session, commit, run, num, sequence)
    if commit.steps:
        session.many(ADD_STEP, ({RUN_ID: run, **values_of_step(num, sequence, step)} for step in commit.steps))
    for output in commit.outputs:
        session.change(SET_OUTPUT, {"run": num, "place": encode_place(output.path), "length": output.length})
    for dropped in commit.drop:
        session.change(DROP_CHECKPOINT, {"num": num, "number": dropped})
    if commit.checkpoint is not None:
        values = values_of_checkpoint(num, sequence, epoch, commit.now, commit.checkpoint)
        session.change(ADD_CHECKPOINT, {RUN_ID: run, **values})


def _explain(session: Session, commit: Commit) -> None:
    """Why the fence refused. Returns if this very commit is there already (its reply was lost)."""
    found = session.one(FENCE_STATE, {"id": commit.run})
    if found is None:
        missing(commit.run)
    epoch, sequence, operation, owner, name = found
    if sequence == commit.sequence and operation is not None and bytes(operation) == commit.operation:
        return
    if epoch != commit.epoch:
        lost(commit.run, decode_text(name), commit.epoch, epoch, owner)
    raise StoreError(
        f"commit {commit.sequence} of run {decode_text(name)!r} ({commit.run}) does not follow the newest one, "
        f"{sequence}. Nothing was changed. Two parts of this process commit to the same run out of order; "
        "enter the run again to go on from the newest commit.",
        run=commit.run,
        sequence=commit.sequence,
        newest=sequence,
    )
