"""Checkpoints, read and managed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from waycairn.catalog.columns import encode_maybe, encode_text
from waycairn.catalog.database import Session, Values, in_batches
from waycairn.catalog.filters import any_values, holds_tag, one_of, tag_values
from waycairn.catalog.parts import NUM, Part
from waycairn.catalog.rows import CHECKPOINT_COLUMNS, checkpoint_of
from waycairn.catalog.sql import Boolean, ClauseElement, Integer, String, bindparam, delete, insert, select, update
from waycairn.catalog.statement import Build, Statement
from waycairn.catalog.tables import checkpoints, runs
from waycairn.model.ids import RunId
from waycairn.model.records import CheckpointFilter, CheckpointRecord
from waycairn.model.states import CheckpointStatus

_VALID = CheckpointStatus.VALID.value
_SIZES = (1, 16, 256)
_JOINED = select(runs.c.id, *CHECKPOINT_COLUMNS).join_from(checkpoints, runs, checkpoints.c.run == runs.c.num)
_OF_RUN = select(bindparam("id", type_=String), *CHECKPOINT_COLUMNS).where(checkpoints.c.run == NUM)
_THIS = (checkpoints.c.run == NUM, checkpoints.c.sequence == bindparam("number"))

ADD_CHECKPOINT = Statement(
    "add_checkpoint",
    "The checkpoint of a commit.",
    insert(checkpoints).values(
        **{column.name: bindparam(column.name) for column in checkpoints.c if column.name != "damage"}
    ),
)
DROP_CHECKPOINT = Statement(
    "drop_checkpoint",
    "Remove a checkpoint that the same commit replaces; a pinned one stays.",
    delete(checkpoints).where(
        checkpoints.c.run == bindparam("num"),
        checkpoints.c.sequence == bindparam("number"),
        checkpoints.c.pinned.is_(False),
    ),
)
_newer = checkpoints.alias("newer")
DROP_OLDER_VALUES = Statement(
    "drop_older_values",
    "Remove values older than the newest so many that can be read, and one more; pinned ones stay.",
    delete(checkpoints).where(
        checkpoints.c.run == bindparam("num"),
        checkpoints.c.role == "value",
        checkpoints.c.pinned.is_(False),
        checkpoints.c.sequence
        < select(_newer.c.sequence)
        .where(_newer.c.run == bindparam("num"), _newer.c.role == "value", _newer.c.status == _VALID)
        .order_by(_newer.c.sequence.desc())
        .limit(1)
        .offset(bindparam("kept", type_=Integer))
        .scalar_subquery(),
    ),
)
GET_CHECKPOINT = Statement(
    "get_checkpoint",
    "One checkpoint.",
    _OF_RUN.where(checkpoints.c.sequence == bindparam("number")),
)
MARK_CHECKPOINT = Statement(
    "mark_checkpoint",
    "Say that a checkpoint is damaged, and how, or that it is not.",
    update(checkpoints).where(*_THIS).values(status=bindparam("status"), damage=bindparam("damage")),
)
PIN_CHECKPOINT = Statement(
    "pin_checkpoint",
    "Keep a checkpoint from being deleted, or no longer.",
    update(checkpoints).where(*_THIS).values(pinned=bindparam("pinned", type_=Boolean)),
)


@cache
def _delete_checkpoints(count: int) -> Statement:
    return Statement(
        "delete_checkpoints",
        "Remove checkpoints of a run; pinned ones stay.",
        delete(checkpoints).where(
            checkpoints.c.run == NUM, one_of(checkpoints.c.sequence, count), checkpoints.c.pinned.is_(False)
        ),
    )


@cache
def _list_checkpoints(
    columns: tuple[str, ...],
    *,
    of_run: bool,
    tagged: bool,
    before: bool,
    limited: bool,
    since: bool = False,
    until: bool = False,
) -> Statement:
    """`columns` are compared with parameters of their name."""

    def build(build: Build) -> ClauseElement:
        chosen: Any = _OF_RUN if of_run else _JOINED
        chosen = chosen.where(*(checkpoints.c[column] == bindparam(column) for column in columns))
        if tagged:
            chosen = chosen.where(holds_tag(build, checkpoints.c.tags))
        if before:
            chosen = chosen.where(checkpoints.c.sequence < bindparam("before"))
        if since:
            chosen = chosen.where(checkpoints.c.created >= bindparam("since"))
        if until:
            chosen = chosen.where(checkpoints.c.created < bindparam("until"))
        if of_run:
            # The order of the table's key, so that a limit ends the search.
            chosen = chosen.order_by(checkpoints.c.run.desc(), checkpoints.c.sequence.desc())
        else:
            chosen = chosen.order_by(
                checkpoints.c.created.desc(), checkpoints.c.run.desc(), checkpoints.c.sequence.desc()
            )
        chosen = chosen.limit(bindparam("limit", type_=Integer)) if limited else chosen
        element: ClauseElement = chosen
        return element

    return Statement("list_checkpoints", "Checkpoints that match, newest first.", build)


class CheckpointPart(Part):
    """Implements `ports.CheckpointRows`."""

    def get_checkpoint(self, run: RunId, sequence: int) -> CheckpointRecord | None:
        values = {"id": run, "number": sequence}
        row = self._database.read(lambda session: session.one(GET_CHECKPOINT, values))
        return None if row is None else checkpoint_of(row)

    def latest_checkpoint(
        self, run: RunId, kind: str | None = None, role: str | None = None
    ) -> CheckpointRecord | None:
        values: dict[str, Any] = {"id": run, "status": _VALID, "limit": 1}
        if kind is not None:
            values["kind"] = encode_text(kind)
        if role is not None:
            values["role"] = role
        columns = tuple(column for column in ("status", "kind", "role") if column in values)
        statement = _list_checkpoints(columns, of_run=True, tagged=False, before=False, limited=True)
        row = self._database.read(lambda session: session.one(statement, values))
        return None if row is None else checkpoint_of(row)

    def list_checkpoints(self, which: CheckpointFilter) -> Sequence[CheckpointRecord]:
        asked = {
            "kind": encode_maybe(which.kind),
            "role": which.role,
            "status": None if which.status is None else which.status.value,
            "pinned": which.pinned,
        }
        equal = {column: value for column, value in asked.items() if value is not None}
        # What is sealed cannot be looked for in an encrypted store: it is looked at once it is open.
        later = self._database.is_sealed and which.tag is not None
        statement = _list_checkpoints(
            tuple(equal),
            of_run=which.run is not None,
            tagged=which.tag is not None and not later,
            before=which.before is not None,
            since=which.since is not None,
            until=which.until is not None,
            limited=which.limit is not None and not later,
        )
        values = {
            **equal,
            **tag_values(which.tag),
            "id": which.run,
            **{name: getattr(which, name) for name in ("before", "since", "until", "limit")},
        }
        found = [checkpoint_of(row) for row in self._database.read(lambda session: session.all(statement, values))]
        return [one for one in found if which.tag in one.checkpoint.tags][: which.limit] if later else found

    def mark_checkpoint(self, run: RunId, sequence: int, status: CheckpointStatus, damage: str | None) -> None:
        values = {"id": run, "number": sequence, "status": status.value, "damage": encode_maybe(damage)}
        self._database.write(lambda session: session.change(MARK_CHECKPOINT, values))

    def pin_checkpoint(self, run: RunId, sequence: int, pinned: bool) -> bool:
        values = {"id": run, "number": sequence, "pinned": pinned}
        return self._database.write(lambda session: session.change(PIN_CHECKPOINT, values)) == 1

    def delete_checkpoints(self, run: RunId, sequences: Sequence[int]) -> int:
        return self._database.write(lambda session: _delete(session, run, sequences))


def _delete(session: Session, run: RunId, sequences: Sequence[int]) -> int:
    batches: list[Values] = [{"id": run, **any_values(batch)} for batch in in_batches(sequences, _SIZES)]
    return sum(session.change(_delete_checkpoints(len(values) - 1), values) for values in batches)
