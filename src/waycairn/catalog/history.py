"""Acts on the history of a run."""

from __future__ import annotations

from typing import Any

from sqlalchemy import and_, bindparam, delete, func, or_, select, update

from waycairn.catalog.columns import decode_json, encode_place, encode_text
from waycairn.catalog.commits import SET_OUTPUT
from waycairn.catalog.database import Session
from waycairn.catalog.parts import RUN_ID, Part, refuse_unless_ours
from waycairn.catalog.session import take_back
from waycairn.catalog.statement import Statement
from waycairn.catalog.tables import checkpoints, computed, failures, items, outputs, queued, runs, steps
from waycairn.errors import CheckpointNotFound
from waycairn.model.ids import RunId, checkpoint_id
from waycairn.model.states import CheckpointStatus

HOLD_RUN = Statement(
    "hold_run",
    "Fence a rewind: the epoch is ours, and no commit comes between.",
    update(runs)
    .where(runs.c.id == bindparam("of"), runs.c.epoch == bindparam("was"))
    .values(updated=bindparam("now"))
    .returning(runs.c.num),
)
OUTPUTS_AT = Statement(
    "outputs_at",
    "The lengths of output files at a checkpoint.",
    select(checkpoints.c.outputs).where(
        checkpoints.c.run == bindparam("num"), checkpoints.c.sequence == bindparam("number")
    ),
)
_LATER = "Rows of later commits."
FORGET_ITEMS = Statement(
    "forget_items",
    _LATER,
    delete(items).where(items.c.run == bindparam("num"), items.c.sequence > bindparam("number")),
)
COUNT_BACK = Statement(
    "count_back",
    "Items of later commits count no longer; those that failed later neither.",
    update(runs)
    .where(runs.c.num == bindparam("num"))
    .values(
        done=runs.c.done
        - select(func.coalesce(func.sum(items.c.count), 0))
        .where(items.c.run == bindparam("num"), items.c.sequence > bindparam("number"))
        .scalar_subquery(),
        failed=runs.c.failed
        - select(func.count())
        .select_from(failures)
        .where(failures.c.run == bindparam("num"), failures.c.sequence > bindparam("number"))
        .scalar_subquery(),
    ),
)
FORGET_FAILURES = Statement(
    "forget_failures",
    _LATER,
    delete(failures).where(failures.c.run == bindparam("num"), failures.c.sequence > bindparam("number")),
)
FORGET_COMPUTED = Statement(
    "forget_computed",
    "Rows of later commits. What was folded since then is gone from here and is computed again.",
    delete(computed).where(computed.c.run == bindparam("num"), computed.c.sequence > bindparam("number")),
)
FORGET_QUEUED = Statement(
    "forget_queued",
    _LATER,
    delete(queued).where(queued.c.run == bindparam("num"), queued.c.sequence > bindparam("number")),
)
FORGET_STEPS = Statement(
    "forget_steps",
    _LATER,
    delete(steps).where(steps.c.run == bindparam("num"), steps.c.sequence > bindparam("number")),
)
SET_ASIDE = Statement(
    "set_aside",
    "States and results of later commits are never restored from again; they stay listed for inspection.",
    update(checkpoints)
    .where(
        and_(checkpoints.c.run == bindparam("num"), checkpoints.c.sequence > bindparam("number")),
        or_(checkpoints.c.role == "state", checkpoints.c.role == "result"),
        checkpoints.c.status == CheckpointStatus.VALID.value,
    )
    .values(status=CheckpointStatus.SET_ASIDE.value, damage=bindparam("damage")),
)
EMPTY_OUTPUTS = Statement(
    "empty_outputs",
    "Files that the checkpoint does not know were as long as before the run.",
    update(outputs).where(outputs.c.run == bindparam("num")).values(length=outputs.c.begins),
)


class HistoryPart(Part):
    """Implements `rewind` of `ports.CommitRows`."""

    def rewind(self, run: RunId, epoch: int, sequence: int, now: float) -> None:
        self._database.write(lambda session: _rewind(session, run, epoch, sequence, now))


def _rewind(session: Session, run: RunId, epoch: int, sequence: int, now: float) -> None:
    # 1. The fence.
    row = session.one(HOLD_RUN, {"of": run, "was": epoch, "now": now})
    if row is None:
        refuse_unless_ours(session, run, epoch)
        return
    damage = encode_text(f"cut back to {sequence}")
    values: dict[str, Any] = {RUN_ID: run, "num": row[0], "number": sequence, "damage": damage}
    # 2. The lengths of that time, before anything is changed. At 0 nothing had been committed.
    found = session.one(OUTPUTS_AT, values)
    if found is None and sequence > 0:
        raise CheckpointNotFound(
            f"run {run} has no checkpoint {checkpoint_id(run, sequence)} to go back to. Nothing was changed. "
            "See `waycairn checkpoints`.",
            run=run,
            sequence=sequence,
        )
    # 3. What came later goes.
    session.change(COUNT_BACK, values)
    session.change(FORGET_ITEMS, values)
    session.change(FORGET_FAILURES, values)
    session.change(FORGET_COMPUTED, values)
    session.change(FORGET_QUEUED, values)
    session.change(FORGET_STEPS, values)
    take_back(session, run, values)
    session.change(SET_ASIDE, values)
    # 4. Output files get their old lengths.
    session.change(EMPTY_OUTPUTS, values)
    for path, length in decode_json(found[0] if found else "{}").items():
        session.change(SET_OUTPUT, {"run": row[0], "place": encode_place(path), "length": length})
