"""The contract of runs on their way out of a catalog and into one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from waycairn.catalog import open_catalog
from waycairn.errors import OwnershipLost, SchemaChanged, SourceChanged, SweptMeanwhile, WouldOverwrite
from waycairn.model.ids import RunId
from waycairn.model.records import CheckpointFilter, FailedItem, Progress, RunRecord
from waycairn.ports import Catalog, MovedRow
from waycairn.testing.catalog_branches import a_long_run, everything
from waycairn.testing.catalog_case import CatalogCase, added, present
from waycairn.testing.catalog_copying import ODD
from waycairn.testing.records import NOW, a_checkpoint, a_cut, a_run, an_owner, some_items

Rows = list[MovedRow]


class MovingContract(CatalogCase):
    @pytest.fixture
    def other(self, tmp_path: Any) -> Iterator[Catalog]:
        """Another store, on SQLite."""
        catalog = open_catalog(f"sqlite:///{tmp_path}/other.db")
        yield catalog
        catalog.close()

    def test_a_run_comes_back_as_it_was(self, catalog: Catalog, other: Catalog) -> None:
        """There and back, with everything that hangs on it and on its phases; nobody holds it."""
        run, phase = _with_a_phase(catalog)
        another = a_long_run(catalog, "another")
        untouched = rows_of(catalog, another.id)
        before = [_picture(catalog, one) for one in (run, phase)]
        rows = rows_of(catalog, run.id)
        assert [row["id"] for table, row in rows if table == "runs"] == [run.id, phase.id]
        assert catalog.remove_runs([run.id], _anything) == [run.id]
        assert rows_of(catalog, run.id) == []
        for place in (other, catalog):
            place.put_run(lambda: rows, place.sweep_epoch())
            assert [_picture(place, one) for one in (run, phase)] == before
            assert place.find_run(None, "job", "k\0") == present(place, run.id)
            assert place.find_run(run.id, "phase", None) == present(place, phase.id)
            assert present(place, run.id).owner is None
            assert sorted(map(repr, rows_of(place, run.id))) == sorted(map(repr, rows))
        assert rows_of(catalog, another.id) == untouched
        assert other.rule_metadata() == catalog.rule_metadata()

    def test_it_goes_on_where_it_was(self, catalog: Catalog) -> None:
        """By its epoch, whatever number its row has now: also for who committed to it before."""
        run = a_long_run(catalog)
        rows = rows_of(catalog, run.id)
        catalog.remove_runs([run.id], _anything)
        added(catalog, a_run("takes its number"))
        catalog.put_run(lambda: rows, catalog.sweep_epoch())
        catalog.commit(a_cut(run.id, 5, items=[some_items("loop", b"5")]))
        assert catalog.loops(run.id) == {"loop": 5}
        with pytest.raises(OwnershipLost):
            catalog.commit(a_cut(run.id, 6, epoch=2))
        assert catalog.take_over(run.id, 1, an_owner(), NOW)

    def test_a_moment_sees_nothing_later(self, catalog: Catalog) -> None:
        """What is committed while runs are read is not in what is read."""
        run = added(catalog)

        def read(moment: Any) -> int:
            before = len(list(moment.rows_of(run.id)))
            catalog.commit(a_cut(run.id, 1, checkpoint=a_checkpoint()))
            assert len(list(moment.rows_of(run.id))) == before
            return before

        assert catalog.read_runs(read) == 1
        assert len(rows_of(catalog, run.id)) == 2

    def test_pages_have_every_row_once(self, catalog: Catalog) -> None:
        """Also of more than one page, and of keys of several columns; and all of them come back."""
        run = added(catalog)
        for number in range(1, 1202):
            items = [some_items(f"loop {number % 3}", b"%d" % number)]
            progress = Progress(done=number)
            catalog.commit(a_cut(run.id, number, checkpoint=a_checkpoint(), items=items, progress=progress))
        rows = rows_of(catalog, run.id)
        assert [row["sequence"] for table, row in rows if table == "checkpoints"] == list(range(1, 1202))
        assert sorted(row["sequence"] for table, row in rows if table == "items") == list(range(1, 1202))
        weight = catalog.weigh_run(run.id)
        assert (weight["runs"], weight["items"], weight["checkpoints"], weight["bytes"]) == (1, 1201, 1201, 1201 * 1000)
        catalog.remove_runs([run.id], _anything)
        catalog.put_run(lambda: rows, catalog.sweep_epoch())
        assert rows_of(catalog, run.id) == rows

    def test_a_removal_may_be_refused(self, catalog: Catalog) -> None:
        """By a look at the rows of any of them, within the transaction: then all are as they were."""
        first, second = a_long_run(catalog), a_long_run(catalog, "another")
        seen: dict[RunId, int] = {}

        def check(run: RunId, rows: Iterator[MovedRow]) -> None:
            seen[run] = len(list(rows))
            if run == second.id:
                raise SourceChanged

        with pytest.raises(SourceChanged):
            catalog.remove_runs([first.id, second.id], check)
        assert seen == {one.id: len(rows_of(catalog, one.id)) for one in (first, second)}
        assert catalog.remove_runs([first.id, RunId("nothing"), second.id], _anything) == [first.id, second.id]
        assert catalog.remove_runs([first.id, second.id], check) == []

    def test_nothing_is_overwritten_by_itself(self, catalog: Catalog) -> None:
        """Neither a run of that id, nor of that name and key, nor one that went on since it was looked at."""
        run = a_long_run(catalog)
        rows = rows_of(catalog, run.id)

        def put(*replaces: RunRecord) -> None:
            catalog.put_run(lambda: rows, catalog.sweep_epoch(), replaces)

        with pytest.raises(WouldOverwrite):
            put()
        catalog.commit(a_cut(run.id, 5))
        with pytest.raises(WouldOverwrite, match="went on"):
            put(run)
        assert present(catalog, run.id).sequence == 5
        put(present(catalog, run.id))
        assert rows_of(catalog, run.id) == rows
        catalog.delete_run(run.id)
        namesake = added(catalog, a_run("job"))
        with pytest.raises(WouldOverwrite, match="there is a run 'job'"):
            put()
        assert catalog.get_run(run.id) is None
        put(namesake)
        assert (catalog.get_run(namesake.id), present(catalog, run.id).name) == (None, "job")

    def test_what_gave_up_its_name_comes_back_without_it(self, catalog: Catalog) -> None:
        """Beside the run that has it now."""
        old = a_long_run(catalog)
        new = a_run("job")
        assert catalog.replace_run(old.id, 1, new, NOW)
        rows = rows_of(catalog, old.id)
        catalog.remove_runs([old.id], _anything)
        catalog.put_run(lambda: rows, catalog.sweep_epoch())
        found = catalog.find_run(None, "job", None)
        assert found is not None
        assert (found.id, present(catalog, old.id).name) == (new.id, "job")

    def test_a_sweep_that_came_between_is_told(self, catalog: Catalog) -> None:
        """The chunks may be gone that the rows need."""
        run = a_long_run(catalog)
        rows = rows_of(catalog, run.id)
        catalog.remove_runs([run.id], _anything)
        with pytest.raises(SweptMeanwhile):
            catalog.put_run(lambda: rows, catalog.sweep_epoch() - 1)
        assert catalog.get_run(run.id) is None

    @pytest.mark.parametrize("what", ["another column", "a column less", "another table", "another run"])
    def test_rows_that_do_not_fit_are_refused(self, catalog: Catalog, what: str) -> None:
        """With what does not fit; nothing of the others is there."""
        run = a_long_run(catalog)
        rows = rows_of(catalog, run.id)
        catalog.remove_runs([run.id], _anything)
        table, row = next((table, dict(row)) for table, row in rows if table == "steps")
        change = {
            "another column": (table, {**row, "weight": 1}),
            "a column less": (table, {name: value for name, value in row.items() if name != "took"}),
            "another table": ("feathers", row),
            "another run": (table, {**row, "run": "nobody"}),
        }[what]
        with pytest.raises(SchemaChanged, match=r"weight|took|feathers|nobody"):
            catalog.put_run(lambda: [*rows, change], catalog.sweep_epoch())
        assert catalog.get_run(run.id) is None

    def test_a_rule_is_promoted_again_unless_a_better_one_is(self, catalog: Catalog, other: Catalog) -> None:
        """What a store has learned since stays."""
        run = a_long_run(catalog)
        rows = rows_of(catalog, run.id)
        assert {row["rule"] for table, row in rows if table == "rule_metadata"} == {f"rule {n}" for n in range(1, 5)}
        theirs = a_long_run(other, "found it before")
        other.put_run(lambda: rows, other.sweep_epoch())
        assert {rule.run for rule in other.rule_metadata()} == {theirs.id}


def rows_of(catalog: Catalog, run: RunId) -> Rows:
    return catalog.read_runs(lambda moment: list(moment.rows_of(run)))


def _anything(_run: RunId, _rows: Iterator[MovedRow]) -> None:
    """Whatever is there may go."""


def _with_a_phase(catalog: Catalog) -> tuple[RunRecord, RunRecord]:
    """With everything, and something odd."""
    run = a_long_run(catalog, key="k\0")
    catalog.change_run(run.id, 1, NOW, tags=("a", "ü"), metadata=ODD)
    failed = FailedItem(
        loop="odd", digest=b"\1" * 16, key=b"key", attempts=2, first=1.0, last=2.0, poison=True, error=ODD
    )
    catalog.commit(a_cut(run.id, 5, failures=[failed], checkpoint=a_checkpoint(metadata=ODD, outputs={"out": 7})))
    catalog.pin_checkpoint(run.id, 2, True)
    phase = added(catalog, a_run("phase", below=run))
    catalog.commit(a_cut(phase.id, 1, items=[some_items("loop", b"x")], checkpoint=a_checkpoint()))
    return present(catalog, run.id), present(catalog, phase.id)


def _picture(catalog: Catalog, run: RunRecord) -> dict[str, Any]:
    """All of it but who holds it; as text, since NaN is not itself, and sorted: what is looked up by an encrypted value comes
    in the order of these."""
    record = replace(present(catalog, run.id), owner=None)
    found = {**everything(catalog, run.id), "checkpoints": list(catalog.list_checkpoints(CheckpointFilter(run=run.id)))}
    return {"run": repr(record), **{name: sorted(map(repr, value)) for name, value in found.items()}}
