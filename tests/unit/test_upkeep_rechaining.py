"""The audit log of a copy fits together where that of the source did, and nowhere else."""

import sqlite3
from contextlib import closing

import pytest

import waycairn as wc
from waycairn.upkeep.audit_chain import check
from waycairn.upkeep.auditing import cut, record
from waycairn.upkeep.copying import copy_store
from waycairn.wiring import open_core


@pytest.fixture
def source(tmp_path):
    with wc.open(tmp_path / "one") as store:
        for number in range(6):
            record(store.core, "test", f"act {number}", facts={"n": number})
    return tmp_path / "one"


def copied(source, name):
    with wc.open(source) as store:
        target = open_core(source.with_name(name), copy=True)
        try:
            copy_store(store.core, target)
            return check(target), [row.entry.object for row in target.catalog.audit_after(0)]
        finally:
            target.close()


def test_the_log_of_a_copy_fits_together(source):
    """With another secret, and goes on where that of the source was."""
    checked, objects = copied(source, "two")
    assert checked.misfits == []
    assert objects[1:7] == [f"act {number}" for number in range(6)]
    assert objects[7] == str(source.with_name("two"))
    with wc.open(source.with_name("two")) as copy:
        record(copy.core, "test", "later")
        assert check(copy.core).misfits == []


def test_what_was_cut_off_is_no_gap(source):
    """The chain goes on from the hash that the row about the cut says."""
    with wc.open(source) as store:
        rows = list(store.core.catalog.audit_after(0))
        assert cut(store.core, rows[3].entry.at) == 3
    assert copied(source, "two")[0].misfits == []


@pytest.mark.parametrize(
    "change", ["UPDATE audit SET object = 'else' WHERE number = 3", "DELETE FROM audit WHERE number = 4"]
)
def test_a_copy_hides_nothing(source, change):
    """A row that was changed or removed in the source is seen in the copy, at the same place."""
    with closing(sqlite3.connect(source / "catalog.db")) as raw, raw:
        raw.execute(change)
    with wc.open(source) as store:
        before = [misfit.number for misfit in check(store.core).misfits]
    assert before
    assert [misfit.number for misfit in copied(source, "two")[0].misfits][:1] == before[:1]
