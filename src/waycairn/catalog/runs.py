"""Runs: entering, taking over, replacing, reading, deleting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from waycairn.catalog.columns import decode_text, encode_json, encode_maybe, identity
from waycairn.catalog.database import Session
from waycairn.catalog.entries import begin_entry, lose_entry
from waycairn.catalog.filters import any_values, holds_tag, one_of, tag_values
from waycairn.catalog.parts import Part, lost, missing, refuse_unless_ours
from waycairn.catalog.rows import RUN_COLUMNS, encode_launch, encode_owner, run_of, values_of_run
from waycairn.catalog.sql import BigInteger, ClauseElement, Integer, bindparam, delete, null, select, update
from waycairn.catalog.statement import Build, Statement
from waycairn.catalog.tables import runs
from waycairn.model.entries import Ending
from waycairn.model.ids import RunId
from waycairn.model.records import NewRun, Owner, RunFilter, RunRecord
from waycairn.model.states import RunStatus

ADD_RUN = Statement(
    "add_run",
    "Insert a run unless its identity is taken.",
    lambda build: (
        build.insert(runs)
        .values(
            **{column: bindparam(column) for column in ("id", "root", "parent", "name", "key", "identity", "status")},
            **{column: bindparam(column) for column in ("epoch", "owner", "fingerprint", "task", "tags", "metadata")},
            **{column: bindparam(column) for column in ("launch", "total", "account")},
            sequence=0,
            done=0,
            failed=0,
            entered=1,
            created=bindparam("now"),
            updated=bindparam("now"),
        )
        .on_conflict_do_nothing(index_elements=["identity"])
    ),
)

HOLD_ROOT = Statement(
    "hold_root",
    "The epoch and owner of a root run; no takeover can come between this and the end of the transaction.",
    select(runs.c.epoch, runs.c.owner, runs.c.name).where(runs.c.id == bindparam("id")).with_for_update(read=True),
)
HOLD_TAKEN = Statement(
    "hold_taken",
    "Where a root run stands that is to be taken over in this epoch; no commit of it comes between.",
    select(runs.c.num, runs.c.sequence, runs.c.updated)
    .where(runs.c.id == bindparam("of"), runs.c.root == bindparam("of"), runs.c.epoch == bindparam("was"))
    .with_for_update(),
)
TAKE_ROOT = Statement(
    "take_root",
    "The compare and swap of a takeover, on the root run.",
    update(runs)
    .where(runs.c.id == bindparam("of"), runs.c.root == bindparam("of"), runs.c.epoch == bindparam("was"))
    .values(
        epoch=runs.c.epoch + 1,
        owner=bindparam("owner"),
        lease_until=null(),
        status=RunStatus.RUNNING.value,
        entered=runs.c.entered + 1,
        updated=bindparam("now"),
    ),
)
TAKE_PHASES = Statement(
    "take_phases",
    "The rest of a takeover: every run below the root gets its new epoch; a finished phase stays finished.",
    update(runs)
    .where(runs.c.root == bindparam("of"), runs.c.id != bindparam("of"))
    .values(epoch=bindparam("was", type_=BigInteger) + 1, updated=bindparam("now")),
)

GET_RUN = Statement("get_run", "One run by id.", select(*RUN_COLUMNS).where(runs.c.id == bindparam("id")))
FIND_RUN = Statement(
    "find_run", "The current run of an identity.", select(*RUN_COLUMNS).where(runs.c.identity == bindparam("identity"))
)
GIVE_UP_IDENTITY = Statement(
    "give_up_identity",
    "The first half of replacing a run: it becomes history.",
    update(runs)
    .where(runs.c.id == bindparam("of"), runs.c.epoch == bindparam("was"), runs.c.identity == bindparam("identity"))
    .values(identity=null(), updated=bindparam("now")),
)
DELETE_RUN = Statement(
    "delete_run",
    "Remove a run; the foreign keys remove the runs below it and everything that hangs on them.",
    delete(runs).where(runs.c.id == bindparam("id")),
)


@cache
def _list_runs(columns: tuple[str, ...], statuses: int, *, tagged: bool, roots_only: bool, limited: bool) -> Statement:
    """`columns` are compared with parameters of their name."""

    def build(build: Build) -> ClauseElement:
        chosen: Any = select(*RUN_COLUMNS).where(*(runs.c[column] == bindparam(column) for column in columns))
        if statuses:
            chosen = chosen.where(one_of(runs.c.status, statuses))
        if tagged:
            chosen = chosen.where(holds_tag(build, runs.c.tags))
        if roots_only:
            chosen = chosen.where(runs.c.parent.is_(None))
        chosen = chosen.order_by(runs.c.num.desc())
        chosen = chosen.limit(bindparam("limit", type_=Integer)) if limited else chosen
        element: ClauseElement = chosen
        return element

    return Statement("list_runs", "Runs that match, newest first.", build)


@cache
def _change_run(columns: tuple[str, ...]) -> Statement:
    return Statement(
        "change_run",
        "Set columns of a run, fenced by its epoch.",
        update(runs)
        .where(runs.c.id == bindparam("of"), runs.c.epoch == bindparam("was"))
        .values(updated=bindparam("now"), **{column: bindparam(column) for column in columns}),
    )


class RunPart(Part):
    """Implements `ports.RunRows`."""

    def add_run(self, run: NewRun, now: float) -> bool:
        return self._database.write(lambda session: self._add(session, run, now))

    def _add(self, session: Session, run: NewRun, now: float) -> bool:
        if run.root != run.id:
            self._refuse_stale_root(session, run)
        values = values_of_run(run, now)
        if session.change(ADD_RUN, values) == 0:
            return False
        if run.owner is not None:
            held = session.one(HOLD_TAKEN, {"of": run.id, "was": run.epoch})
            assert held is not None, "a run that was just added is there"
            begin_entry(session, held[0], run.epoch, owner=values["owner"], sequence=0, now=now)
        return True

    def _refuse_stale_root(self, session: Session, run: NewRun) -> None:
        """Without this a stopped owner that wakes up could begin a phase of a run that it has lost, and commit to it."""
        root = session.one(HOLD_ROOT, {"id": run.root})
        if root is None:
            missing(run.root)
        if root[0] != run.epoch:
            lost(run.root, decode_text(root[2]), run.epoch, root[0], root[1])

    def take_over(self, run: RunId, epoch: int, owner: Owner | None, now: float) -> bool:
        values = {"of": run, "was": epoch, "owner": encode_owner(owner), "now": now}
        return self._database.write(lambda session: self._take(session, values))

    def _take(self, session: Session, values: dict[str, Any]) -> bool:
        found = session.one(HOLD_TAKEN, values)
        if found is None:
            return False
        num, sequence, updated = found
        session.change(TAKE_ROOT, values)
        session.change(TAKE_PHASES, values)
        is_displaced = values["owner"] is None
        lose_entry(session, num, values["was"], updated, Ending.DISPLACED if is_displaced else Ending.ORPHANED)
        if not is_displaced:
            at = {"sequence": sequence, "now": values["now"]}
            begin_entry(session, num, values["was"] + 1, owner=values["owner"], **at)
        return True

    def get_run(self, run: RunId) -> RunRecord | None:
        row = self._database.read(lambda session: session.one(GET_RUN, {"id": run}))
        return None if row is None else run_of(row)

    def find_run(self, parent: RunId | None, name: str, key: str | None) -> RunRecord | None:
        values = {"identity": identity(parent, name, key)}
        row = self._database.read(lambda session: session.one(FIND_RUN, values))
        return None if row is None else run_of(row)

    def list_runs(self, which: RunFilter) -> Sequence[RunRecord]:
        if which.status is not None and not which.status:
            return []
        # What is sealed cannot be looked for in an encrypted store: it is looked at once it is open.
        later = self._database.is_sealed and (which.key is not None or which.tag is not None)
        key = None if later else which.key
        asked = {"name": encode_maybe(which.name), "key": encode_maybe(key), "task": encode_maybe(which.task)}
        equal = {column: value for column, value in {**asked, "root": which.root}.items() if value is not None}
        statuses = [status.value for status in which.status or ()]
        statement = _list_runs(
            tuple(equal),
            len(statuses),
            tagged=which.tag is not None and not later,
            roots_only=which.roots_only,
            limited=which.limit is not None and not later,
        )
        values = {**equal, **any_values(statuses), **tag_values(which.tag), "limit": which.limit}
        found = [run_of(row) for row in self._database.read(lambda session: session.all(statement, values))]
        return [run for run in found if _matches(run, which)][: which.limit] if later else found

    def replace_run(self, old: RunId, epoch: int, new: NewRun, now: float) -> bool:
        return self._database.write(lambda session: self._replace(session, old, epoch, new, now))

    def _replace(self, session: Session, old: RunId, epoch: int, new: NewRun, now: float) -> bool:
        values = {"of": old, "was": epoch, "identity": identity(new.parent, new.name, new.key), "now": now}
        if session.change(GIVE_UP_IDENTITY, values) == 0:
            return False
        return self._add(session, new, now)

    def change_run(self, run: RunId, epoch: int, now: float, **columns: Any) -> None:
        values = {name: _encode_column(name, value) for name, value in columns.items()}
        if "owner" in values:
            values["lease_until"] = None
        statement = _change_run(tuple(values))
        values.update(of=run, was=epoch, now=now)
        self._database.write(lambda session: _change(session, statement, values))

    def delete_run(self, run: RunId) -> None:
        self._database.write(lambda session: session.change(DELETE_RUN, {"id": run}))


def _matches(run: RunRecord, which: RunFilter) -> bool:
    """By key and tag."""
    return (which.key is None or run.key == which.key) and (which.tag is None or which.tag in run.tags)


def _change(session: Session, statement: Statement, values: dict[str, Any]) -> None:
    if session.change(statement, values) == 0:
        refuse_unless_ours(session, values["of"], values["was"])


_ENCODERS: dict[str, Callable[[Any], Any]] = {
    "fingerprint": encode_json,
    "total": lambda total: total,
    "done": lambda done: done,
    "failed": lambda failed: failed,
    "tags": lambda tags: encode_json(list(tags)),
    "metadata": lambda metadata: encode_json(dict(metadata)),
    "launch": encode_launch,
    "task": encode_maybe,
    "status": lambda status: RunStatus(status).value,
    "owner": encode_owner,
}


def _encode_column(name: str, value: Any) -> Any:
    if name not in _ENCODERS:
        raise TypeError(f"{name!r} of a run cannot be changed; these can: {', '.join(sorted(_ENCODERS))}")
    return _ENCODERS[name](value)
