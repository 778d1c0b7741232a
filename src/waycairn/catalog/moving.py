"""Whole runs on their way out of a store and into one, as rows that name each other by ids."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import groupby
from typing import Any, TypeVar

from waycairn.catalog.chunk_index import hold_epoch
from waycairn.catalog.columns import decode_maybe, decode_text
from waycairn.catalog.commits import GET_NUM
from waycairn.catalog.copying import (
    COPIED,
    PAGE,
    given,
    hangs_on_run,
    key_of,
    put,
    readable,
    selected,
    taken,
)
from waycairn.catalog.database import Row, Session
from waycairn.catalog.filters import behind
from waycairn.catalog.moments import at_one_moment
from waycairn.catalog.parts import Part
from waycairn.catalog.runs import DELETE_RUN
from waycairn.catalog.session import PROMOTE
from waycairn.catalog.sql import ClauseElement, Integer, Table, bindparam, func, literal, select
from waycairn.catalog.statement import Build, Statement
from waycairn.catalog.tables import checkpoints, rule_metadata, runs
from waycairn.errors import SchemaChanged, WouldOverwrite
from waycairn.model.ids import RunId
from waycairn.model.records import RunRecord
from waycairn.ports.catalog_moving import MovedRow, Puts, RunReader

T = TypeVar("T")
_HANGING = tuple(table for table in COPIED if hangs_on_run(table))
_MOVED = {table.name: table for table in (runs, *_HANGING, rule_metadata)}
_OF_HERE = {"num": None, "owner": None, "lease_until": None}
"""Columns of a run that say nothing elsewhere: its number, and who held it."""

TREE = Statement(
    "tree_of_runs",
    "A root run and those below it, as they were begun.",
    selected(runs).where(runs.c.root == bindparam("root")).order_by(runs.c.num),
)
PROMOTED_BY = Statement(
    "promoted_by",
    "Rules whose best a run found.",
    selected(rule_metadata).where(rule_metadata.c.run == bindparam("id")).order_by(rule_metadata.c.rule),
)
HOLD_TREE = Statement(
    "hold_tree",
    "A root run and those below it: no commit, takeover or new phase comes between.",
    select(runs.c.num).where(runs.c.root == bindparam("root")).with_for_update(),
)
HOLD_CHECKPOINTS = Statement(
    "hold_checkpoints",
    "The checkpoints of a root run and those below it: nobody pins, marks or deletes one meanwhile.",
    select(checkpoints.c.sequence)
    .where(checkpoints.c.run.in_(select(runs.c.num).where(runs.c.root == bindparam("root"))))
    .with_for_update(),
)
HOLD_RUN = Statement(
    "hold_run",
    "Where a run stands that is to be replaced.",
    select(runs.c.epoch, runs.c.sequence).where(runs.c.id == bindparam("id")).with_for_update(),
)


def _put_back(build: Build) -> ClauseElement:
    columns: dict[str, Any] = {column.name: bindparam(column.name) for column in runs.c if column is not runs.c.num}
    statement: ClauseElement = build.insert(runs).values(**columns).on_conflict_do_nothing()
    return statement


PUT_BACK = Statement("put_back", "A run as it was, unless its id or its identity is taken.", _put_back)


def _page(table: Table) -> Statement:
    key = key_of(table)[1:]
    return Statement(
        f"{table.name}_of_run",
        "Rows of a run behind one of them, in the order of the key.",
        selected(table)
        .where(table.c.run == bindparam("num"), behind(key))
        .order_by(*key)
        .limit(bindparam("most", type_=Integer)),
    )


def _first_page(table: Table) -> Statement:
    return Statement(
        f"first_{table.name}_of_run",
        "The first rows of a run in the order of the key.",
        selected(table)
        .where(table.c.run == bindparam("num"))
        .order_by(*key_of(table)[1:])
        .limit(bindparam("most", type_=Integer)),
    )


def _weight(table: Table) -> Statement:
    size = func.coalesce(func.sum(table.c.raw_bytes), 0) if "raw_bytes" in table.c else literal(0)
    return Statement(
        f"weight_of_{table.name}",
        "Rows of a root run and those below it, and bytes of their states.",
        select(func.count(), size)
        .select_from(table.join(runs, table.c.run == runs.c.num))
        .where(runs.c.root == bindparam("root")),
    )


PAGES = tuple(map(_page, _HANGING))
FIRST_PAGES = tuple(map(_first_page, _HANGING))
WEIGHTS = tuple(map(_weight, _HANGING))
PUTS = tuple(map(put, _HANGING))
_PUT_OF = dict(zip((table.name for table in _HANGING), PUTS, strict=True))


class MovingPart(Part):
    """Implements `ports.MovingRows`."""

    def weigh_run(self, root: RunId) -> Mapping[str, int]:
        return self._database.read(lambda session: _weigh(session, root))

    def read_runs(self, work: Callable[[RunReader], T]) -> T:
        return at_one_moment(self._database, lambda session: work(_Reader(session)), again=False)

    def remove_runs(
        self, roots: Sequence[RunId], check: Callable[[RunId, Iterator[MovedRow]], None]
    ) -> Sequence[RunId]:
        return self._database.write(lambda session: [root for root in roots if _remove(session, root, check)])

    def put_run(self, rows: Puts, epoch: int, replaces: Sequence[RunRecord] = ()) -> None:
        def put_all(session: Session) -> None:
            hold_epoch(session, epoch)
            for old in replaces:
                _replace(session, old)
            _Putting(session).put(rows())

        self._database.write(put_all)


# -- reading -----------------------------------------------------------------------------------------------------------


class _Reader:
    """Implements `ports.RunReader`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def rows_of(self, root: RunId) -> Iterator[MovedRow]:
        numbers: dict[str, int] = {}
        for found in self._session.all(TREE, {"root": root}):
            values = taken(runs, found)
            numbers[values["id"]] = values["num"]
            yield runs.name, {name: value for name, value in values.items() if name not in _OF_HERE}
        for table, first, page in zip(_HANGING, FIRST_PAGES, PAGES, strict=True):
            for run, num in numbers.items():
                for row in self._pages(table, first, page, num):
                    yield table.name, {**row, "run": run}
        for run in numbers:
            for found in self._session.all(PROMOTED_BY, {"id": run}):
                yield rule_metadata.name, taken(rule_metadata, found)

    def _pages(self, table: Table, first: Statement, page: Statement, num: int) -> Iterator[dict[str, Any]]:
        rows = self._session.all(first, {"num": num, "most": PAGE})
        while rows:
            for row in rows:
                last = taken(table, row)
                yield {name: value for name, value in last.items() if name != "run_id"}
            if len(rows) < PAGE:
                return
            key = {f"key_{column.name}": last[column.name] for column in key_of(table)[1:]}
            rows = self._session.all(page, {**key, "num": num, "most": PAGE})


def _weigh(session: Session, root: RunId) -> dict[str, int]:
    found = {runs.name: len(session.all(TREE, {"root": root}))}
    size = 0
    for table, weight in zip(_HANGING, WEIGHTS, strict=True):
        row = session.one(weight, {"root": root})
        assert row is not None
        found[table.name] = int(row[0])
        size += int(row[1])
    return {**found, "bytes": size}


def _remove(session: Session, root: RunId, check: Callable[[RunId, Iterator[MovedRow]], None]) -> bool:
    if not session.all(HOLD_TREE, {"root": root}):
        return False
    for _ in session.each(HOLD_CHECKPOINTS, {"root": root}):
        pass
    check(root, _Reader(session).rows_of(root))
    return session.change(DELETE_RUN, {"id": root}) == 1


# -- putting back ------------------------------------------------------------------------------------------------------


def _replace(session: Session, old: RunRecord) -> None:
    found: Row | None = session.one(HOLD_RUN, {"id": old.id})
    if found is None:
        return
    if tuple(found) != (old.epoch, old.sequence):
        raise WouldOverwrite(
            f"run {old.name!r} ({old.id}), which was to be replaced, went on meanwhile. Nothing was changed. Look at it, and "
            "restore again.",
            run=old.id,
        )
    session.change(DELETE_RUN, {"id": old.id})


class _Putting:
    """Within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._numbers: dict[str, int] = {}

    def put(self, rows: Iterable[MovedRow]) -> None:
        for name, group in groupby(rows, key=lambda row: row[0]):
            table = _MOVED.get(name)
            if table is None:
                raise _misfit(f"it has rows of a table {name!r}, which this waycairn does not know")
            together = (row for _, row in group)
            if table is runs:
                for row in together:
                    self._put_run(row)
            elif table is rule_metadata:
                for row in together:
                    self._session.change(PROMOTE, {**_values(table, row), "num": self._number(row)})
            else:
                self._put_rows(table, together)

    def _put_run(self, row: Mapping[str, Any]) -> None:
        values = _values(runs, {**row, **_OF_HERE})
        if self._session.change(PUT_BACK, values) == 0:
            raise _taken(row)
        found = self._session.one(GET_NUM, {"id": row["id"]})
        assert found is not None, "a run that was just put back is there"
        self._numbers[row["id"]] = int(found[0])

    def _put_rows(self, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
        batch: list[dict[str, Any]] = []
        for row in rows:
            batch.append(_values(table, {**row, "run": self._number(row), "run_id": row["run"]}))
            if len(batch) == PAGE:
                self._session.many(_PUT_OF[table.name], batch)
                batch = []
        if batch:
            self._session.many(_PUT_OF[table.name], batch)

    def _number(self, row: Mapping[str, Any]) -> int:
        number = self._numbers.get(row.get("run", ""))
        if number is None:
            raise _misfit(f"a row in it hangs on run {row.get('run')!r}, which is not in it")
        return number


def _values(table: Table, row: Mapping[str, Any]) -> dict[str, Any]:
    if row.keys() != _columns(table):
        differ = ", ".join(sorted(row.keys() ^ _columns(table)))
        raise _misfit(f"its rows of {table.name} have other columns than this store: {differ}")
    return given(table, row)


@cache
def _columns(table: Table) -> frozenset[str]:
    """Those of a row on its way to `given`."""
    more = {"is_replaced"} if table is runs else {"run_id"} if hangs_on_run(table) else set()
    return frozenset(column.name for column in readable(table)) | more


def _misfit(what: str) -> SchemaChanged:
    return SchemaChanged(
        f"the backup cannot be put into this store: {what}. It was made by another version of waycairn, or it is no "
        "backup of runs. Nothing was changed. Restore with the version that made it, then `waycairn copy`."
    )


def _taken(row: Mapping[str, Any]) -> WouldOverwrite:
    name, key = decode_text(row["name"]), decode_maybe(row["key"])
    keyed = "" if key is None else f" with key {key!r}"
    return WouldOverwrite(
        f"there is a run {name!r}{keyed} in this store already. Nothing was changed. Remove that one, restore into another "
        "store, or restore with overwrite=True.",
        run=row["id"],
    )
