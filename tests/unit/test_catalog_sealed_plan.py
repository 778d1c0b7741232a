"""What an encrypted store does around each statement, found out from the statement itself."""

from __future__ import annotations

import pytest
from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from known_texts import statements
from waycairn.catalog.parts import NUM
from waycairn.catalog.protection import is_touched
from waycairn.catalog.sealed_plan import plan_of
from waycairn.catalog.statement import Build, Statement
from waycairn.catalog.tables import checkpoints, failures, iterations, runs, steps

DIALECTS = {"sqlite": sqlite.dialect(paramstyle="qmark"), "postgresql": postgresql.psycopg.dialect()}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_statement_works_on_sealed_values(dialect):
    """None uses them in a way that only works on plain ones, and none reads one without knowing its row."""
    all_of_them = statements()
    assert len(all_of_them) > 80
    plans = [plan_of(one.name, one.core(DIALECTS[dialect], is_sealed=True)) for one in all_of_them]
    assert any(plan.values for plan in plans)
    assert any(plan.results for plan in plans)


def test_a_plan_says_what_is_sealed_and_by_what_its_row_is_known():
    """From the values of an insert, the condition of an update, the columns of a query, or the id in a condition."""
    added = plan_of("add", insert(steps).values({c.name: bindparam(c.name) for c in steps.c}))
    assert {name: field.row for name, field in added.values.items()} == {
        "arguments": ["run_id", "place"],
        "manifest": ["run_id", "place"],
        "place": (),
    }
    changed = plan_of("note", update(runs).where(runs.c.id == bindparam("of")).values(note=bindparam("note")))
    assert {name: field.row for name, field in changed.values.items()} == {"note": ["of"]}
    listed = plan_of("tags", select(checkpoints.c.sequence, checkpoints.c.tags).where(checkpoints.c.run == NUM))
    assert {position: field.row for position, field in listed.results.items()} == {1: ["id", 0]}
    joined = select(checkpoints.c.tags, runs.c.id, checkpoints.c.sequence).join_from(
        checkpoints, runs, checkpoints.c.run == runs.c.num
    )
    assert {position: field.row for position, field in plan_of("join", joined).results.items()} == {0: [1, 2]}
    found = plan_of("settle", failures.delete().where(failures.c.digest == bindparam("which")))
    assert {name: field.row for name, field in found.values.items()} == {"which": ()}


REFUSED = {
    "reads a value without its row": select(checkpoints.c.tags),
    "finds rows by a sealed value": select(runs.c.id).where(runs.c.key == bindparam("key")),
    "finds rows by what is inside": select(runs.c.id).where(
        func.json_extract(runs.c.metadata, "$.a") == bindparam("a")
    ),
    "finds rows by a part of a list": select(runs.c.id).where(
        select(func.json_each(runs.c.tags).table_valued("value").c.value).exists()
    ),
    "sorts by a sealed value": select(runs.c.id).order_by(runs.c.note),
    "gathers sealed values": select(func.max(iterations.c.metrics)),
    "counts by a sealed value": select(func.count()).select_from(runs).group_by(runs.c.key),
    "compares two sealed values": select(runs.c.id).where(runs.c.key == runs.c.note),
    "reads a hash": select(runs.c.identity),
    "copies rows": insert(steps).from_select([c.name for c in steps.c], select(*steps.c)),
    "changes many rows at once": update(runs).values(note=func.upper(runs.c.note)),
    "holds a value": update(runs).where(runs.c.id == bindparam("of")).values(note="plain"),
    "hands a value on": select(select(runs.c.id, runs.c.note).subquery().c.note),
    "uses one value twice": update(runs)
    .where(runs.c.id == bindparam("of"))
    .values(note=bindparam("both"), name=bindparam("both")),
    "gives one value to two columns": update(runs)
    .where(runs.c.id == bindparam("of"))
    .values(note=bindparam("both"), key=bindparam("both")),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_done_on_sealed_values_is_refused(what):
    """When it is compiled, whoever runs it: not when it finds nothing."""
    with pytest.raises(TypeError, match="cannot be done in an encrypted store"):
        plan_of(what, REFUSED[what])


def test_a_statement_may_differ_for_an_encrypted_store():
    """The other half of the seam: `build.is_sealed`."""
    statement = Statement("differs", "", lambda build: select(bindparam("sealed" if build.is_sealed else "plain")))
    assert [
        next(iter(statement.core(DIALECTS["sqlite"], is_sealed=sealed).compile().params)) for sealed in (False, True)
    ] == ["plain", "sealed"]
    assert not Build(DIALECTS["sqlite"]).is_sealed
    assert is_touched(runs.c.identity)
    assert not is_touched(checkpoints.c.root)
