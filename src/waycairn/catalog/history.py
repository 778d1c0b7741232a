"""Acts on the history of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from msgspec import Struct

from waycairn.catalog.columns import decode_json, decode_text, encode_place, encode_text
from waycairn.catalog.commits import SET_OUTPUT
from waycairn.catalog.database import Row, Session
from waycairn.catalog.parts import RUN_ID, Part, refuse_unless_ours
from waycairn.catalog.session import take_back
from waycairn.catalog.sql import and_, bindparam, delete, func, null, or_, select, update
from waycairn.catalog.statement import Statement
from waycairn.catalog.tables import checkpoints, computed, failures, items, outputs, queued, runs, steps
from waycairn.errors import CheckpointNotFound
from waycairn.model.ids import RunId, checkpoint_id
from waycairn.model.records import PHASES
from waycairn.model.states import CUT_BACK, CheckpointStatus, RunStatus

HOLD_RUN = Statement(
    "hold_run",
    "Fence a rewind: the epoch is ours, and no commit comes between.",
    update(runs)
    .where(runs.c.id == bindparam("of"), runs.c.epoch == bindparam("was"))
    .values(updated=bindparam("now"))
    .returning(runs.c.num),
)
FACTS_AT = Statement(
    "facts_at",
    "The lengths of output files at a checkpoint, and its metadata.",
    select(checkpoints.c.outputs, checkpoints.c.metadata).where(
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
DAMAGED_LATER = Statement(
    "damaged_later",
    "The damaged ones among those that are set aside.",
    select(checkpoints.c.sequence, checkpoints.c.damage).where(
        and_(checkpoints.c.run == bindparam("num"), checkpoints.c.sequence > bindparam("number")),
        or_(checkpoints.c.role == "state", checkpoints.c.role == "result"),
        checkpoints.c.status == CheckpointStatus.DAMAGED.value,
    ),
)
BEHIND_DAMAGE = Statement(
    "behind_damage",
    "Those that are damaged stay so; should they be mended, they are set aside, too.",
    update(checkpoints)
    .where(checkpoints.c.run == bindparam("num"), checkpoints.c.sequence == bindparam("at"))
    .values(damage=bindparam("damage")),
)
EMPTY_OUTPUTS = Statement(
    "empty_outputs",
    "Files that the checkpoint does not know were as long as before the run.",
    update(outputs).where(outputs.c.run == bindparam("num")).values(length=outputs.c.begins),
)


CHILDREN = Statement(
    "children",
    "The phases right below a run, and how far each is.",
    select(runs.c.num, runs.c.id, runs.c.name, runs.c.sequence).where(runs.c.parent == bindparam("of")),
)
REOPEN_PHASE = Statement(
    "reopen_phase",
    "A phase that is cut back is not completed any more.",
    update(runs)
    .where(runs.c.num == bindparam("num"))
    .values(status=RunStatus.INTERRUPTED.value, error=null(), updated=bindparam("now")),
)
RETURNED_AT = Statement(
    "returned_at",
    "The facts of what a phase returned last, and in which commit.",
    select(checkpoints.c.sequence, checkpoints.c.metadata)
    .where(
        checkpoints.c.run == bindparam("num"),
        checkpoints.c.role == "result",
        checkpoints.c.status == CheckpointStatus.VALID.value,
    )
    .order_by(checkpoints.c.sequence.desc())
    .limit(1),
)
STATE_AT = Statement(
    "state_at",
    "The newest cut with a state up to a commit.",
    select(checkpoints.c.sequence)
    .where(
        checkpoints.c.run == bindparam("num"),
        checkpoints.c.role == "state",
        checkpoints.c.status == CheckpointStatus.VALID.value,
        checkpoints.c.sequence <= bindparam("number"),
    )
    .order_by(checkpoints.c.sequence.desc())
    .limit(1),
)
HAS_OUTPUTS = Statement(
    "has_outputs",
    "Whether a run writes growing files.",
    select(outputs.c.place).where(outputs.c.run == bindparam("num")).limit(1),
)


class Cut(Struct, frozen=True):
    """A place in the history of a run."""

    id: RunId
    num: int
    sequence: int
    below: Mapping[str, Any] | None = None
    """Where its phases stood, by name; None where its own checkpoint says so, if any does."""


class PhaseCut(Cut, frozen=True):
    """Of a phase, at a cut of the run above it."""

    name: str = ""
    is_newest: bool = False
    """Nothing came later."""


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
    # 2. The lengths of that time, before anything is changed. At 0 nothing had been committed.
    cut = Cut(run, row[0], sequence)
    if sequence > 0 and facts_at(session, cut) is None:
        no_such_cut(run, sequence)
    # 3. What came later goes, here and in the phases below.
    cut_back(session, cut, now)


def facts_at(session: Session, cut: Cut) -> tuple[dict[str, int], Mapping[str, Any]] | None:
    """The lengths of the outputs of a run at its cut, and what the checkpoint tells besides; None if there is none."""
    found = session.one(FACTS_AT, {RUN_ID: cut.id, "num": cut.num, "number": cut.sequence})
    return None if found is None else (decode_json(found[0]), decode_json(found[1]))


def no_such_cut(run: RunId, sequence: int) -> NoReturn:
    raise CheckpointNotFound(
        f"run {run} has no checkpoint {checkpoint_id(run, sequence)} to go back to. Nothing was changed. "
        "See `waycairn checkpoints`.",
        run=run,
        sequence=sequence,
    )


def cut_back(session: Session, of: Cut, now: float) -> None:
    """Everything of a run and of the phases below it, to the same place."""
    num, sequence = of.num, of.sequence
    lengths, facts = facts_at(session, of) or ({}, {})
    phases = phases_at(session, of, facts)
    damage = f"{CUT_BACK} {sequence}"
    values: dict[str, Any] = {RUN_ID: of.id, "num": num, "number": sequence, "damage": encode_text(damage)}
    session.change(COUNT_BACK, values)
    session.change(FORGET_ITEMS, values)
    session.change(FORGET_FAILURES, values)
    session.change(FORGET_COMPUTED, values)
    session.change(FORGET_QUEUED, values)
    session.change(FORGET_STEPS, values)
    take_back(session, of.id, values)
    session.change(SET_ASIDE, values)
    for at, was in session.all(DAMAGED_LATER, values):
        if not decode_text(was).startswith(CUT_BACK):
            both = encode_text(f"{damage}; {decode_text(was)}")
            session.change(BEHIND_DAMAGE, {RUN_ID: of.id, "num": num, "at": at, "damage": both})
    # Output files get their old lengths.
    session.change(EMPTY_OUTPUTS, values)
    for path, length in lengths.items():
        session.change(SET_OUTPUT, {"run": num, "place": encode_place(path), "length": length})
    for phase in phases:
        if not phase.is_newest:
            session.change(REOPEN_PHASE, {"num": phase.num, "now": now})
            cut_back(session, phase, now)


def phases_at(session: Session, of: Cut, facts: Mapping[str, Any]) -> list[PhaseCut]:
    """Where the phases right below a run stood at one of its cuts, of which `facts` is the metadata. Those that were not
    there yet stood at 0."""
    told = facts.get(PHASES, of.below)
    return [_phase_at(session, of.sequence, row, told) for row in session.all(CHILDREN, {"of": of.id})]


def _phase_at(session: Session, sequence: int, row: Row, told: Mapping[str, Any] | None) -> PhaseCut:
    num, id_, name, newest = row
    known = None if told is None else told.get(decode_text(name))
    if known is not None:
        at, below = _reachable(session, num, int(known[0]), newest), known[1]
    else:
        at, below = (newest if _had_returned(session, RunId(id_), num, sequence) else 0), None
    return PhaseCut(RunId(id_), num, at, below, name=decode_text(name), is_newest=at >= newest)


def _reachable(session: Session, num: int, sequence: int, newest: int) -> int:
    """What lengths the files of a phase had is known at its checkpoints, and now."""
    if sequence >= newest:
        return int(newest)
    values = {"num": num, "number": sequence}
    if session.one(HAS_OUTPUTS, values) is None:
        return sequence
    found = session.one(STATE_AT, values)
    return int(found[0]) if found else 0


def _had_returned(session: Session, run: RunId, num: int, sequence: int) -> bool:
    """Whether a phase was completed before that commit of the run above it, where its checkpoint does not say so."""
    found = session.one(RETURNED_AT, {RUN_ID: run, "num": num})
    at = None if found is None else decode_json(found[1]).get("parent_sequence")
    return at is not None and at < sequence
