"""What retention asks of the catalog: all checkpoints, run by run, and the removal of those that policies let go.

Between the look and the removal a run can be entered again, cut back, or its newest checkpoint be found damaged. So the
transaction that removes looks once more at what the decision leans on: that the run is still finished, if it was, and that
there is still one to restore from that is newer than what goes. If not, nothing of that run goes this time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache, partial
from typing import Any

from waycairn.catalog.columns import decode_json, decode_maybe, decode_text
from waycairn.catalog.database import Row, Session, in_batches
from waycairn.catalog.filters import any_values, one_of
from waycairn.catalog.parts import Part
from waycairn.catalog.shapes import nonsense_of, reads
from waycairn.catalog.sql import BigInteger, Integer, bindparam, delete, func, select, tuple_
from waycairn.catalog.statement import Statement
from waycairn.catalog.tables import blocks, checkpoints, runs
from waycairn.model.ids import RunId
from waycairn.model.retaining import Dropped, Held, RunFacts
from waycairn.model.states import CheckpointStatus, RunStatus
from waycairn.model.sweeping import DeadBlock
from waycairn.world.crashpoints import crashpoint

_RUNS = 256
_PAGE = 4096
_SIZES = (1, 16, 256)
_VALID = CheckpointStatus.VALID.value
_METRICS = "metrics"
"""In the metadata of a checkpoint, see `work.keeping`."""

_root = runs.alias("root_run")
_FACTS = (
    *(runs.c.num, runs.c.id, runs.c.name, runs.c.key, runs.c.parent, runs.c.task, runs.c.owner),
    *(_root.c.name, _root.c.status, _root.c.updated),
)
RUNS_AFTER = Statement(
    "runs_after",
    "A bounded number of runs, and what is told of their outermost run.",
    select(*_FACTS)
    .join_from(runs, _root, _root.c.id == runs.c.root)
    .where(runs.c.num > bindparam("after"))
    .order_by(runs.c.num)
    .limit(bindparam("limit", type_=Integer)),
)
STORED_BYTES = Statement(
    "stored_bytes",
    "What all blocks take, in packs and in the catalog.",
    select(func.coalesce(func.sum(blocks.c.stored_length), 0)),
)
_HELD = (
    *(checkpoints.c.run, checkpoints.c.sequence, checkpoints.c.created, checkpoints.c.kind, checkpoints.c.role),
    *(checkpoints.c.status, checkpoints.c.pinned, checkpoints.c.expires, checkpoints.c.new_bytes),
)
_MEASURED = (*_HELD, runs.c.id, checkpoints.c.metadata)
STILL_NEWEST = Statement(
    "still_newest",
    "The newest checkpoint that can be restored from, held so that nobody marks it as damaged meanwhile.",
    select(checkpoints.c.sequence)
    .where(
        checkpoints.c.run == bindparam("num"),
        checkpoints.c.role == bindparam("role"),
        checkpoints.c.status == _VALID,
    )
    .order_by(checkpoints.c.run.desc(), checkpoints.c.sequence.desc())
    .limit(1)
    .with_for_update(),
)
STILL_NEWEST_VALUE = Statement(
    "still_newest_value",
    "The same of the values of one kind.",
    select(checkpoints.c.sequence)
    .where(
        checkpoints.c.run == bindparam("num"),
        checkpoints.c.role == bindparam("role"),
        checkpoints.c.kind == bindparam("kind"),
        checkpoints.c.status == _VALID,
    )
    .order_by(checkpoints.c.run.desc(), checkpoints.c.sequence.desc())
    .limit(1)
    .with_for_update(),
)


@cache
def _held_after(*, metrics: bool) -> Statement:
    """In the order of the key, so that a page is found at once."""
    after = tuple_(checkpoints.c.run, checkpoints.c.sequence) > tuple_(
        bindparam("run", type_=BigInteger), bindparam("sequence", type_=BigInteger)
    )
    chosen: Any = select(*_HELD)
    if metrics:
        # The id is what a sealed row is known by.
        chosen = select(*_MEASURED).join_from(checkpoints, runs, runs.c.num == checkpoints.c.run)
    return Statement(
        "held_after",
        "A bounded number of checkpoints of these runs, without what they hold.",
        chosen.where(after, checkpoints.c.run <= bindparam("last"))
        .order_by(checkpoints.c.run, checkpoints.c.sequence)
        .limit(bindparam("limit", type_=Integer)),
    )


@cache
def _statuses(count: int) -> Statement:
    """Locked in the order of their numbers, as commits lock one: who waits here waits for no one else."""
    return Statement(
        "statuses",
        "Ids of these runs and statuses of their outermost runs, held until the end of the transaction.",
        select(runs.c.num, runs.c.id, _root.c.status)
        .join_from(runs, _root, _root.c.id == runs.c.root)
        .where(one_of(runs.c.num, count))
        .order_by(runs.c.num)
        .with_for_update(),
    )


@cache
def _drop(count: int) -> Statement:
    return Statement(
        "drop_retained",
        "Remove checkpoints that policies let go; pinned ones stay.",
        delete(checkpoints).where(
            checkpoints.c.run == bindparam("num"),
            one_of(checkpoints.c.sequence, count),
            checkpoints.c.pinned.is_(False),
        ),
    )


@cache
def _lengths_of(count: int) -> Statement:
    return Statement(
        "lengths_of",
        "Bytes of these blocks.",
        select(func.sum(blocks.c.stored_length)).where(one_of(blocks.c.number, count)),
    )


class RetentionPart(Part):
    """Implements `ports.RetentionRows`."""

    def held(self, *, metrics: bool) -> Iterator[tuple[RunFacts, list[Held]]]:
        after = -1
        while page := self._database.read(partial(_runs_after, after=after)):
            facts = {run.num: run for run in map(_run_of, page)}
            after = page[-1][0]
            for num, rows in self._by_run(page[0][0], after, metrics):
                if num in facts:
                    rows.reverse()
                    yield facts[num], rows

    def _by_run(self, first: int, last: int, metrics: bool) -> Iterator[tuple[int, list[Held]]]:
        """Oldest first."""
        statement = _held_after(metrics=metrics)
        run, sequence = first, -1
        rows: list[Held] = []
        while page := self._database.read(partial(_page, statement=statement, after=(run, sequence), last=last)):
            for row in page:
                if row[0] != run:
                    if rows:
                        yield run, rows
                    run, rows = row[0], []
                rows.append(_held_of(row) if len(row) == len(_HELD) else _measured_of(row))
            sequence = page[-1][1]
        if rows:
            yield run, rows

    def drop_held(self, drops: Sequence[Dropped]) -> Sequence[Dropped]:
        return self._database.write(lambda session: _drop_held(session, drops))

    def stored_bytes(self) -> int:
        row = self._database.read(lambda session: session.one(STORED_BYTES))
        with nonsense_of(blocks.name):
            return 0 if row is None else int(row[0])

    def bytes_of(self, part: Iterable[DeadBlock]) -> int:
        return self._database.read(lambda session: _stored_length(session, [block.number for block in part]))


def _runs_after(session: Session, after: int) -> list[Row]:
    return session.all(RUNS_AFTER, {"after": after, "limit": _RUNS})


def _page(session: Session, statement: Statement, after: tuple[int, int], last: int) -> list[Row]:
    return session.all(statement, {"run": after[0], "sequence": after[1], "last": last, "limit": _PAGE})


@reads(_FACTS)
def _run_of(row: Row) -> RunFacts:
    num, id_, name, key, parent, task, owner, root_name, status, updated = row
    return RunFacts(
        num=num,
        id=RunId(id_),
        name=decode_text(root_name),
        phase=None if parent is None else decode_text(name),
        task=decode_maybe(task),
        is_value=key == "value" and parent is None and owner is None,
        is_finished=RunStatus(status).is_finished,
        is_completed=RunStatus(status) is RunStatus.COMPLETED,
        since=updated,
    )


@reads(_HELD)
def _held_of(row: Row) -> Held:
    _, sequence, created, kind, role, status, pinned, expires, size = row
    return Held(sequence, created, decode_text(kind), role, status == _VALID, bool(pinned), expires, size)


@reads(_MEASURED)
def _measured_of(row: Row) -> Held:
    metadata: Any = decode_json(row[-1])
    return _held_of(row[: len(_HELD)])._replace(metrics=metadata.get(_METRICS))


# -- removing --------------------------------------------------------------------------------------------------------


def _drop_held(session: Session, drops: Sequence[Dropped]) -> list[Dropped]:
    now: dict[int, tuple[str, str]] = {}
    for batch in in_batches(sorted(drop.run.num for drop in drops), _SIZES):
        now |= {num: (id_, status) for num, id_, status in session.all(_statuses(len(batch)), any_values(batch))}
    done = [drop for drop in drops if _still_holds(session, drop, now.get(drop.run.num))]
    for drop in done:
        for batch in in_batches(drop.sequences, _SIZES):
            session.change(_drop(len(batch)), {"num": drop.run.num, **any_values(batch)})
    crashpoint("sweep.drop")
    return done


def _still_holds(session: Session, drop: Dropped, found: tuple[str, str] | None) -> bool:
    """Whether what was decided would be decided again."""
    if found is None or found[0] != drop.run.id:
        return False  # removed, and its number perhaps given out again
    if drop.run.is_finished and not RunStatus(found[1]).is_finished:
        return False  # entered again
    return all(_is_covered(session, drop.run.num, role, kind, newest) for (role, kind), newest in drop.newest.items())


def _is_covered(session: Session, num: int, role: str, kind: str, newest: int) -> bool:
    values = {"num": num, "role": role, "kind": kind}
    row = session.one(STILL_NEWEST_VALUE if role == "value" else STILL_NEWEST, values)
    return row is not None and row[0] >= newest


# -- room ------------------------------------------------------------------------------------------------------------


def _stored_length(session: Session, numbers: Sequence[int]) -> int:
    """Numbers may be repeated to fill a batch; a block counts once all the same."""
    rows = [session.one(_lengths_of(len(batch)), any_values(batch)) for batch in in_batches(numbers, _SIZES)]
    return sum(int(row[0] or 0) for row in rows if row)
