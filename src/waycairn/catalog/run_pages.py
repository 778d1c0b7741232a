"""Runs by the page, and what changed of them.

A page begins behind the place of the last row of the page before (keyset), so that it costs the same wherever it is. Sorted by
the last commit, running ones and those that rest are two lists: an index by that time would have to be written by each commit, and
of those that run there are few.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import cache, partial
from heapq import merge
from itertools import islice
from typing import Any

from msgspec import structs

from waycairn.catalog.columns import encode_maybe, encode_text
from waycairn.catalog.database import Row, Session
from waycairn.catalog.filters import any_values, holds_tag, list_values, listed, one_of, tag_values
from waycairn.catalog.parts import Part
from waycairn.catalog.rows import RUN_COLUMNS, run_of
from waycairn.catalog.shapes import reads
from waycairn.catalog.sql import (
    ClauseElement,
    ColumnElement,
    Integer,
    bindparam,
    exists,
    func,
    literal_column,
    or_,
    select,
    text,
    tuple_,
)
from waycairn.catalog.statement import Build, Statement
from waycairn.catalog.tables import backups, runs
from waycairn.model.backups import TASK
from waycairn.model.records import RunRecord
from waycairn.model.run_pages import Place, PlacedRun, RunMark, RunPage, RunSort
from waycairn.model.states import RunStatus

_RUNNING: ColumnElement[str] = literal_column(f"'{RunStatus.RUNNING.value}'")
"""A parameter in its place would leave SQLite without the partial indexes."""
_IS_ROOT = runs.c.root == runs.c.id
_MARK = (*(runs.c.num, runs.c.id, runs.c.root, runs.c.status, runs.c.epoch, runs.c.sequence), runs.c.updated)
_AT_ONCE = 500
"""Rows that are read for what has to be opened before it can be compared."""

COUNT_ROOTS = Statement(
    "count_roots",
    "Roots by status, those that hold backups among them.",
    select(runs.c.status, func.count()).where(_IS_ROOT).group_by(runs.c.status),
)
COUNT_BACKUPS = Statement(
    "count_backups",
    "Runs that hold what backups hold, by status.",
    select(runs.c.status, func.count()).where(runs.c.id.in_(select(backups.c.id))).group_by(runs.c.status),
)
RUN_MARKS = Statement(
    "run_marks",
    "What says whether they changed: of those that are running, and of some others.",
    lambda build: (
        select(*_MARK, runs.c.lease_until)
        .where(runs.c.status == _RUNNING)
        .union_all(
            select(*_MARK, runs.c.lease_until).where(listed(build, runs.c.num), runs.c.status != _RUNNING),
        )
    ),
)
RUNS_BY_NUMBER = Statement(
    "runs_by_number", "Some runs.", lambda build: select(runs.c.num, *RUN_COLUMNS).where(listed(build, runs.c.num))
)
RESTED_SINCE = Statement(
    "rested_since",
    "Roots that rest and were changed after a moment.",
    select(*RUN_COLUMNS)
    .where(_IS_ROOT, runs.c.status != _RUNNING, runs.c.updated > bindparam("since"))
    .order_by(runs.c.updated.desc())
    .limit(bindparam("limit", type_=Integer)),
)
DATA_VERSION = Statement(
    "data_version",
    "Another number on this connection: somebody else has written.",
    lambda build: text("PRAGMA data_version") if build.is_sqlite else select(literal_column("0")),
)


@cache
def _page(
    columns: tuple[str, ...],
    statuses: int,
    sort: RunSort,
    *,
    running: bool | None,
    tagged: bool,
    searched: bool,
    descending: bool,
    continued: bool,
) -> Statement:
    """`columns` are compared with parameters of their name. `running`: only those, or only the others."""

    def build(build: Build) -> ClauseElement:
        by = (runs.c[sort.value], runs.c.num)
        chosen: Any = select(runs.c.num, *RUN_COLUMNS).where(_IS_ROOT, _is_no_backup())
        chosen = chosen.where(*(runs.c[column] == bindparam(column) for column in columns))
        if running is not None:
            chosen = chosen.where(runs.c.status == _RUNNING if running else runs.c.status != _RUNNING)
        if statuses:
            chosen = chosen.where(one_of(runs.c.status, statuses))
        if tagged:
            chosen = chosen.where(holds_tag(build, runs.c.tags))
        if searched:
            chosen = chosen.where(_holds_text(build))
        if continued:
            last = tuple_(bindparam("after", type_=by[0].type), bindparam("after_number", type_=runs.c.num.type))
            chosen = chosen.where(tuple_(*by) < last if descending else tuple_(*by) > last)
        chosen = chosen.order_by(*(column.desc() if descending else column for column in by))
        element: ClauseElement = chosen.limit(bindparam("limit", type_=Integer))
        return element

    return Statement("page_of_runs", "A page of runs.", build)


def _is_no_backup() -> ColumnElement[bool]:
    """Few rows are asked for in the other table: the task says it nearly always."""
    is_kept = exists(select(backups.c.id).where(backups.c.id == runs.c.id))
    return or_(runs.c.task.is_(None), runs.c.task != literal_column(f"'{TASK}'"), ~is_kept)


def _holds_text(build: Build) -> ColumnElement[bool]:
    searched = (runs.c.name,) if build.is_sealed else (runs.c.name, runs.c.key)
    wanted: Any = bindparam("like")
    if build.is_sqlite:
        return or_(*(column.like(wanted, escape="\\") for column in searched))
    return or_(*(column.ilike(wanted, escape="\\") for column in searched))


class RunPagePart(Part):
    """Implements `ports.RunPages`."""

    def page_of_runs(self, which: RunPage) -> Sequence[PlacedRun]:
        if which.statuses is not None and not which.statuses:
            return []
        if self._database.is_sealed and (which.key is not None or which.tag is not None):
            return self._opened_page(which)
        return self._database.read(lambda session: _read_page(session, which))

    def _opened_page(self, which: RunPage) -> Sequence[PlacedRun]:
        """By what is sealed: looked at once it is open, row by row."""
        found: list[PlacedRun] = []
        step = structs.replace(which, key=None, tag=None, limit=_AT_ONCE)
        while len(found) < which.limit:
            rows = self._database.read(partial(_read_page, which=step))
            found += [one for one in rows if _matches(one.run, which)]
            if len(rows) < _AT_ONCE:
                break
            step = structs.replace(step, after=rows[-1].place)
        return found[: which.limit]

    def count_roots(self) -> Mapping[RunStatus, int]:
        def count(session: Session) -> Mapping[RunStatus, int]:
            kept: dict[str, int] = {word: count for word, count in session.all(COUNT_BACKUPS)}  # noqa: C416 - typed rows
            counted = {RunStatus(word): count - kept.get(word, 0) for word, count in session.all(COUNT_ROOTS)}
            return {status: count for status, count in counted.items() if count > 0}

        return self._database.read(count)

    def run_marks(self, known: Sequence[int]) -> Sequence[RunMark]:
        rows = self._database.read(lambda session: session.all(RUN_MARKS, list_values(known)))
        return [_mark_of(row) for row in rows]

    def runs_by_number(self, numbers: Sequence[int]) -> Mapping[int, RunRecord]:
        rows = self._database.read(lambda session: session.all(RUNS_BY_NUMBER, list_values(numbers)))
        return {row[0]: run_of(row[1:]) for row in rows}

    def rested_since(self, since: float, limit: int) -> Sequence[RunRecord]:
        values = {"since": since, "limit": limit}
        return [run_of(row) for row in self._database.read(lambda session: session.all(RESTED_SINCE, values))]

    def change_mark(self) -> Hashable | None:
        return self._database.read(_change_mark)


@reads((*_MARK, runs.c.lease_until))
def _mark_of(row: Row) -> RunMark:
    return RunMark(*row)


def _change_mark(session: Session) -> Hashable | None:
    """It counts what others than this connection have written, and it is a reader: it writes nothing."""
    if not session.address.startswith("sqlite"):
        return None
    return id(session.connection), session.one(DATA_VERSION)


def _read_page(session: Session, which: RunPage) -> list[PlacedRun]:
    if which.sort is not RunSort.UPDATED:
        return _read_part(session, which, which.statuses, running=None)
    rested = None if which.statuses is None else [one for one in which.statuses if one is not RunStatus.RUNNING]
    parts: list[list[PlacedRun]] = []
    if which.statuses is None or RunStatus.RUNNING in which.statuses:
        parts.append(_read_part(session, which, None, running=True))
    if rested is None or rested:
        parts.append(_read_part(session, which, rested, running=False))
    merged = merge(*parts, key=lambda one: one.place, reverse=which.descending)
    return list(islice(merged, which.limit))


def _read_part(
    session: Session, which: RunPage, statuses: Sequence[RunStatus] | None, *, running: bool | None
) -> list[PlacedRun]:
    asked = {name: encode_maybe(getattr(which, name)) for name in ("name", "key", "task", "account")}
    equal = {column: value for column, value in asked.items() if value is not None}
    words = [status.value for status in statuses or ()]
    statement = _page(
        tuple(equal),
        len(words),
        which.sort,
        running=running,
        tagged=which.tag is not None,
        searched=which.text is not None,
        descending=which.descending,
        continued=which.after is not None,
    )
    values = {**equal, **any_values(words), **tag_values(which.tag), **_after(which), "limit": which.limit}
    if which.text is not None:
        values["like"] = _pattern(which.text)
    return [_placed(row, which.sort) for row in session.all(statement, values)]


def _after(which: RunPage) -> dict[str, Any]:
    if which.after is None:
        return {}
    value, number = which.after
    return {"after": encode_text(value) if isinstance(value, str) else value, "after_number": number}


def _pattern(words: str) -> str:
    """What LIKE takes for a substring."""
    for special in "\\%_":
        words = words.replace(special, f"\\{special}")
    return f"%{encode_text(words)}%"


def _placed(row: Row, sort: RunSort) -> PlacedRun:
    run = run_of(row[1:])
    return PlacedRun(Place(getattr(run, sort.value), row[0]), run)


def _matches(run: RunRecord, which: RunPage) -> bool:
    """By what is sealed."""
    return (which.key is None or run.key == which.key) and (which.tag is None or which.tag in run.tags)
