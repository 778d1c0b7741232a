"""Contract: taking over, replacing, changing, listing and deleting runs; leases."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest

from waycairn.errors import OwnershipLost, RunNotFound
from waycairn.model.ids import RunId
from waycairn.model.records import CheckpointFilter, Launch, OutputLength, RunFilter, RunRecord
from waycairn.model.states import RunStatus
from waycairn.ports import Catalog
from waycairn.testing.catalog_case import CatalogCase, added, present
from waycairn.testing.records import NOW, a_checkpoint, a_cut, a_run, a_step, an_owner, some_items


class RunContract(CatalogCase):
    def test_a_takeover_moves_the_run_and_its_phases_to_a_new_epoch(self, catalog: Catalog) -> None:
        """The root gets owner, status and count; its phases get the epoch and keep their status."""
        root = added(catalog, a_run(owner=an_owner(1)))
        done, open_ = added(catalog, a_run("done", below=root)), added(catalog, a_run("open", below=root))
        inner = added(catalog, a_run("inner", below=done))
        other = added(catalog, a_run("other"))
        catalog.commit(a_cut(done.id, 1, status=RunStatus.COMPLETED))
        catalog.commit(a_cut(root.id, 1, status=RunStatus.FAILED, error={"type": "ValueError"}))
        successor = an_owner(2)
        assert catalog.take_over(root.id, 1, successor, NOW + 9)
        after = present(catalog, root.id)
        assert (after.epoch, after.owner, after.status, after.entered) == (2, successor, RunStatus.RUNNING, 2)
        assert (after.sequence, after.updated) == (1, NOW + 9)
        assert [present(catalog, run.id).epoch for run in (done, open_, inner, other)] == [2, 2, 2, 1]
        assert present(catalog, done.id).status is RunStatus.COMPLETED
        assert present(catalog, open_.id).status is RunStatus.RUNNING

    def test_a_takeover_of_another_epoch_changes_nothing(self, catalog: Catalog) -> None:
        """Compare and swap: who comes second, or names a phase, gets False."""
        root = added(catalog, a_run(owner=an_owner(1)))
        phase = added(catalog, a_run("phase", below=root))
        assert catalog.take_over(root.id, 1, an_owner(2), NOW)
        before = present(catalog, root.id)
        for run, epoch in ((root.id, 1), (root.id, 3), (phase.id, 2), (RunId("nothing"), 1)):
            assert not catalog.take_over(run, epoch, an_owner(3), NOW + 1)
        assert present(catalog, root.id) == before
        assert present(catalog, phase.id).epoch == 2

    def test_a_replaced_run_becomes_history(self, catalog: Catalog) -> None:
        """The new run has the identity, the old one keeps its rows and stays listed."""
        old = added(catalog)
        catalog.commit(a_cut(old.id, 1, checkpoint=a_checkpoint()))
        new = a_run()
        assert catalog.replace_run(old.id, 1, new, NOW + 5)
        found = catalog.find_run(None, "job", None)
        assert found is not None
        assert (found.id, found.sequence, found.created) == (new.id, 0, NOW + 5)
        assert [run.id for run in catalog.list_runs(RunFilter(name="job"))] == [new.id, old.id]
        assert catalog.latest_checkpoint(old.id) is not None

    def test_a_run_is_replaced_once(self, catalog: Catalog) -> None:
        """Another epoch, a run that is history already and an unknown one: False, and nothing changed."""
        old = added(catalog)
        assert not catalog.replace_run(old.id, 2, a_run(), NOW)
        assert not catalog.replace_run(RunId("nothing"), 1, a_run(), NOW)
        assert catalog.find_run(None, "job", None) == old
        new = a_run()
        assert catalog.replace_run(old.id, 1, new, NOW)
        assert not catalog.replace_run(old.id, 1, a_run(), NOW)
        assert [run.id for run in catalog.list_runs(RunFilter())] == [new.id, old.id]

    @pytest.mark.parametrize(
        ("column", "value"),
        [
            ("fingerprint", {"model": "m-8"}),
            ("fingerprint", None),
            ("tags", ("x",)),
            ("metadata", {"a": 1}),
            ("launch", Launch(argv=["x"], directory="/")),
            ("task", "other"),
            ("status", RunStatus.DISCARDED),
            ("owner", an_owner(5)),
            ("owner", None),
        ],
    )
    def test_a_column_can_be_changed(self, catalog: Catalog, column: str, value: Any) -> None:
        """The value comes back, and nothing else but the time of change is different."""
        before = added(catalog, a_run(owner=an_owner(), fingerprint={"model": "m-7"}))
        catalog.change_run(before.id, 1, NOW + 3, **{column: value})
        after = present(catalog, before.id)
        assert getattr(after, column) == value
        assert after.updated == NOW + 3
        same = set(RunRecord.__slots__) - {column, "updated"}
        assert {name: getattr(after, name) for name in same} == {name: getattr(before, name) for name in same}

    def test_the_total_can_be_changed(self, catalog: Catalog) -> None:
        """A loop learns how long it is."""
        run = added(catalog)
        catalog.change_run(run.id, 1, NOW, total=12)
        assert present(catalog, run.id).progress.total == 12

    def test_a_change_is_fenced(self, catalog: Catalog) -> None:
        """Another epoch, an unknown run and an unknown column are refused; nothing changed."""
        run = added(catalog)
        with pytest.raises(OwnershipLost):
            catalog.change_run(run.id, 2, NOW + 1, task="mine")
        with pytest.raises(RunNotFound):
            catalog.change_run(RunId("nothing"), 1, NOW + 1, task="mine")
        with pytest.raises(TypeError, match="sequence"):
            catalog.change_run(run.id, 1, NOW + 1, sequence=7)
        assert present(catalog, run.id) == run

    def test_deleting_a_run_removes_everything_below_it(self, catalog: Catalog) -> None:
        """Phases, items, steps, outputs and checkpoints go; another run's stay; the name is free again."""
        root, other = added(catalog), added(catalog, a_run("other"))
        phase = added(catalog, a_run("phase", below=root))
        inner = added(catalog, a_run("inner", below=phase))
        for run in (root, phase, inner, other):
            catalog.commit(
                a_cut(
                    run.id,
                    1,
                    items=[some_items("loop", b"1")],
                    steps=[a_step("", "fetch")],
                    outputs=[OutputLength(path="out", length=1)],
                    checkpoint=a_checkpoint(),
                )
            )
        catalog.delete_run(root.id)
        catalog.delete_run(root.id)
        for run in (root, phase, inner):
            assert catalog.get_run(run.id) is None
            assert self._left(catalog, run.id) == (0, 0, 0, 0)
        assert self._left(catalog, other.id) == (1, 1, 1, 1)
        assert added(catalog).sequence == 0

    def _left(self, catalog: Catalog, run: RunId) -> tuple[int, ...]:
        checkpoints: Sequence[Any] = catalog.list_checkpoints(CheckpointFilter(run=run))
        return (
            len(list(catalog.done_items(run, "loop"))),
            len(catalog.list_steps(run)),
            len(catalog.outputs(run)),
            len(checkpoints),
        )

    def test_runs_are_listed_newest_first_and_filtered(self, catalog: Catalog) -> None:
        """Each filter alone, and two together."""
        first = added(catalog, a_run("a", "1", task="t", tags=["x", "y"]))
        second = added(catalog, a_run("a", "2", tags=["y\0"]))
        third = added(catalog, a_run("b"))
        phase = added(catalog, a_run("clean", below=third, tags=["x"]))
        catalog.commit(a_cut(second.id, 1, status=RunStatus.COMPLETED))
        catalog.commit(a_cut(third.id, 1, status=RunStatus.FAILED))
        expected: list[tuple[dict[str, Any], list[RunRecord]]] = [
            ({}, [third, second, first]),
            ({"roots_only": False}, [phase, third, second, first]),
            ({"name": "a"}, [second, first]),
            ({"name": "a", "key": "1"}, [first]),
            ({"key": "2"}, [second]),
            ({"task": "t"}, [first]),
            ({"tag": "x"}, [first]),
            ({"tag": "x", "roots_only": False}, [phase, first]),
            ({"tag": "z"}, []),
            ({"status": [RunStatus.COMPLETED]}, [second]),
            ({"status": [RunStatus.COMPLETED, RunStatus.FAILED]}, [third, second]),
            ({"status": []}, []),
            ({"root": third.id, "roots_only": False}, [phase, third]),
            ({"limit": 2}, [third, second]),
            ({"name": "a", "limit": 1}, [second]),
        ]
        for given, runs in expected:
            assert [run.id for run in catalog.list_runs(RunFilter(**given))] == [run.id for run in runs], given

    def test_a_lease_is_renewed_by_its_epoch_only(self, catalog: Catalog) -> None:
        """The end of a lease is by the clock that clock_offset tells; leaving and a takeover end it."""
        run = added(catalog, a_run(owner=an_owner()))
        assert catalog.renew_lease(run.id, 1, 60)
        lease = present(catalog, run.id).lease_until
        assert lease is not None
        assert lease == pytest.approx(time.time() + catalog.clock_offset() + 60, abs=5)
        assert not catalog.renew_lease(run.id, 2, 600)
        assert not catalog.renew_lease(RunId("nothing"), 1, 600)
        assert present(catalog, run.id).lease_until == lease
        assert catalog.take_over(run.id, 1, an_owner(), NOW)
        assert present(catalog, run.id).lease_until is None
        assert catalog.renew_lease(run.id, 2, 60)
        catalog.commit(a_cut(run.id, 1, epoch=2, status=RunStatus.COMPLETED))
        assert present(catalog, run.id).lease_until is None
        assert abs(catalog.clock_offset()) < 5
