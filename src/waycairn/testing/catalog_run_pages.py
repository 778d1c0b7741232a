"""Contract: runs by the page, and what changed of them."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from waycairn.model.run_pages import PlacedRun, RunPage, RunSort
from waycairn.model.states import RunStatus
from waycairn.ports import Catalog
from waycairn.testing.catalog_backups import a_backup
from waycairn.testing.catalog_case import CatalogCase, added, present
from waycairn.testing.records import NOW, a_cut, a_run

_DONE = RunStatus.COMPLETED


def _pages(catalog: Catalog, which: RunPage) -> list[list[PlacedRun]]:
    """All of them."""
    found = [list(catalog.page_of_runs(which))]
    while len(found[-1]) == which.limit:
        found.append(list(catalog.page_of_runs(structs.replace(which, after=found[-1][-1].place))))
    return found


def _names(catalog: Catalog, **given: Any) -> list[str]:
    return [one.run.name for page in _pages(catalog, RunPage(**{"limit": 2, **given})) for one in page]


class RunPageContract(CatalogCase):
    def _filled(self, catalog: Catalog) -> None:
        """Names in another order than they were added, commits in a third one; every second one runs."""
        for number, name in enumerate(["d", "a", "e", "c", "b", "f", "g"]):
            run = a_run(name, f"K_{number}", task=f"t{number % 2}", tags=[f"g{number % 3}"], account="ada")
            catalog.add_run(run, NOW + number)
            status = _DONE if number % 2 else RunStatus.RUNNING
            catalog.commit(structs.replace(a_cut(run.id, 1, status=status), now=NOW + 100 - 10 * number))
        added(catalog, a_run("phase", below=present(catalog, run.id)))
        kept = added(catalog, a_run("backup", task="backup"))
        catalog.add_backup(a_backup(kept.id))

    @pytest.mark.parametrize("limit", [1, 2, 3, 10])
    def test_pages_are_the_list_in_parts(self, catalog: Catalog, limit: int) -> None:
        """By each sort, up and down; phases and runs of backups are in none."""
        self._filled(catalog)
        sorted_ = {RunSort.CREATED: "daecbfg", RunSort.UPDATED: "gfbcead", RunSort.NAME: "abcdefg"}
        for sort, names in sorted_.items():
            for descending in (False, True):
                expected = list(names[::-1] if descending else names)
                assert _names(catalog, sort=sort, descending=descending, limit=limit) == expected

    @pytest.mark.parametrize(
        ("given", "names"),
        [
            ({"statuses": [RunStatus.RUNNING]}, "debg"),
            ({"statuses": [_DONE]}, "acf"),
            ({"statuses": [_DONE, RunStatus.RUNNING]}, "daecbfg"),
            ({"statuses": [RunStatus.FAILED]}, ""),
            ({"statuses": []}, ""),
            ({"name": "a"}, "a"),
            ({"key": "K_3"}, "c"),
            ({"task": "t0"}, "debg"),
            ({"tag": "g1"}, "ab"),
            ({"tag": "g1", "task": "t1"}, "a"),
            ({"account": "ada", "tag": "g2"}, "ef"),
            ({"account": "bob"}, ""),
            ({"text": "A"}, "a"),
            ({"text": "_"}, "daecbfg"),
            ({"text": "%"}, ""),
        ],
    )
    def test_pages_are_filtered(self, catalog: Catalog, given: dict[str, Any], names: str) -> None:
        """Each condition alone and some together, whatever it is sorted by. What is searched in is what is in the clear."""
        self._filled(catalog)
        if catalog.info.is_encrypted and given == {"text": "_"}:
            names = ""
        for sort in RunSort:
            found = _names(catalog, sort=sort, descending=False, **given)
            assert sorted(found) == sorted(names)
            assert found == [name for name in _names(catalog, sort=sort, descending=False) if name in names]

    @pytest.mark.parametrize("sort", list(RunSort))
    def test_a_page_does_not_move_while_runs_come_and_go(self, catalog: Catalog, sort: RunSort) -> None:
        """What was there all the time is shown once, by whatever it is sorted."""
        there = [added(catalog, a_run(f"n{number % 3}", str(number))).id for number in range(9)]
        which = RunPage(sort=sort, limit=2)
        seen: list[str] = []
        while page := catalog.page_of_runs(which):
            seen += [one.run.id for one in page if one.run.id in there]
            for name in ("n0", "n1", "n2", "z"):
                catalog.add_run(a_run(name, f"new {len(seen)} {name}"), NOW + len(seen))
            catalog.delete_run(page[0].run.id)
            which = structs.replace(which, after=page[-1].place)
            assert len(seen) <= 9
        assert sorted(seen) == sorted(there)

    def test_roots_are_counted(self, catalog: Catalog) -> None:
        """By status; phases and runs of backups are not."""
        assert catalog.count_roots() == {}
        self._filled(catalog)
        assert catalog.count_roots() == {_DONE: 3, RunStatus.RUNNING: 4}

    def test_marks_tell_who_runs_and_who_did(self, catalog: Catalog) -> None:
        """Phases, too; of others only those that were asked for and are there."""
        root, left = added(catalog), added(catalog, a_run("left"))
        phase, gone = added(catalog, a_run("phase", below=root)), added(catalog, a_run("gone"))
        numbers = {mark.id: mark.number for mark in catalog.run_marks([])}
        assert set(numbers) == {root.id, left.id, phase.id, gone.id}
        catalog.commit(structs.replace(a_cut(left.id, 1, status=_DONE), now=NOW + 5))
        catalog.delete_run(gone.id)
        assert {mark.id for mark in catalog.run_marks([])} == {root.id, phase.id}
        marks = {mark.id: mark for mark in catalog.run_marks(list(numbers.values()))}
        assert set(marks) == {root.id, phase.id, left.id}
        assert marks[phase.id].root == root.id
        assert marks[left.id][1:] == (left.id, left.id, "completed", 1, 1, NOW + 5, None)
        assert catalog.runs_by_number([numbers[left.id], numbers[gone.id]]) == {
            numbers[left.id]: present(catalog, left.id)
        }

    def test_what_rests_is_found_by_its_last_change(self, catalog: Catalog) -> None:
        """The newest change first; running ones, phases and older changes are not among them."""
        self._filled(catalog)
        assert [run.name for run in catalog.rested_since(NOW, 9)] == ["a", "c", "f"]
        assert [run.name for run in catalog.rested_since(NOW + 60, 9)] == ["a", "c"]
        assert [run.name for run in catalog.rested_since(NOW, 1)] == ["a"]

    def test_a_change_is_noticed(self, catalog: Catalog) -> None:
        """The mark is another one after each write, where it is known at all."""
        added(catalog)
        before = catalog.change_mark()
        if before is None:
            assert catalog.change_mark() is None
            return
        assert catalog.change_mark() == before
        added(catalog, a_run("other"))
        assert catalog.change_mark() != before
